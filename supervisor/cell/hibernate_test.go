// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// sleeper is a kind whose actors hibernate after a second.
func sleeper(f stageFunc) *cell.Kind {
	k := kindOf("sleeper", f)
	k.Hibernate = time.Second
	return k
}

// pass lets d go by in steps that are shorter than anything that is waited for.
func (w *world) pass(d time.Duration) {
	const step = 5 * time.Millisecond
	for ; d > 0; d -= step {
		w.tick(int64(step))
	}
}

func TestAnActorThatHasNothingToDoHibernatesAndTheNextMessageWakesIt(t *testing.T) {
	w := newWorld(t)
	var log string
	made := 0
	k := sleeper(func(ctx *cell.Context) { log += ctx.Message().(*text).s })
	stage := k.New
	k.New = func(c *cell.Cell) cell.Stage { made++; return stage(c) }
	c := w.start(cell.New(k, "c", w.g, nil))
	c.Push(&text{s: "a"})
	w.drain()
	require.Equal(t, cell.Up, c.Life())

	w.pass(100 * time.Millisecond) // a new actor hibernates soon
	require.Equal(t, cell.Hibernating, c.Life())
	require.Nil(t, c.PID())
	require.True(t, c.Asleep())
	require.EqualValues(t, 1, k.Asleep.Load())
	require.EqualValues(t, 1, k.Cells.Load(), "it is alive")

	c.Push(&text{s: "b"})
	c.Push(&text{s: "c"})
	require.False(t, c.Asleep())
	w.drain()
	require.Equal(t, "abc", log)
	require.Equal(t, 2, made)
	require.Equal(t, cell.Up, c.Life())
	require.NotNil(t, c.PID())
	require.Zero(t, k.Asleep.Load())

	w.pass(900 * time.Millisecond) // one that was woken has more time
	require.Equal(t, cell.Up, c.Life())
	w.pass(1200 * time.Millisecond)
	require.Equal(t, cell.Hibernating, c.Life())
	require.Zero(t, k.Restarts.Load(), "nobody calls it a restart")
	require.Zero(t, c.Info().Restarts)
	require.Empty(t, w.crashes)
}

func TestAnActorThatWorksDoesNotHibernate(t *testing.T) {
	w := newWorld(t)
	k := sleeper(func(*cell.Context) {})
	c := w.start(cell.New(k, "c", w.g, nil))
	work := func(n int) {
		for range n {
			c.Push(&text{})
			w.pass(500 * time.Millisecond)
		}
	}
	work(2) // in its youth it sleeps sooner
	pid := c.PID()
	require.NotNil(t, pid)
	work(20)
	require.Same(t, pid, c.PID())
}

func TestATimerWakesAnActorThatHibernates(t *testing.T) {
	w := newWorld(t)
	fired := 0
	var timer cell.TimerFired
	k := sleeper(func(ctx *cell.Context) {
		if _, ok := ctx.Message().(*cell.TimerFired); ok {
			fired++
			return
		}
		ctx.Arm(timer.Timer(), ctx.Now()+int64(10*time.Second))
	})
	c := cell.New(k, "c", w.g, nil)
	cell.InitTimer(&timer, c, 0)
	w.start(c)
	c.Push(&text{})
	w.pass(5 * time.Second)
	require.Equal(t, cell.Hibernating, c.Life())
	w.pass(6 * time.Second)
	require.Equal(t, 1, fired)
}

func TestAStopOfAnActorThatHibernatesIsAStop(t *testing.T) {
	w := newWorld(t)
	k := sleeper(func(*cell.Context) {})
	c := w.start(cell.New(k, "c", w.g, nil))
	w.pass(100 * time.Millisecond)
	require.Equal(t, cell.Hibernating, c.Life())
	c.Stop()
	c.Stop()
	w.drain()
	require.Equal(t, cell.Up, c.Life())
	require.EqualValues(t, 1, k.Restarts.Load())
	require.EqualValues(t, 1, k.By[cell.ByStop].Load())
	require.Zero(t, k.Asleep.Load())
	require.EqualValues(t, 1, k.Cells.Load())
}

func TestACrashOfAnActorThatHibernatedIsACrash(t *testing.T) {
	w := newWorld(t)
	k := sleeper(func(*cell.Context) {})
	c := w.start(cell.New(k, "c", w.g, nil))
	w.pass(100 * time.Millisecond)
	c.Push(&cell.Bomb{})
	w.drain()
	require.Len(t, w.crashes, 1)
	require.Equal(t, cell.Up, c.Life())
	w.pass(3 * time.Second)
	require.Equal(t, cell.Hibernating, c.Life(), "and then it hibernates again")
	require.EqualValues(t, 1, k.Restarts.Load())
	require.NotEmpty(t, c.Info().Reason, "what happened can still be seen")
}

func TestWhatACrashLeftBehindIsDoneBeforeTheActorHibernates(t *testing.T) {
	w := newWorld(t)
	out := &sink{}
	k := sleeper(func(ctx *cell.Context) {
		for range 3 {
			ctx.Write(out, append(ctx.Bytes(), 'x'))
			ctx.Submit(acceptFunc(func(cell.Message) {}), nil)
		}
	})
	c := w.start(cell.New(k, "c", w.g, nil))
	n := 0
	hooked(t, func(_ *cell.Cell, p cell.Phase, _ cell.Message) {
		if n++; p == cell.Between && n < 20 {
			panic("between")
		}
	})
	for range 3 {
		c.Push(&text{})
		w.pass(3 * time.Second)
		require.Equal(t, cell.Hibernating, c.Life())
	}
	require.Equal(t, "xxxxxxxxx", string(out.b))
}

func TestAnActorHibernatesWhereItHasMovedTo(t *testing.T) {
	w := newWorld(t)
	other := group.New("other", w.clock, nil)
	turn := func() {
		for range 300 {
			w.clock.now.Add(int64(10 * time.Millisecond))
			for _, g := range []*group.Group{w.g, other} {
				g.Tick()
				for g.RunOne() {
				}
			}
		}
	}
	var ran []*group.Group
	k := sleeper(func(ctx *cell.Context) {
		ran = append(ran, ctx.Group())
		if len(ran) == 1 {
			ctx.Move(other)
		}
	})
	c := w.start(cell.New(k, "c", w.g, nil))
	c.Push(&text{})
	turn()
	require.Equal(t, cell.Hibernating, c.Life())
	c.Push(&text{})
	turn()
	require.Equal(t, cell.Hibernating, c.Life())
	require.Equal(t, []*group.Group{w.g, other}, ran)
}

// TestADormitoryLetsAnActorGoThatOthersRun: the group that an actor has left looks
// at its list while the next group runs the actor (under the race detector).
func TestADormitoryLetsAnActorGoThatOthersRun(t *testing.T) {
	w := newWorld(t)
	other := group.NewService("other", w.clock)
	const actors, each = 64, 50
	var got sync.WaitGroup
	got.Add(actors * each)
	k := sleeper(func(ctx *cell.Context) {
		if ctx.Group() == w.g {
			ctx.Move(other.Group())
		}
		got.Done()
	})
	var all []*cell.Cell
	for range actors {
		c := w.start(cell.New(k, "c", w.g, nil))
		all = append(all, c)
		for range each {
			c.Push(&text{})
		}
	}
	for range each {
		w.pass(100 * time.Millisecond) // longer than a round of the list takes
	}
	got.Wait()
	other.Close()
	for _, c := range all {
		require.Zero(t, c.Pending())
	}
}

func TestAnEndedCellDoesNotHibernate(t *testing.T) {
	w := newWorld(t)
	k := sleeper(func(ctx *cell.Context) { ctx.End() })
	c := w.start(cell.New(k, "c", w.g, nil))
	w.pass(100 * time.Millisecond)
	c.Push(&text{})
	w.pass(3 * time.Second)
	require.Equal(t, cell.Ended, c.Life())
	require.Zero(t, k.Cells.Load())
	require.Zero(t, k.Asleep.Load())
}

// TestAWaveOfActorsGoesToSleep: however many come at once, and nobody stays awake
// or wakes for nothing.
func TestAWaveOfActorsGoesToSleep(t *testing.T) {
	w := newWorld(t)
	got := 0
	k := sleeper(func(*cell.Context) { got++ })
	var all []*cell.Cell
	for range 3000 {
		all = append(all, w.start(cell.New(k, "c", w.g, nil)))
	}
	w.pass(time.Second)
	require.EqualValues(t, len(all), k.Asleep.Load())
	for _, c := range all {
		c.Push(&text{})
	}
	w.drain()
	require.Zero(t, k.Asleep.Load())
	w.pass(3 * time.Second)
	require.EqualValues(t, len(all), k.Asleep.Load())
	require.Equal(t, len(all), got)
	require.Zero(t, k.Restarts.Load())
	require.EqualValues(t, math.MaxInt64, w.g.Next(), "and nobody looks after them")
}
