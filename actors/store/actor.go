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
		cell.InitTimer(&mem.turn, c, timerTurn)
		cell.InitTimer(&mem.others, c, timerOthers)
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
	turn   cell.TimerFired // at the end of the turn
	others cell.TimerFired // those who were to come have not
}

type state struct {
	writing, broken bool
	gathering       bool // a group, which is not whole: one of the timers is set
	waiting         int  // commits in the queue that somebody waits for
	gather          gather
}

const (
	timerTurn uint8 = iota
	timerOthers
)

// always is a deadline that has passed whatever the clock says: its timer fires when
// the loop has taken up all that was ready in its turn.
const always = 1

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
		a.commit(ctx, msg)
	case *written:
		a.written(ctx, msg)
	case *cell.TimerFired:
		a.fired(ctx, msg.Key)
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

func (a *actorOf) commit(ctx *cell.Context, msg *Commit) {
	a.queue.Push(ctx, msg)
	if msg.Early && msg.Reply != nil && !slot.See(ctx, &a.state).broken {
		ctx.Cast(msg.Reply, &Committed{Tag: msg.Tag})
	}
	if msg.Waits() {
		slot.Edit(ctx, &a.state).waiting++
	}
	a.collect(ctx)
}

// collect begins a group when the engine has nothing to do, and hands it on when it
// is whole: whatever was accepted during one write is in the next.
func (a *actorOf) collect(ctx *cell.Context) {
	s := slot.See(ctx, &a.state)
	if s.writing || s.broken || a.queue.Len(ctx) == 0 {
		return
	}
	now := ctx.Group().Clock().Now() // not of the turn: that may be long
	if !s.gathering {
		s = slot.Edit(ctx, &a.state)
		s.gathering = true
		s.gather.first(now)
		ctx.Arm(a.turn.Timer(), always)
	}
	if s.gather.whole(now, s.waiting) {
		a.write(ctx)
	}
}

// fired goes on with a group that is not whole.
func (a *actorOf) fired(ctx *cell.Context, timer uint8) {
	s := slot.Edit(ctx, &a.state)
	switch {
	case !s.gathering:
	case timer == timerOthers: // some of them may be there, unread
		ctx.Arm(a.turn.Timer(), always)
	case s.gather.waits(ctx.Group().Clock().Now(), s.waiting):
		ctx.Arm(a.others.Timer(), s.gather.until)
	default:
		a.write(ctx)
	}
}

// write hands the engine what there is, when it has nothing to do.
func (a *actorOf) write(ctx *cell.Context) {
	if s := slot.See(ctx, &a.state); s.writing || s.broken || a.queue.Len(ctx) == 0 {
		return
	}
	s := slot.Edit(ctx, &a.state)
	if s.gathering {
		s.gathering = false
		ctx.Clear(a.turn.Timer())
		ctx.Clear(a.others.Timer())
	}
	s.gather.hand(ctx.Group().Clock().Now(), s.waiting)
	g := &group{self: ctx.Self()}
	for len(g.commits) < maxGroup {
		c, ok := a.queue.Peek(ctx)
		if !ok {
			break
		}
		a.queue.Pop(ctx)
		g.commits = append(g.commits, c)
		if c.Waits() {
			s.waiting--
		}
	}
	s.writing = true
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
	answered := 0
	for _, c := range msg.group {
		if c.Waits() {
			answered++
			ctx.Cast(c.Reply, &Committed{Tag: c.Tag, Err: msg.err})
		}
	}
	if s.gather.written(ctx.Group().Clock().Now(), answered, s.waiting) {
		a.collect(ctx)
	} else {
		a.write(ctx)
	}
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

// poison decides about what crashed the actor twice all the same. With a commit
// actors and store would have different truths, and without the end of a write
// nothing would ever be written again.
func (a *actorOf) poison(ctx *cell.Context, p *cell.Poison) {
	switch msg := p.Message.(type) {
	case *Commit:
		a.commit(ctx, msg)
	case *written:
		a.written(ctx, msg)
	case *cell.TimerFired:
		a.write(ctx)
	case *flush:
		ctx.Submit(msg, msg)
	}
}
