// SPDX-License-Identifier: Apache-2.0

package group_test

import (
	"math"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/supervisor/group"
)

// alarm is a timer and what it should be.
type alarm struct {
	group.Timer
	at    int64 // deadline, 0: off
	fired int
}

func newAlarm() *alarm {
	a := new(alarm)
	a.Init(group.FireFunc(func(*group.Timer) { a.fired++ }))
	return a
}

// TestTimersFireOnceWhenTheyAreDue arms, clears and moves timers of two groups at
// random on one clock, and compares with a list of deadlines.
func TestTimersFireOnceWhenTheyAreDue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := new(manual)
		c.now.Store(1000)
		groups := []*group.Group{group.New("a", c, nil), group.New("b", c, nil)}
		alarms := make([]*alarm, 6)
		for i := range alarms {
			alarms[i] = newAlarm()
		}
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			a := rapid.SampledFrom(alarms).Draw(t, "alarm")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1, 2:
				a.at = c.Now() + rapid.Int64Range(-3, 50).Draw(t, "in")
				rapid.SampledFrom(groups).Draw(t, "group").Arm(&a.Timer, a.at)
			case 3:
				a.at = 0
				a.Clear()
			default:
				c.now.Add(rapid.Int64Range(0, 30).Draw(t, "later"))
				for _, a := range alarms {
					a.fired = 0
				}
				for _, g := range groups {
					g.Tick()
				}
				for i, a := range alarms {
					want := 0
					if a.at != 0 && a.at <= c.Now() {
						want = 1
						a.at = 0
						require.True(t, a.Due(c.Now()))
						a.Clear() // what the owner of the message does
					}
					require.Equal(t, want, a.fired, "alarm %d", i)
				}
			}
			require.Equal(t, a.at, a.Deadline())
			earliest := int64(math.MaxInt64)
			for _, a := range alarms {
				if a.at != 0 {
					earliest = min(earliest, a.at)
				}
			}
			require.LessOrEqual(t, min(groups[0].Next(), groups[1].Next()), earliest, "the driver wakes in time")
		}
	})
}

func TestPuttingATimerOffDoesNotTouchTheHeap(t *testing.T) {
	c := new(manual)
	g := group.New("g", c, nil)
	a := newAlarm()
	g.Arm(&a.Timer, 100)
	for at := int64(101); at < 1000; at++ {
		g.Arm(&a.Timer, at)
	}
	require.EqualValues(t, 100, g.Next())
	c.now.Store(100)
	g.Tick()
	require.Zero(t, a.fired)
	require.EqualValues(t, 999, g.Next())
	c.now.Store(999)
	g.Tick()
	require.Equal(t, 1, a.fired)
	require.EqualValues(t, int64(math.MaxInt64), g.Next())
}

// TestEntriesOfTimersThatAreOffDoNotPileUp is the regression test of a leak: a
// client that connects with a long keep alive and leaves, over and over, left a
// heap entry each time, which held the connection until the deadline.
func TestEntriesOfTimersThatAreOffDoNotPileUp(t *testing.T) {
	c := new(manual)
	g := group.New("g", c, nil)
	keep := newAlarm()
	g.Arm(&keep.Timer, 1<<40)
	for i := range 100_000 {
		a := newAlarm()
		g.Arm(&a.Timer, 1<<41)
		g.Arm(&a.Timer, int64(1000+i)) // an earlier one makes the first entry stale
		a.Clear()
		g.Arm(&keep.Timer, 1<<40)
	}
	require.Less(t, group.HeapLen(g), 200)
	c.now.Store(1 << 40)
	g.Tick()
	require.Equal(t, 1, keep.fired)
}

func TestASweepKeepsEveryTimerThatIsSet(t *testing.T) {
	c := new(manual)
	g := group.New("g", c, nil)
	var set []*alarm
	for i := range 5000 {
		a := newAlarm()
		g.Arm(&a.Timer, 1+int64(i*7919%5003))
		if i%10 == 0 {
			set = append(set, a)
			continue
		}
		a.Clear()
	}
	for now := range int64(5004) {
		c.now.Store(now)
		g.Tick()
		for _, a := range set {
			want := 0
			if a.Deadline() <= now {
				want = 1
			}
			if a.fired != want {
				t.Fatalf("due at %d, now %d: fired %d times", a.Deadline(), now, a.fired)
			}
		}
	}
}

// TestATimerThatChangesGroupsIsNeverLate arms a timer in one group while its
// entry comes up in the other, which reads the deadline at that moment.
func TestATimerThatChangesGroupsIsNeverLate(t *testing.T) {
	for round := range int64(3000) {
		c := new(manual)
		old, now := group.New("old", c, nil), group.New("new", c, nil)
		a := newAlarm()
		old.Arm(&a.Timer, 10)
		old.Arm(&a.Timer, 1000) // the entry at 10 will wait on
		c.now.Store(10)
		var wg sync.WaitGroup
		wg.Go(func() { old.Tick() })
		wg.Go(func() {
			now.Arm(&a.Timer, 500+round%3)
			now.Arm(&a.Timer, 400)
		})
		wg.Wait()
		c.now.Store(400)
		old.Tick()
		now.Tick()
		require.Equal(t, 1, a.fired, "round %d", round)
	}
}

func BenchmarkArmLater(b *testing.B) {
	g := group.New("g", new(manual), nil)
	a := newAlarm()
	at := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		at++
		g.Arm(&a.Timer, at)
	}
}
