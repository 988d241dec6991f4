// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
)

// clockwork is an actor with one timer: a text sets it, "off" clears it.
type clockwork struct {
	*world
	cell  *cell.Cell
	timer cell.TimerFired
	fired int
	crash func(ctx *cell.Context)
}

func newClockwork(t *testing.T) *clockwork {
	k := &clockwork{world: newWorld(t)}
	var effects cell.Kind // something to do, so that there is a between
	k.cell = cell.New(kindOf("k", func(ctx *cell.Context) {
		switch m := ctx.Message().(type) {
		case *text:
			if m.s == "off" {
				ctx.Clear(k.timer.Timer())
			} else {
				ctx.Arm(k.timer.Timer(), ctx.Now()+10)
			}
		case *cell.TimerFired:
			require.EqualValues(t, 7, m.Key)
			if k.crash != nil {
				k.crash(ctx)
			}
			k.fired++
			ctx.Count(&effects.Dropped, 1)
			ctx.Count(&effects.Dropped, 1)
		}
	}), "c", k.g, nil)
	cell.InitTimer(&k.timer, k.cell, 7)
	k.start(k.cell)
	return k
}

func (k *clockwork) set(s string) {
	k.cell.Push(&text{s: s})
	k.drain()
}

func TestATimerFiresOnceEachTimeItIsSet(t *testing.T) {
	k := newClockwork(t)
	for round := range 3 {
		k.set("on")
		k.tick(9)
		require.Equal(t, round, k.fired)
		k.tick(1)
		require.Equal(t, round+1, k.fired)
		require.Zero(t, k.timer.Timer().Deadline(), "not set anew: off")
		k.tick(100)
		require.Equal(t, round+1, k.fired)
	}
}

func TestATimerThatIsClearedOrPutOffBehindItsFiringDoesNothing(t *testing.T) {
	k := newClockwork(t)
	k.set("on")
	k.cell.Push(&text{s: "off"}) // stands before the timer's message
	k.tick(10)
	require.Zero(t, k.fired)
	k.set("on")
	k.clock.now.Add(10)
	k.cell.Push(&text{s: "on"})
	k.tick(0)
	require.Zero(t, k.fired)
	k.tick(10)
	require.Equal(t, 1, k.fired)
}

// TestATimerOutlivesCrashes: after a crash between the effects of its message a
// timer once counted as queued for ever, and never fired again.
func TestATimerOutlivesCrashes(t *testing.T) {
	for _, phase := range []cell.Phase{cell.Before, cell.Decide, cell.Between} {
		t.Run(phase.String(), func(t *testing.T) {
			k := newClockwork(t)
			crashed := false
			k.set("on")
			hooked(t, func(c *cell.Cell, p cell.Phase, m cell.Message) {
				if _, ok := m.(*cell.TimerFired); ok && p == phase && !crashed {
					crashed = true
					panic("injected")
				}
			})
			k.crash = func(ctx *cell.Context) { ctx.Cast(nil, nil) } // has a decide phase
			k.tick(10)
			require.True(t, crashed)
			require.Equal(t, 1, k.fired)
			k.set("on")
			k.tick(10)
			require.Equal(t, 2, k.fired)
		})
	}
}

func TestATimerWhoseMessageWasPoisonMayBeSetAgain(t *testing.T) {
	k := newClockwork(t)
	k.crash = func(*cell.Context) { panic("poison") }
	k.set("on")
	k.tick(10)
	require.EqualValues(t, 1, k.cell.Kind().Poisoned.Load())
	require.Zero(t, k.timer.Timer().Deadline())
	k.crash = nil
	k.set("on")
	k.tick(10)
	require.Equal(t, 1, k.fired)
}

// TestAClockThatStepsBackLosesNoTimer: the message of a timer that came up after
// such a step was once thrown away with the deadline.
func TestAClockThatStepsBackLosesNoTimer(t *testing.T) {
	k := newClockwork(t)
	k.set("on")
	k.clock.now.Add(10)
	k.g.Tick()
	k.tick(-5)
	require.Zero(t, k.fired)
	k.tick(5)
	require.Equal(t, 1, k.fired)
}

func TestTheTimersOfACellThatEndsAreOff(t *testing.T) {
	w := newWorld(t)
	var timer cell.TimerFired
	c := cell.New(kindOf("k", func(ctx *cell.Context) {
		ctx.Arm(timer.Timer(), ctx.Now()+10)
		ctx.End()
	}), "c", w.g, nil)
	cell.InitTimer(&timer, c, 0)
	w.start(c).Push(&text{})
	w.drain()
	require.Zero(t, timer.Timer().Deadline())
	w.tick(20)
	require.Zero(t, c.Pending())
}
