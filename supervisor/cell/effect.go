// SPDX-License-Identifier: Apache-2.0

package cell

import "emqttd/supervisor/group"

type op uint8

const (
	opPush op = iota
	opFront
	opAppend
	opSubmit
	opFan
	opArm
	opSet
	opMove
	opEnd
)

// effect is something that a committed decision does to the world. Doing it and
// striking it off (moving Context.next past it) is one act of this package.
type effect struct {
	op     op
	to     *Cell
	msg    Message
	sink   Sink
	lo, hi int // of Context.bytes
	accept Acceptor
	fan    Fanout
	timer  *group.Timer
	group  *group.Group
	n      int64 // time, or the cursor of a fan-out
	key    uint8 // of a timer
}

// effect is a new one behind those that were decided. What it is about is written
// where it stands: a whole one built aside and copied costs more than most are worth.
func (x *Context) effect(op op) *effect {
	n := len(x.effects)
	if n == cap(x.effects) {
		x.effects = append(x.effects, effect{})
	}
	x.effects = x.effects[:n+1] // beyond its length all is zero
	e := &x.effects[n]
	e.op = op
	return e
}

// done makes e zero, of whose fields few were used.
func (e *effect) done() {
	switch e.op {
	case opPush, opFront:
		e.to, e.msg = nil, nil
	case opAppend:
		e.sink, e.lo, e.hi = nil, 0, 0
	case opSubmit:
		e.accept, e.msg = nil, nil
	case opFan:
		e.fan, e.n = nil, 0
	default:
		*e = effect{}
	}
	e.op = 0
}

// outbox holds what an interrupted incarnation has committed but not performed.
type outbox struct {
	effects []effect
	bytes   []byte
	done    []Message // decided about, to be released when the effects are done
}

// perform does the committed effects that are not done yet; hooked says whether a
// hook may fault between them, which its caller has to be ready for.
func (x *Context) perform(hooked bool) {
	for x.next < x.ready {
		if hooked {
			x.between()
		}
		e := &x.effects[x.next]
		switch e.op {
		case opPush:
			if e.to != nil {
				e.to.Push(e.msg)
			}
		case opFront:
			e.to.queue.PushFront(e.msg)
		case opAppend:
			x.append(e)
		case opSubmit:
			e.accept.Accept(e.msg)
		case opFan:
			x.spread(e, hooked)
		case opArm:
			if e.n == 0 {
				e.timer.Clear()
			} else {
				x.group.Arm(e.timer, e.n)
			}
		case opSet:
			x.cell.Set(e.key, e.n)
		case opMove:
			e.to = nil
			x.moveTo = e.group
		case opEnd:
			x.cell.ending = true
		}
		e.done()
		x.next++
	}
}

// takeable is how many bytes are worth more than the swap of two buffers.
const takeable = 4 << 10

// append gives a sink its bytes: the scratch memory itself where nothing else is in
// it and most of it is in use.
func (x *Context) append(e *effect) {
	if e.hi-e.lo >= takeable && e.hi-e.lo == len(x.bytes) && len(x.bytes) >= cap(x.bytes)/4 {
		if to, ok := e.sink.(Taker); ok {
			if instead, ok := to.Take(x.bytes); ok {
				x.bytes = instead[:0]
				return
			}
		}
	}
	e.sink.Append(x.bytes[e.lo:e.hi])
}

// spread pushes a fan-out's messages; its cursor makes each push an act of its
// own.
func (x *Context) spread(e *effect, hooked bool) {
	for n := int64(e.fan.Len()); e.n < n; {
		if hooked && e.n > 0 {
			x.between()
		}
		to, m := e.fan.At(int(e.n))
		if to != nil {
			to.Push(m)
		}
		e.n++
	}
	e.fan.Done()
}

// save moves the committed effects that are not done into the cell, for the
// next incarnation, and forgets the rest.
func (x *Context) save(c *Cell) {
	c.leaveBehind(x.effects[x.next:x.ready], x.bytes)
	x.reset()
}

// leaveBehind keeps effects, and the bytes that they append, for the next
// incarnation.
func (c *Cell) leaveBehind(left []effect, bytes []byte) {
	out := &c.aside().outbox
	for _, e := range left {
		if e.op == opAppend {
			lo := len(out.bytes)
			out.bytes = append(out.bytes, bytes[e.lo:e.hi]...)
			e.lo, e.hi = lo, len(out.bytes)
		}
		out.effects = append(out.effects, e)
	}
}

// load takes the effects that an incarnation left in the cell.
func (x *Context) load(a *rare) {
	x.effects = append(x.effects, a.outbox.effects...)
	x.bytes = append(x.bytes, a.outbox.bytes...)
	x.ready = len(x.effects)
	a.outbox.effects, a.outbox.bytes = nil, nil
}

// reset empties the scratch memory.
func (x *Context) reset() {
	for _, w := range x.writes {
		w.abort()
	}
	clear(x.writes)
	x.writes = x.writes[:0]
	clear(x.effects[x.next:]) // perform has cleared the others
	x.effects = x.effects[:0]
	x.ready, x.next = 0, 0
	clear(x.counts)
	x.counts = x.counts[:0]
	if cap(x.bytes) > maxScratch {
		x.bytes = nil
	}
	x.bytes = x.bytes[:0]
	clear(x.joins)
	x.joins = x.joins[:0]
	x.kept = false
	x.msg, x.blame = nil, nil
}

// maxScratch bounds what a group keeps of the memory that one large decision
// needed.
const maxScratch = 1 << 20
