// SPDX-License-Identifier: Apache-2.0

// Package stagetest runs actors by hand: a group that a test steps, a clock that
// stands still until the test moves it, a real supervisor, and probes that keep
// what they are sent. The actors are the broker's own; nothing of the runtime is
// imitated. It is for tests.
package stagetest

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// Begin is when the clock of every world stands at first.
var Begin = time.Date(2026, 11, 21, 21, 26, 23, 0, time.UTC)

// Clock stands still (group.Clock).
type Clock struct{ now atomic.Int64 }

// Now implements group.Clock.
func (c *Clock) Now() int64 { return c.now.Load() }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.now.Add(int64(d)) }

// World is one group and the supervisor of its actors.
type World struct {
	t     testing.TB
	Clock *Clock
	Group *group.Group
	sup   *supervisor.Supervisor
}

// New makes a world without actors.
func New(t testing.TB) *World {
	w := &World{t: t, Clock: new(Clock)}
	w.Clock.now.Store(Begin.UnixNano())
	w.Group = group.New("test", w.Clock, nil)
	w.sup = supervisor.New("sup", w.Group, supervisor.Options{Strategy: supervisor.SimpleOneForOne,
		MaxRestarts: 1 << 30, Within: time.Hour}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), w.sup, func(*cell.Crash) { t.Error("the supervisor gave up") }))
	w.Drain()
	return w
}

// Supervisor is the cell of the supervisor, for actors that start others.
func (w *World) Supervisor() *cell.Cell { return w.sup.Cell() }

// Start gives the cells their actors.
func (w *World) Start(cells ...*cell.Cell) {
	for _, c := range cells {
		w.sup.Cell().Push(supervisor.Start(c))
	}
	w.Drain()
}

// Drain runs the group to the end of its work. A Goexit ends only the goroutine
// that happened to drive it, so each goes on with another.
func (w *World) Drain() { Drain(w.Group) }

// Drain runs g to the end of its work, what was to come at the end of a turn included.
func Drain(g *group.Group) {
	for ended := false; !ended; {
		done := make(chan any)
		go func() {
			var outcome any
			defer func() {
				if r := recover(); r != nil {
					outcome = r // of the trusted core: nothing goes on after it
				}
				done <- outcome
			}()
			for range 10_000_000 {
				switch {
				case g.RunOne():
				case g.Next() < g.Now():
					g.Tick()
				default:
					ended = true
					runtime.Goexit()
				}
			}
			panic("the group does not come to rest")
		}()
		if r := <-done; r != nil {
			panic(r)
		}
	}
}

// Tell hands c a message and runs the group to its rest.
func (w *World) Tell(c *cell.Cell, m cell.Message) {
	w.t.Helper()
	require.True(w.t, c.Push(m), "%s has ended", c.Name())
	w.Drain()
}

// After moves the clock and does what is due.
func (w *World) After(d time.Duration) {
	w.Clock.Advance(d)
	w.Group.Tick()
	w.Drain()
}

// Probe is an actor that keeps what it is sent.
type Probe struct {
	*cell.Cell
	got []cell.Message
}

// Probe starts one.
func (w *World) Probe(name string) *Probe {
	p := new(Probe)
	p.Cell = cell.New(p.Kind(name), name, w.Group, nil)
	w.Start(p.Cell)
	return p
}

// ProbeAt makes a probe of the zero cell at c, which is part of something else.
func (w *World) ProbeAt(c *cell.Cell, name string, owner cell.Owner) *Probe {
	p := &Probe{Cell: c}
	cell.Init(c, p.Kind(name), name, w.Group, owner)
	w.Start(c)
	return p
}

// Kind is the actor kind of the probe.
func (p *Probe) Kind(name string) *cell.Kind {
	return &cell.Kind{Name: name, New: func(*cell.Cell) cell.Stage { return p }}
}

// Receive implements cell.Stage.
func (p *Probe) Receive(ctx *cell.Context) {
	ctx.Keep()
	ctx.Submit(p, ctx.Message())
}

// Accept implements cell.Acceptor.
func (p *Probe) Accept(m cell.Message) { p.got = append(p.got, m) }

// Take is what came since the last call, in its order.
func (p *Probe) Take() []cell.Message {
	got := p.got
	p.got = nil
	return got
}
