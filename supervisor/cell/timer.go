// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"sync/atomic"

	"emqttd/supervisor/group"
)

// A cell has timers of two sorts. One that is part of a stage's memory (InitTimer)
// is for deadlines that are nearly always set, such as a keep alive. One that the
// stage only has a key for (Context.Set) takes memory while it is set: most
// connections will never wait for any of these again once they are connected.

// TimerFired is the message of a timer that belongs to a cell.
type TimerFired struct {
	link
	timer  group.Timer
	cell   *Cell
	next   *TimerFired // of the same cell
	Key    uint8       // what the stage calls the timer
	loose  bool        // of Set: not in the cell's list while it is off
	queued atomic.Bool
	served int64 // the deadline that its message is about
}

// InitTimer makes t a timer of c that the stage knows by key, before c runs.
func InitTimer(t *TimerFired, c *Cell, key uint8) *group.Timer {
	if t.cell == nil {
		t.bind(c, key)
	}
	return &t.timer
}

func (t *TimerFired) bind(c *Cell, key uint8) {
	t.cell, t.Key = c, key
	t.next, c.timers = c.timers, t
	t.timer.Init(t)
}

// Timer is what Arm and Clear take.
func (t *TimerFired) Timer() *group.Timer { return &t.timer }

// Fire implements group.Firer.
func (t *TimerFired) Fire(*group.Timer) {
	if t.queued.CompareAndSwap(false, true) {
		t.cell.Push(t)
	}
}

// again is called for a message, off the mailbox, that came up when its timer
// was not due: the timer was cleared or set anew after it had fired, or the
// clock was set back.
func (t *TimerFired) again(g *group.Group) {
	t.queued.Store(false)
	if at := t.timer.Deadline(); at != 0 {
		g.Arm(&t.timer, at)
	}
}

// due reports whether the message, come up, means anything, and notes what.
func (t *TimerFired) due(now int64) bool {
	t.served = t.timer.Deadline()
	return t.timer.Due(now)
}

// Release implements Releaser: a timer that its message's decision did not set
// anew is off, and may be set again. The new deadline of one that it did set may have
// come up before the message was done with, in a later turn: where the actor's death
// in between ended a goroutine.
func (t *TimerFired) Release() {
	t.queued.Store(false)
	g := t.cell.group.Load()
	switch at := t.timer.Deadline(); {
	case t.cell.Ended() || at == t.served:
		t.timer.Clear()
		t.cell.forget(t)
	case t.timer.Due(g.Now()):
		g.Arm(&t.timer, at)
	}
}

// Set sets the timer with a key to fire at the given time, nanoseconds since the
// Unix epoch; 0 turns it off. It is called on the cell's group, for a cell that
// does not run yet; a stage calls Context.Set.
func (c *Cell) Set(key uint8, at int64) {
	t := c.timers
	for t != nil && !(t.loose && t.Key == key) {
		t = t.next
	}
	switch {
	case at != 0:
		if t == nil {
			t = &TimerFired{loose: true}
			t.bind(c, key)
		}
		c.group.Load().Arm(&t.timer, at)
	case t != nil:
		// Its entry in the group's heap, and its message in the mailbox, find that it
		// is off.
		t.timer.Clear()
		c.forget(t)
	}
}

// forget takes a timer that is off, and only has a key, out of the cell's list.
func (c *Cell) forget(t *TimerFired) {
	if !t.loose {
		return
	}
	for at := &c.timers; *at != nil; at = &(*at).next {
		if *at == t {
			*at, t.next = t.next, nil
			return
		}
	}
}
