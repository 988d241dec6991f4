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
	loose bool // the actor only has a key for its timer
	fired int
	crash func(ctx *cell.Context)
}

// bothSorts plays a test with a timer that is part of the actor's memory, and with
// one that the actor only has a key for.
func bothSorts(t *testing.T, play func(t *testing.T, k *clockwork)) {
	t.Helper()
	t.Run("of its own", func(t *testing.T) { play(t, newClockwork(t, false)) })
	t.Run("by key", func(t *testing.T) { play(t, newClockwork(t, true)) })
}

func newClockwork(t *testing.T, loose bool) *clockwork {
	k := &clockwork{world: newWorld(t), loose: loose}
	var effects cell.Kind // something to do, so that there is a between
	k.cell = cell.New(kindOf("k", func(ctx *cell.Context) {
		switch m := ctx.Message().(type) {
		case *text:
			k.arm(ctx, m.s != "off")
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
	if !loose {
		cell.InitTimer(&k.timer, k.cell, 7)
	}
	k.start(k.cell)
	return k
}

func (k *clockwork) arm(ctx *cell.Context, on bool) {
	switch at := ctx.Now() + 10; {
	case k.loose && on:
		ctx.Set(7, at)
	case k.loose:
		ctx.Set(7, 0)
	case on:
		ctx.Arm(k.timer.Timer(), at)
	default:
		ctx.Clear(k.timer.Timer())
	}
}

func (k *clockwork) set(s string) {
	k.cell.Push(&text{s: s})
	k.drain()
}

// off reports whether the timer is off, and takes no memory if it has only a key.
func (k *clockwork) off() bool {
	at, there := k.cell.Timers()[7]
	return at == 0 && there == !k.loose
}

func TestATimerFiresOnceEachTimeItIsSet(t *testing.T) {
	bothSorts(t, func(t *testing.T, k *clockwork) {
		for round := range 3 {
			k.set("on")
			k.tick(9)
			require.Equal(t, round, k.fired)
			k.tick(1)
			require.Equal(t, round+1, k.fired)
			require.True(t, k.off(), "not set anew")
			k.tick(100)
			require.Equal(t, round+1, k.fired)
		}
	})
}

// meanwhile is a turn of the group in the middle of a message, as there is one when a
// death between two effects ends the goroutine.
type meanwhile struct{ k *clockwork }

// Accept implements cell.Acceptor.
func (m meanwhile) Accept(cell.Message) {
	m.k.clock.now.Add(10)
	m.k.g.Tick()
}

func TestATimerThatIsSetAnewIsNotLostWhenItComesUpBeforeItsMessageIsDone(t *testing.T) {
	bothSorts(t, func(t *testing.T, k *clockwork) {
		k.crash = func(ctx *cell.Context) {
			if k.fired == 0 {
				k.arm(ctx, true)
				ctx.Submit(meanwhile{k}, &text{})
			}
		}
		k.set("on")
		k.tick(10)
		require.Equal(t, 1, k.fired)
		k.tick(0)
		require.Equal(t, 2, k.fired)
		require.True(t, k.off())
		k.tick(100)
		require.Equal(t, 2, k.fired)
	})
}

func TestATimerThatIsClearedOrPutOffBehindItsFiringDoesNothing(t *testing.T) {
	bothSorts(t, func(t *testing.T, k *clockwork) {
		k.set("on")
		k.cell.Push(&text{s: "off"}) // stands before the timer's message
		k.tick(10)
		require.Zero(t, k.fired)
		require.True(t, k.off())
		k.set("on")
		k.clock.now.Add(10)
		k.cell.Push(&text{s: "on"})
		k.tick(0)
		require.Zero(t, k.fired)
		k.tick(10)
		require.Equal(t, 1, k.fired)
	})
}

// TestATimerThatIsClearedAndSetBehindItsFiringFiresOnce: the message of before
// stands in the mailbox still.
func TestATimerThatIsClearedAndSetBehindItsFiringFiresOnce(t *testing.T) {
	bothSorts(t, func(t *testing.T, k *clockwork) {
		k.set("on")
		k.cell.Push(&text{s: "off"})
		k.cell.Push(&text{s: "on"})
		k.tick(10)
		require.Zero(t, k.fired)
		k.tick(9)
		require.Zero(t, k.fired)
		k.tick(1)
		require.Equal(t, 1, k.fired)
		require.True(t, k.off())
	})
}

// TestATimerOutlivesCrashes: after a crash between the effects of its message a
// timer once counted as queued for ever, and never fired again.
func TestATimerOutlivesCrashes(t *testing.T) {
	for _, phase := range []cell.Phase{cell.Before, cell.Decide, cell.Between} {
		t.Run(phase.String(), func(t *testing.T) {
			bothSorts(t, func(t *testing.T, k *clockwork) {
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
				require.True(t, k.off())
				k.set("on")
				k.tick(10)
				require.Equal(t, 2, k.fired)
			})
		})
	}
}

func TestATimerWhoseMessageWasPoisonMayBeSetAgain(t *testing.T) {
	bothSorts(t, func(t *testing.T, k *clockwork) {
		k.crash = func(*cell.Context) { panic("poison") }
		k.set("on")
		k.tick(10)
		require.EqualValues(t, 1, k.cell.Kind().Poisoned.Load())
		require.True(t, k.off())
		k.crash = nil
		k.set("on")
		k.tick(10)
		require.Equal(t, 1, k.fired)
	})
}

// TestAClockThatStepsBackLosesNoTimer: the message of a timer that came up after
// such a step was once thrown away with the deadline.
func TestAClockThatStepsBackLosesNoTimer(t *testing.T) {
	bothSorts(t, func(t *testing.T, k *clockwork) {
		k.set("on")
		k.clock.now.Add(10)
		k.g.Tick()
		k.tick(-5)
		require.Zero(t, k.fired)
		k.tick(5)
		require.Equal(t, 1, k.fired)
	})
}

func TestTheTimersOfACellThatEndsAreOff(t *testing.T) {
	w := newWorld(t)
	var timer cell.TimerFired
	c := cell.New(kindOf("k", func(ctx *cell.Context) {
		ctx.Arm(timer.Timer(), ctx.Now()+10)
		ctx.Set(1, ctx.Now()+10)
		ctx.End()
	}), "c", w.g, nil)
	cell.InitTimer(&timer, c, 0)
	w.start(c).Push(&text{})
	w.drain()
	require.Zero(t, timer.Timer().Deadline())
	require.Empty(t, c.Timers())
	w.tick(20)
	require.Zero(t, c.Pending())
}

// TestSeveralTimersByKeyAreApart: each is off by itself.
func TestSeveralTimersByKeyAreApart(t *testing.T) {
	w := newWorld(t)
	var fired []uint8
	c := cell.New(kindOf("k", func(ctx *cell.Context) {
		switch m := ctx.Message().(type) {
		case *text:
			for key := range uint8(4) {
				ctx.Set(key, ctx.Now()+10*int64(key+1))
			}
			ctx.Set(2, 0)
		case *cell.TimerFired:
			fired = append(fired, m.Key)
		}
	}), "c", w.g, nil)
	w.start(c).Push(&text{})
	w.drain()
	require.Len(t, c.Timers(), 3)
	for range 5 {
		w.tick(10)
	}
	require.Equal(t, []uint8{0, 1, 3}, fired)
	require.Empty(t, c.Timers())
}
