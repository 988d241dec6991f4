// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"time"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// The orderly end of a tree, as OTP has it: a supervisor stops its children one
// by one in the reverse order of their start, each within its own time, and those
// of a simple_one_for_one all at once within one time. A child that is to stop
// handles what is in its mailbox first; one whose time is over is killed: its
// mailbox is left as it is, nobody waits for it, and whoever asked is told.

// Times of Child.Shutdown and Options.Shutdown.
const (
	// DefaultShutdown is that of a child that names none: the 5000 of OTP's workers.
	DefaultShutdown = 5 * time.Second
	// BrutalKill gives no time: the child is stopped whatever is in its mailbox.
	BrutalKill = time.Duration(-1)
)

// timeFor is the time of a child that is to stop.
func timeFor(d time.Duration) time.Duration {
	switch {
	case d == 0:
		return DefaultShutdown
	case d < 0:
		return 0
	}
	return d
}

// crowd is how many children of a simple_one_for_one are asked to stop at a time:
// a turn of their group stays short, however many there are.
const crowd = 512

type (
	shutdown struct {
		mailbox.Link
		done func(killed []*cell.Cell)
	}
	// left says that a child has done what it does before it stops. Child.Leave ->
	// supervisor.
	left struct {
		mailbox.Link
		child *child
	}
	// below says that the tree below a child has stopped.
	below struct {
		mailbox.Link
		child  *child
		killed []*cell.Cell
	}
)

// closing is the state of a supervisor that shuts down.
type closing struct {
	done    func(killed []*cell.Cell)
	killed  []*cell.Cell
	current *child   // of the static ones, that is stopping
	todo    []*child // of the dynamic ones, not asked yet
	asked   int      // of the dynamic ones, that have not stopped
	over    bool     // everything has stopped
}

// Shutdown stops the tree below s, and then calls done, on the group of s, with
// those that had to be killed. A second call does nothing.
func (s *Supervisor) Shutdown(done func(killed []*cell.Cell)) { s.cell.Push(&shutdown{done: done}) }

func (s *Supervisor) shutdown(ctx *cell.Context, done func([]*cell.Cell)) {
	if s.closing != nil {
		return
	}
	s.closing = &closing{done: done}
	if s.opts.Strategy != SimpleOneForOne {
		s.stopNext(ctx)
		return
	}
	s.closing.todo = make([]*child, 0, s.roster.len())
	for c := range s.roster.from(0) {
		ch := s.roster.know(c)
		if s.opts.Leave == nil && c.Asleep() { // it has done everything
			ch.out = true
			continue
		}
		ch.up = true
		s.closing.todo = append(s.closing.todo, ch)
	}
	s.give(ctx, s.opts.Shutdown)
	if s.opts.Leave != nil { // they end by themselves
		s.opts.Leave()
		for _, ch := range s.closing.todo {
			ch.asked = true
		}
		s.closing.asked, s.closing.todo = len(s.closing.todo), nil
	}
	s.stopCrowd(ctx)
}

// give sets the time that the children who stop now have.
func (s *Supervisor) give(ctx *cell.Context, d time.Duration) {
	ctx.Arm(s.grace.Timer(), ctx.Now()+int64(timeFor(d)))
}

// stopNext stops the child that was started last of those that run.
func (s *Supervisor) stopNext(ctx *cell.Context) {
	c := s.closing
	c.current = nil
	for i := len(s.children) - 1; i >= 0; i-- {
		ch := s.children[i]
		if !ch.up {
			continue
		}
		c.current = ch
		switch {
		case ch.Supervisor != nil: // takes as long as those below it
			ch.Supervisor.Shutdown(func(killed []*cell.Cell) { s.cell.Push(&below{child: ch, killed: killed}) })
		case ch.Shutdown < 0:
			s.give(ctx, ch.Shutdown)
		case ch.Leave != nil:
			s.give(ctx, ch.Shutdown)
			ch.Leave(func() { s.cell.Push(&left{child: ch}) })
		default:
			s.give(ctx, ch.Shutdown)
			ch.ask()
		}
		return
	}
	s.finish(ctx)
}

// ask lets the child stop when it has handled what is in its mailbox; at once, when
// no incarnation of it can be made.
func (ch *child) ask() {
	ch.quit = new(cell.Quit)
	ch.Cell.Push(ch.quit)
	if ch.Cell.Life() == cell.Failing {
		ch.hard = true
		ch.Cell.Stop()
	}
}

// finished reports whether a child that has stopped was to stop: a fault or an
// operator's stop before its turn is repaired, for it still serves those that stop
// before it.
func (ch *child) finished() bool {
	return ch.Cell.Ended() || ch.hard || ch.quit != nil && ch.quit.Taken()
}

// below stops a supervisor whose children have stopped.
func (s *Supervisor) below(ctx *cell.Context, msg *below) {
	s.closing.killed = append(s.closing.killed, msg.killed...)
	msg.child.quit = new(cell.Quit)
	s.give(ctx, 0)
	msg.child.Cell.Push(msg.child.quit)
}

// stopCrowd asks the next children of a simple_one_for_one.
func (s *Supervisor) stopCrowd(ctx *cell.Context) {
	c := s.closing
	for c.asked < crowd && len(c.todo) > 0 {
		ch := c.todo[0]
		c.todo = c.todo[1:]
		if ch.out { // it has come to its end meanwhile
			continue
		}
		c.asked++
		ch.asked = true
		ch.ask()
	}
	if c.asked == 0 {
		s.finish(ctx)
	}
}

func (s *Supervisor) finish(ctx *cell.Context) {
	if s.closing.over {
		return
	}
	s.closing.over = true
	ctx.Clear(s.grace.Timer())
	if s.giveUp != nil {
		s.cell.Stop() // the root has nobody who would
	}
	s.closing.done(s.closing.killed)
}

// gone notes that a child has stopped.
func (s *Supervisor) gone(ctx *cell.Context, ch *child) {
	c := s.closing
	s.log.Debug().Str("actor", ch.Cell.Name()).Str("supervisor", s.name).Msg("stopped")
	switch {
	case c.over:
	case s.opts.Strategy == SimpleOneForOne:
		if ch.asked {
			c.asked--
		}
		s.stopCrowd(ctx)
	case ch == c.current:
		s.stopNext(ctx)
	}
}

// kill ends the wait for those whose time is over.
func (s *Supervisor) kill(ctx *cell.Context) {
	c := s.closing
	if c == nil || c.over {
		return
	}
	if s.opts.Strategy != SimpleOneForOne {
		if ch := c.current; ch != nil && (ch.Supervisor == nil || ch.quit != nil) {
			s.strike(ch)
			s.stopNext(ctx)
		}
		return
	}
	if s.opts.Kill != nil {
		s.opts.Kill()
	}
	for a := range s.roster.from(0) {
		if ch := s.roster.known(a); ch != nil && ch.up {
			s.strike(ch)
		}
	}
	c.todo, c.asked = nil, 0
	s.finish(ctx)
}

// strike stops a child whatever is in its mailbox, and says so.
func (s *Supervisor) strike(ch *child) {
	ch.up, ch.out = false, true
	ch.Cell.Stop()
	s.closing.killed = append(s.closing.killed, ch.Cell)
	if ch.Shutdown < 0 || s.opts.Shutdown < 0 {
		return // brutal_kill is what was wanted
	}
	s.log.Error().Str("actor", ch.Cell.Name()).Str("supervisor", s.name).Int("mailbox", ch.Cell.Pending()).
		Dur("shutdown", timeFor(max(ch.Shutdown, s.opts.Shutdown))).Msg("killed: it did not stop in its time")
}

// Stopping is the path of the child that a shutdown waits for at present, "" when
// it waits for none. It may be called from anywhere.
func (s *Supervisor) Stopping() string {
	s.mu.Lock()
	c := s.closing
	var current *child
	waits := c != nil && !c.over
	if waits {
		current = c.current
	}
	s.mu.Unlock()
	switch {
	case !waits:
		return ""
	case current == nil:
		return s.name
	case current.Supervisor != nil:
		if deeper := current.Supervisor.Stopping(); deeper != "" {
			return s.name + " > " + deeper // as deep as the boot list
		}
	}
	return s.name + " > " + current.Cell.Name()
}
