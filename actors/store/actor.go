// SPDX-License-Identifier: Apache-2.0

package store

import (
	"github.com/rs/zerolog"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// maxGroup bounds the commits of one group.
const maxGroup = 4096

// Kind makes the store's actor kind. failed is called once when the engine says
// that it can no longer write: nothing is acknowledged after that.
func Kind(engine Engine, failed func(error), log zerolog.Logger) *cell.Kind {
	mem := &memory{engine: engine, failed: failed}
	return &cell.Kind{Name: "store", Module: "emqttd_backend", New: func(c *cell.Cell) cell.Stage {
		return &actorOf{memory: mem, log: log}
	}}
}

// memory is the store's cell: it outlives the incarnations.
type memory struct {
	engine Engine
	failed func(error)
	queue  cell.Queue[*Commit]
	empty  cell.Queue[*flush] // that wait until the queue is
	state  state
}

type state struct{ writing, broken bool }

var slot = cell.NewSlot[state]()

type (
	// written ends the write of a group. engine -> self.
	written struct {
		mailbox.Link
		group []*Commit
		err   error
	}
	// group goes to the engine as one act.
	group struct {
		mailbox.Link
		commits []*Commit
		self    *cell.Cell
	}
	// flush asks to be told when the engine has answered what was accepted before.
	flush struct {
		mailbox.Link
		done func()
	}
)

// Flush calls done, on the group of the store actor c, when the engine has answered
// every commit that was accepted before: for the end of a broker.
func Flush(c *cell.Cell, done func()) { c.Push(&flush{done: done}) }

// Accept implements cell.Acceptor for *flush.
func (f *flush) Accept(cell.Message) { f.done() }

type actorOf struct {
	*memory
	log zerolog.Logger
}

// Receive implements cell.Stage.
func (a *actorOf) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *Commit:
		ctx.Keep()
		a.queue.Push(ctx, msg)
		if msg.Early && msg.Reply != nil && !slot.See(ctx, &a.state).broken {
			ctx.Cast(msg.Reply, &Committed{Tag: msg.Tag})
		}
		a.write(ctx)
	case *written:
		a.written(ctx, msg)
	case *flush:
		ctx.Keep()
		a.empty.Push(ctx, msg)
		a.flushed(ctx)
	case *cell.Poison:
		a.poison(ctx, msg)
	case *cell.Skip:
	default:
		a.log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

// write hands the engine the next group when it has nothing to do: whatever was
// accepted during one write is the next.
func (a *actorOf) write(ctx *cell.Context) {
	s := slot.See(ctx, &a.state)
	if s.writing || s.broken || a.queue.Len(ctx) == 0 {
		return
	}
	g := &group{self: ctx.Self()}
	for len(g.commits) < maxGroup {
		c, ok := a.queue.Peek(ctx)
		if !ok {
			break
		}
		a.queue.Pop(ctx)
		g.commits = append(g.commits, c)
	}
	slot.Edit(ctx, &a.state).writing = true
	ctx.Submit(a.memory, g)
}

// Accept implements cell.Acceptor for groups.
func (m *memory) Accept(msg cell.Message) {
	g := msg.(*group)
	m.engine.Write(g.commits, func(err error) {
		if err != nil && m.failed != nil {
			m.failed(err)
		}
		g.self.Push(&written{group: g.commits, err: err})
	})
}

func (a *actorOf) written(ctx *cell.Context, msg *written) {
	s := slot.Edit(ctx, &a.state)
	s.writing, s.broken = false, s.broken || msg.err != nil
	for _, c := range msg.group {
		if c.Waits() {
			ctx.Cast(c.Reply, &Committed{Tag: c.Tag, Err: msg.err})
		}
	}
	a.write(ctx)
	a.flushed(ctx)
}

// flushed tells those who wait for an empty queue. A store that can write no longer
// has none.
func (a *actorOf) flushed(ctx *cell.Context) {
	if s := slot.See(ctx, &a.state); !s.broken && (s.writing || a.queue.Len(ctx) > 0) {
		return
	}
	for {
		f, ok := a.empty.Peek(ctx)
		if !ok {
			return
		}
		a.empty.Pop(ctx)
		ctx.Submit(f, f)
	}
}

// poison answers what crashed the actor twice. The end of a write is decided
// about all the same: its group is durable, and without it nothing would ever be
// written again.
func (a *actorOf) poison(ctx *cell.Context, p *cell.Poison) {
	switch msg := p.Message.(type) {
	case *Commit:
		if msg.Reply != nil {
			ctx.Cast(msg.Reply, &Committed{Tag: msg.Tag, Err: errPoison})
		}
	case *written:
		a.written(ctx, msg)
	case *flush:
		ctx.Submit(msg, msg)
	}
}
