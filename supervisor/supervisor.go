// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

// Strategy is what a supervisor does about the crash of a child.
type Strategy uint8

const (
	OneForOne       Strategy = iota // restart the child
	OneForAll                       // restart all children
	RestForOne                      // restart the child and those started after it
	SimpleOneForOne                 // children of one kind, added and ended at run time
)

func (s Strategy) String() string {
	return [...]string{"one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"}[s]
}

// Restart says when a child that has stopped is started again. Crashes always
// restart; the difference is what an unexpected stop does.
type Restart uint8

const (
	Permanent Restart = iota // always
	Transient                // unless it came to its orderly end
	Temporary                // like Transient here: its cell outlives the actor, see contract of connections
)

// Child is a child specification.
type Child struct {
	Cell    *cell.Cell
	Restart Restart
	// Supervisor is set when the child is itself a supervisor.
	Supervisor *Supervisor
}

// Options are a supervisor's own figures.
type Options struct {
	Strategy Strategy
	// MaxRestarts in Within seconds is the restart intensity: one more crash of a
	// service makes the supervisor give up, which its own supervisor takes for its
	// crash. Crashes of connections and sessions do not count here.
	MaxRestarts int
	Within      time.Duration
	Children    []Child // in order of start; SimpleOneForOne has none
}

// Supervisor is the memory of one supervisor. It outlives the supervisor's
// actor: an incarnation that starts finds its children here and takes them up
// again.
type Supervisor struct {
	name     string
	opts     Options
	cell     *cell.Cell
	nursery  *cell.Nursery
	children []*child              // in order of start
	dynamic  map[*cell.Cell]*child // SimpleOneForOne
	failing  map[*child]int64      // children whose incarnation could not be made, and when to try again
	retry    cell.TimerFired       // the earliest of those times
	crashes  []int64               // times of service crashes within the window; at most MaxRestarts
	serial   uint64
	closing  func()
	giveUp   func(*cell.Crash)
	log      zerolog.Logger

	mu sync.Mutex // children, dynamic and crashes: what Tree looks at from outside the group
}

type child struct {
	Child
	up   bool // has an incarnation
	name string
}

var kind = &cell.Kind{Name: "supervisor", Module: "supervisor", Init: true}

// New makes a supervisor that runs on g.
func New(name string, g *group.Group, opts Options, log zerolog.Logger) *Supervisor {
	s := &Supervisor{name: name, opts: opts, log: log, dynamic: map[*cell.Cell]*child{}, failing: map[*child]int64{}}
	s.cell = cell.New(kindFor(s), name, g, nil)
	cell.InitTimer(&s.retry, s.cell, 0)
	s.nursery = cell.NewNursery(nil)
	for _, c := range opts.Children {
		s.children = append(s.children, &child{Child: c, name: c.Cell.Name()})
	}
	return s
}

func kindFor(s *Supervisor) *cell.Kind {
	return &cell.Kind{Name: kind.Name, Module: kind.Module, Init: true,
		New: func(*cell.Cell) cell.Stage { return (*stage)(s) }}
}

// Name is the supervisor's name.
func (s *Supervisor) Name() string { return s.name }

// Cell is the supervisor's cell.
func (s *Supervisor) Cell() *cell.Cell { return s.cell }

type (
	start struct {
		mailbox.Link
		cell *cell.Cell
	}
	shutdown struct {
		mailbox.Link
		done func()
	}
)

// Start is the message that adds a child to a SimpleOneForOne supervisor:
// supervisor:start_child.
func Start(c *cell.Cell) cell.Message { return &start{cell: c} }

// stage is the supervisor's code. It is part of the trusted core: what it does
// to the tree it does at once, and what it knows it reads from the Supervisor.
type stage Supervisor

// Receive implements cell.Stage.
func (st *stage) Receive(ctx *cell.Context) {
	s := (*Supervisor)(st)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch msg := ctx.Message().(type) {
	case *cell.Started:
		s.adopt(ctx)
	case *start:
		s.started(ctx, msg.cell)
	case *cell.Stopped:
		s.stopped(ctx, msg.Cell)
	case *cell.TimerFired:
		s.tryAgain(ctx)
	case *shutdown:
		s.shutdown(ctx, msg.done)
	case *cell.Poison, *cell.Skip:
	default:
		s.log.Warn().Str("actor", s.name).Type("message", msg).Msg("unexpected message")
	}
}

// adopt starts every child that has no incarnation: all of them at the first
// start, those that the restart of this actor has stopped later.
func (s *Supervisor) adopt(ctx *cell.Context) {
	for _, c := range s.children {
		s.spawn(ctx, c)
	}
	for _, c := range s.dynamic {
		s.spawn(ctx, c)
	}
}

func (s *Supervisor) started(ctx *cell.Context, c *cell.Cell) {
	if s.dynamic[c] != nil {
		return
	}
	s.serial++
	ch := &child{Child: Child{Cell: c, Restart: Temporary}, name: c.Name() + "$" + strconv.FormatUint(s.serial, 36)}
	s.dynamic[c] = ch
	s.spawn(ctx, ch)
}

func (s *Supervisor) spawn(ctx *cell.Context, c *child) {
	if c.up || c.Cell.Ended() || s.closing != nil || c.Cell.PID() != nil {
		return
	}
	nursery := s.nursery
	if c.Supervisor != nil {
		nursery = cell.NewNursery(c.Supervisor) // who judges the crashes of its children
	}
	if err := nursery.Spawn(ctx.Actor(), s.cell, c.Cell, c.name); err != nil {
		panic("supervisor: spawn " + c.name + ": " + err.Error())
	}
	c.up = true
}

func (s *Supervisor) find(c *cell.Cell) *child {
	if ch := s.dynamic[c]; ch != nil {
		return ch
	}
	for _, ch := range s.children {
		if ch.Cell == c {
			return ch
		}
	}
	return nil
}

// stopped repairs a stop that nobody ordered; the cell, its mailbox and its
// outbox are as the old incarnation left them.
func (s *Supervisor) stopped(ctx *cell.Context, c *cell.Cell) {
	ch := s.find(c)
	if ch == nil {
		return
	}
	ch.up = false
	delete(s.failing, ch)
	if c.Ended() {
		delete(s.dynamic, c)
	}
	if s.closing != nil {
		s.stopNext(ctx)
		return
	}
	s.spawn(ctx, ch)
}

// Shutdown stops the children in the reverse order of their start and calls
// done when the last has stopped. Actors are given what is in their mailboxes at
// that moment: whoever wants them drained ends their cells first.
func (s *Supervisor) Shutdown(done func()) { s.cell.Push(&shutdown{done: done}) }

func (s *Supervisor) shutdown(ctx *cell.Context, done func()) {
	s.closing = done
	s.stopNext(ctx)
}

func (s *Supervisor) stopNext(ctx *cell.Context) {
	for _, ch := range s.dynamic {
		if ch.up {
			ctx.Actor().Stop(ch.Cell.PID())
			return
		}
	}
	for i := len(s.children) - 1; i >= 0; i-- {
		ch := s.children[i]
		if !ch.up {
			continue
		}
		if ch.Supervisor != nil && ch.Supervisor.closing == nil {
			ch.Supervisor.Shutdown(func() { s.cell.Push(&cell.Stopped{Cell: ch.Cell}) })
			return
		}
		ctx.Actor().Stop(ch.Cell.PID())
		return
	}
	if done := s.closing; done != nil {
		s.closing = func() {}
		done()
	}
}
