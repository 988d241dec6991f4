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
	// Shutdown is how long the child may take to stop in order, OTP's shutdown: 0
	// is DefaultShutdown. A supervisor takes as long as those below it.
	Shutdown time.Duration
	// Leave is OTP's terminate: what has to be done before the actor stops. It is
	// called on the supervisor's group, must not wait, and calls done from anywhere
	// when the actor may stop. Nil: there is nothing.
	Leave func(done func())
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

	// Of a SimpleOneForOne: how long all its children together may take to stop.
	Shutdown time.Duration
	// Leave asks them to come to their orderly end; nil: they are stopped. Kill lets
	// go of what they still hold when the time is over; nil: there is nothing. Both
	// are called on the supervisor's group and must not wait.
	Leave, Kill func()
}

// Supervisor is the memory of one supervisor. It outlives the supervisor's
// actor: an incarnation that starts finds its children here and takes them up
// again.
type Supervisor struct {
	name     string
	opts     Options
	cell     *cell.Cell
	nursery  *cell.Nursery
	children []*child             // in order of start
	roster   roster               // SimpleOneForOne
	failing  map[*cell.Cell]int64 // children whose incarnation could not be made, and when to try again
	retry    cell.TimerFired      // the earliest of those times
	grace    cell.TimerFired      // the end of the time to stop
	crashes  []int64              // times of service crashes within the window; at most MaxRestarts
	serial   uint64
	closing  *closing // nil: not asked to shut down
	giveUp   func(*cell.Crash)
	log      zerolog.Logger

	mu sync.Mutex // children, roster, crashes and closing: what Tree looks at from outside the group
}

type child struct {
	Child
	up    bool       // has an incarnation; of a roster: a shutdown waits for it
	quit  *cell.Quit // it was asked to stop; nil: it was not
	hard  bool       // and is stopped whatever is in its mailbox: no incarnation of it can be made
	asked bool       // of a roster: it is one of closing.asked
	out   bool       // has stopped for good: of a supervisor that shuts down
}

var kind = &cell.Kind{Name: "supervisor", Module: "supervisor", Init: true}

// New makes a supervisor that runs on g.
func New(name string, g *group.Group, opts Options, log zerolog.Logger) *Supervisor {
	s := &Supervisor{name: name, opts: opts, log: log, failing: map[*cell.Cell]int64{}}
	s.cell = cell.New(kindFor(s), name, g, nil)
	cell.InitTimer(&s.retry, s.cell, timerRetry)
	cell.InitTimer(&s.grace, s.cell, timerGrace)
	s.nursery = cell.NewNursery(nil)
	if opts.Strategy == SimpleOneForOne {
		s.nursery.Keep(maxSpare)
	}
	for _, c := range opts.Children {
		s.children = append(s.children, &child{Child: c})
	}
	return s
}

// maxSpare is how many actors of children that have ended a simple_one_for_one keeps
// for the next ones: those of 85 connections, 0.2 MB.
const maxSpare = 256

const (
	timerRetry uint8 = iota
	timerGrace
)

func kindFor(s *Supervisor) *cell.Kind {
	return &cell.Kind{Name: kind.Name, Module: kind.Module, Init: true,
		New: func(*cell.Cell) cell.Stage { return (*stage)(s) }}
}

// Name is the supervisor's name.
func (s *Supervisor) Name() string { return s.name }

// Cell is the supervisor's cell.
func (s *Supervisor) Cell() *cell.Cell { return s.cell }

type start struct {
	mailbox.Link
	cells []*cell.Cell
}

var starts = sync.Pool{New: func() any { return new(start) }}

// Start is the message that adds children to a SimpleOneForOne supervisor, in their
// order: supervisor:start_child.
func Start(all ...*cell.Cell) cell.Message {
	m := starts.Get().(*start)
	m.cells = append(m.cells, all...)
	return m
}

// Release implements cell.Releaser.
func (m *start) Release() {
	clear(m.cells)
	m.cells = m.cells[:0]
	starts.Put(m)
}

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
		for _, c := range msg.cells {
			s.started(ctx, c)
		}
	case *cell.Stopped:
		s.stopped(ctx, msg.Cell)
	case *cell.Wake:
		s.start(ctx, msg.Cell)
	case *cell.TimerFired:
		if msg.Key == timerGrace {
			s.kill(ctx)
		} else {
			s.tryAgain(ctx)
		}
	case *shutdown:
		s.shutdown(ctx, msg.done)
	case *left:
		if s.closing.current == msg.child {
			msg.child.ask()
		}
	case *below:
		s.below(ctx, msg)
	case *cell.Poison, *cell.Skip:
	default:
		s.log.Warn().Str("actor", s.name).Type("message", msg).Msg("unexpected message")
	}
}

// adopt starts every child that has no incarnation: all of them at the first
// start, those that the restart of this actor has stopped later; not those that
// hibernate.
func (s *Supervisor) adopt(ctx *cell.Context) {
	for _, c := range s.children {
		s.spawn(ctx, c)
	}
	for c := range s.roster.from(0) {
		if !c.Asleep() {
			s.start(ctx, c)
		}
	}
}

func (s *Supervisor) started(ctx *cell.Context, c *cell.Cell) {
	if s.roster.has(c) || s.closing != nil {
		return
	}
	s.roster.add(c)
	s.start(ctx, c)
}

// start gives a child of the roster its next incarnation, under a number of its own:
// the one before it may not be gone yet. To protoactor that is its whole name, since
// names are what connecting would pay for: to make, to hash and to keep. What people
// see is Cell.Name.
func (s *Supervisor) start(ctx *cell.Context, c *cell.Cell) {
	if !s.roster.has(c) || c.Ended() || c.Spawned() {
		return
	}
	if ch := s.roster.known(c); ch != nil && ch.out {
		return
	}
	if s.nursery.Adopt(c) {
		return
	}
	s.serial++
	if err := s.nursery.Spawn(ctx.Actor(), s.cell, c, strconv.FormatUint(s.serial, 36)); err != nil {
		panic("supervisor: spawn " + c.Name() + ": " + err.Error())
	}
}

func (s *Supervisor) spawn(ctx *cell.Context, c *child) {
	if c.up || c.out || c.Cell.Ended() || c.Cell.Spawned() {
		return
	}
	nursery := s.nursery
	if c.Supervisor != nil {
		nursery = cell.NewNursery(c.Supervisor) // who judges the crashes of its children
	}
	if err := nursery.Spawn(ctx.Actor(), s.cell, c.Cell, c.Cell.Name()); err != nil {
		panic("supervisor: spawn " + c.Cell.Name() + ": " + err.Error())
	}
	c.up = true
}

// stopped repairs a stop that nobody ordered; the cell, its mailbox and its
// outbox are as the old incarnation left them.
func (s *Supervisor) stopped(ctx *cell.Context, c *cell.Cell) {
	delete(s.failing, c)
	dynamic, i := s.roster.has(c), s.index(c)
	var ch *child
	switch {
	case dynamic:
		if ch = s.roster.known(c); c.Ended() {
			s.roster.remove(c)
		}
	case i >= 0:
		ch = s.children[i]
		ch.up = false
	default:
		return
	}
	if s.closing != nil && ch != nil && !ch.out && ch.finished() {
		ch.up, ch.out = false, true
		s.gone(ctx, ch)
	}
	if dynamic {
		s.start(ctx, c)
	} else {
		s.spawn(ctx, ch)
	}
}
