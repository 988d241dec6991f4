// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

// manual is a clock that is set by hand.
type manual struct{ now atomic.Int64 }

func (m *manual) Now() int64 { return m.now.Load() }

// nursery restarts whatever crashes and starts again whatever stops: a
// supervisor without policy.
type nursery struct {
	cell    *cell.Cell
	own     *cell.Nursery
	crashes []*cell.Crash
	names   int
}

// HandleFailure implements actor.SupervisorStrategy.
func (n *nursery) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	n.crashes = append(n.crashes, reason.(*cell.Crash))
	sup.RestartChildren(who)
}

type adopt struct {
	mailbox.Link
	cell *cell.Cell
}

// Receive implements cell.Stage.
func (n *nursery) Receive(ctx *cell.Context) {
	var c *cell.Cell
	switch m := ctx.Message().(type) {
	case *adopt:
		c = m.cell
	case *cell.Stopped:
		c = m.Cell
	case *cell.Wake:
		c = m.Cell
	}
	if c == nil || c.Ended() || c.Spawned() {
		return
	}
	n.names++
	if err := n.own.Spawn(ctx.Actor(), n.cell, c, fmt.Sprint(c.Name(), "$", n.names)); err != nil {
		panic(err)
	}
}

// world is one nursery and its group.
type world struct {
	clock *manual
	g     *group.Group
	*nursery
}

func newWorld(t require.TestingT) *world {
	w := &world{clock: &manual{}, nursery: &nursery{}}
	w.clock.now.Store(1_000_000)
	w.g = group.New("test", w.clock, nil)
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	k := &cell.Kind{Name: "nursery", New: func(*cell.Cell) cell.Stage { return w.nursery }}
	w.nursery.cell = cell.New(k, "nursery", w.g, nil)
	w.own = cell.NewNursery(nil)
	require.NoError(t, cell.NewNursery(w.nursery).Spawn(system.Root, nil, w.nursery.cell, "nursery"))
	return w
}

// start gives c an actor.
func (w *world) start(c *cell.Cell) *cell.Cell {
	w.nursery.cell.Push(&adopt{cell: c})
	w.drain()
	return c
}

// steps runs at most n tasks and reports how many there were. A Goexit ends only
// the goroutine that happened to drive the group.
func (w *world) steps(n int) (ran int) {
	for ran < n {
		ended := false
		done := make(chan bool)
		go func() {
			defer close(done)
			for ran < n {
				ran++
				if !w.g.RunOne() {
					ran--
					ended = true
					return
				}
			}
		}()
		<-done
		if ended {
			return ran
		}
	}
	return ran
}

// drain runs the group to the end of its work, which no test lets be endless.
func (w *world) drain() {
	const endless = 1_000_000
	if w.steps(endless) == endless {
		panic("the group does not come to rest")
	}
}

// tick moves the clock and does what is due.
func (w *world) tick(d int64) {
	w.clock.now.Add(d)
	w.g.Tick()
	w.drain()
}

// text is a message that says what to do.
type text struct {
	mailbox.Link
	s        string
	released int
}

// Release implements cell.Releaser.
func (m *text) Release() { m.released++ }

// stageFunc is a stage of one function.
type stageFunc func(ctx *cell.Context)

// Receive implements cell.Stage.
func (f stageFunc) Receive(ctx *cell.Context) { f(ctx) }

func kindOf(name string, f stageFunc) *cell.Kind {
	return &cell.Kind{Name: name, New: func(*cell.Cell) cell.Stage { return f }}
}

// hookFunc is a hook of one function.
type hookFunc func(c *cell.Cell, p cell.Phase, m cell.Message)

// At implements cell.Hook.
func (f hookFunc) At(c *cell.Cell, p cell.Phase, m cell.Message) { f(c, p, m) }

// hooked installs f until the test ends.
func hooked(t testing.TB, f hookFunc) {
	cell.SetHook(f)
	t.Cleanup(func() { cell.SetHook(nil) })
}

// sink collects bytes.
type sink struct{ b []byte }

// Append implements cell.Sink.
func (s *sink) Append(b []byte) { s.b = append(s.b, b...) }
