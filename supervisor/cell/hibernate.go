// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"emqttd/supervisor/group"
)

// Most connections of a broker have nothing to do nearly all the time. An actor
// that had nothing to do for a while hibernates: erlang:hibernate of a process, but
// more thorough. Its incarnation is stopped, with the PID, the registry's entry and
// all that protoactor keeps for it, 3 KB for the four actors of a connection; its
// cell, mailbox and timers stay, and the next message makes its supervisor start
// the next incarnation, some microseconds before the message is handled. Nobody is
// told, no restart is counted, and a crash is the same as ever.
//
// A connection that has just come in hibernates soon: the maps of protoactor's
// registry never shrink, so a wave of connections must not be awake at one time.

// soon is how long a new actor may have nothing to do.
const soon = 20 * time.Millisecond

// youth is how often a new actor may be found at work before it is one that is
// often: then it has as much time as those.
const youth = 3

// What is looked at between two turns of the group, and put to sleep in the next: a
// tenth of a millisecond's work.
const (
	looksPerTurn = 1024
	napsPerTurn  = 64
)

// dormitory knows the actors of a group that are awake and may hibernate.
type dormitory struct {
	g     *group.Group
	young ward
	old   ward
}

// ward is a list of incarnations that is walked round and round, as by the hand of
// a clock: what was not used since the last time goes to sleep.
type ward struct {
	dorm  *dormitory
	timer group.Timer
	every time.Duration
	up    []*incarnation
	hand  int
}

func newDormitory(g *group.Group) *dormitory {
	d := &dormitory{g: g}
	for _, w := range []*ward{&d.young, &d.old} {
		w.dorm = d
		w.timer.Init(w)
	}
	return d
}

// enlist notes an incarnation that begins to be run by the group.
func (x *Context) enlist(i *incarnation) {
	i.spoilt = i.spoilt || i.in != nil // another group may have it listed, and looks at its cell
	i.in = x.group
	after := i.c.kind.Hibernate
	if after <= 0 {
		return
	}
	d := x.dorm
	d.young.every, d.old.every = min(soon, after), after
	if i.c.slept { // something is said to it, and more may follow
		d.old.take(i)
	} else {
		d.young.take(i)
	}
}

func (w *ward) take(i *incarnation) {
	i.listed = true
	w.up = append(w.up, i)
	if w.timer.Deadline() == 0 {
		w.set(w.every)
	}
}

func (w *ward) set(d time.Duration) { w.dorm.g.Arm(&w.timer, w.dorm.g.Now()+int64(d)) }

// Fire implements group.Firer: it goes on with the round, between two tasks of the
// group.
func (w *ward) Fire(*group.Timer) {
	naps := 0
	for looks := 0; w.hand < len(w.up) && looks < looksPerTurn && naps < napsPerTurn; looks++ {
		if i := w.up[w.hand]; !w.keep(i, &naps) {
			last := len(w.up) - 1
			w.up[w.hand], w.up[last] = w.up[last], nil
			w.up = w.up[:last]
		} else {
			w.hand++
		}
	}
	switch {
	case w.hand < len(w.up):
		w.set(0) // in the next turn
		return
	case len(w.up) > 0:
		w.set(w.every)
	default:
		w.timer.Clear()
	}
	w.hand = 0
	if cap(w.up) > minWard && len(w.up) < cap(w.up)/4 {
		w.up = append(make([]*incarnation, 0, cap(w.up)/2), w.up...)
	}
}

// minWard is the size of list that is kept.
const minWard = 256

// keep looks at one incarnation; it reports whether the ward goes on to look at
// it. One whose cell has moved is another group's, which may be writing to it.
func (w *ward) keep(i *incarnation, naps *int) bool {
	c, d := i.c, w.dorm
	switch {
	case c.group.Load() != d.g || c.inc.Load() != i || i.in != d.g:
		return false // moved, or gone
	case c.Ended(): // gone, or spare
		i.listed = false
		return false
	case i.used:
		i.used = false
		i.busy++
		if w == &d.young && i.busy > youth {
			d.old.take(i)
			return false
		}
		return true
	case c.Claim():
		i.nap = true
		*naps++
		d.g.Schedule(&c.Task)
	}
	return true // until it sleeps
}

// hibernate lets the incarnation go if there is nothing to do, and reports whether
// there was not.
func (r *run) hibernate() bool {
	c, i := r.c, r.inc
	i.nap = false
	if a := c.rare.Load(); !c.queue.Empty() || c.leftBehind() || a != nil && a.tried != nil {
		return false
	}
	r.lifecycle(theStop)
	if i.alive() {
		return false
	}
	c.inc.Store(nil)
	c.asleep, c.slept = true, true
	c.kind.Asleep.Add(1)
	c.life.Store(uint32(Hibernating))
	return true
}

var theStop = &actor.Stop{}

// rouse ends the hibernation.
func (c *Cell) rouse() {
	c.asleep, c.waking = false, false
	c.kind.Asleep.Add(-1)
}

// wake is called for a cell that has no incarnation.
func (c *Cell) wake() {
	if c.asleep && !c.waking && !c.queue.Empty() {
		c.waking = true
		c.ask()
	}
}

func (c *Cell) ask() { c.parent.Push(&Wake{Cell: c}) }

// Wake asks a supervisor for the next incarnation of a cell that hibernates.
type Wake struct {
	link
	Cell *Cell
}

// Asleep reports whether c hibernates: a supervisor that starts its children need
// not start this one. One that was asked for has something to do.
func (c *Cell) Asleep() bool { return c.Life() == Hibernating && c.Pending() == 0 }
