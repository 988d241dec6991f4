// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"emqttd/supervisor/group"
)

// Context is what a stage's Receive sees: the message, and the scratch memory
// that its decision is written to. There is one per group; it is valid during
// Receive only.
type Context struct {
	group *group.Group
	cell  *Cell
	msg   Message
	pa    actor.Context // of the shell, for supervisors
	kept  bool

	writes  []writer // what the commit assigns
	effects []effect // decided; committed when the commit moves `ready` past them
	ready   int      // effects below are committed
	next    int      // effects below are performed
	lastFan int      // the newest fan-out among them, if it is one
	counts  []count  // what the commit counts
	bytes   []byte   // what Append effects append
	slots   []any    // shadows by Slot
	logs    []any    // redo logs of containers, by type
	blame   any      // see Blame
	lease   *group.Lease
	inside  bool // between enter and leave
	note    note // for whoever takes the lease
	joins   []join
	moveTo  *group.Group // where the cell in work goes, at the end of its turn
	dorm    *dormitory   // of the group
}

func contextOf(g *group.Group) *Context {
	if x, ok := g.Scratch.Load().(*Context); ok {
		return x
	}
	x := newContext(g)
	g.Scratch.Store(x)
	return x
}

func newContext(g *group.Group) *Context {
	return &Context{group: g, lease: g.Lease(), dorm: newDormitory(g)}
}

// Message is what Receive decides about.
func (x *Context) Message() Message { return x.msg }

// Self is the cell of the actor.
func (x *Context) Self() *Cell { return x.cell }

// Now is the time of the turn, nanoseconds since the Unix epoch.
func (x *Context) Now() int64 {
	x.check()
	return x.group.Now()
}

// Group is the group that runs the actor.
func (x *Context) Group() *group.Group { return x.group }

// Actor is the protoactor context, for supervisors.
func (x *Context) Actor() actor.Context { return x.pa }

// Again reports whether this is the second attempt at the message: the first one
// crashed.
func (x *Context) Again() bool { return x.cell.attempts(x.msg) > 0 }

// Keep says that the stage keeps the message (it passes it on or stores it), so
// that it is not released.
func (x *Context) Keep() { x.kept = true }

// Cast sends m to another cell: gen_server:cast. A nil cell is one that is gone.
func (x *Context) Cast(to *Cell, m Message) {
	x.at(Decide)
	e := x.effect(opPush)
	e.to, e.msg = to, m
}

// Return puts a message that the stage kept back to the front of its own
// mailbox. Several are given youngest first.
func (x *Context) Return(m Message) {
	e := x.effect(opFront)
	e.to, e.msg = x.cell, m
}

// Blame says what, besides its message, the decision is busy with: if it crashes
// then, Crash.Blame tells whoever answers the poison what to look at. nil: nothing
// any more. It is a hint and no part of the decision; v is a pointer, which costs
// no memory.
func (x *Context) Blame(v any) {
	x.blame = v
	if v != nil {
		x.at(Decide)
	}
}

// Blamed is what the decision of c that is under way is busy with: for hooks,
// which are called within it.
func (c *Cell) Blamed() any { return contextOf(c.group.Load()).blame }

// Sink takes the bytes of Append effects: the out-buffer of a connection.
type Sink interface {
	// Append copies b behind what was appended before. It never fails; bounds are
	// its owner's policy.
	Append(b []byte)
}

// Taker is a Sink that may take the memory of a large b in place of a copy, and
// gives memory of its own for it, at least as much. It reports false, having done
// nothing, if Append has to do it.
type Taker interface {
	Sink
	Take(b []byte) (instead []byte, ok bool)
}

// Bytes is scratch memory to encode into: append to it, hand the result to
// Write. It is empty when the decision begins.
func (x *Context) Bytes() []byte { return x.bytes[len(x.bytes):] }

// Write appends b, made by appending to Bytes, to the sink.
func (x *Context) Write(to Sink, b []byte) {
	x.at(Decide)
	if len(b) == 0 {
		return
	}
	lo := len(x.bytes)
	if lo+len(b) <= cap(x.bytes) && &x.bytes[:lo+1][lo] == &b[0] {
		x.bytes = x.bytes[:lo+len(b)] // encoded in place
	} else {
		x.bytes = append(x.bytes, b...)
	}
	if n := len(x.effects); n > x.ready && x.effects[n-1].op == opAppend && x.effects[n-1].sink == to {
		x.effects[n-1].hi = len(x.bytes)
		return
	}
	e := x.effect(opAppend)
	e.sink, e.lo, e.hi = to, lo, len(x.bytes)
}

// Acceptor is a table of the trusted core that takes a message in one act: the
// store's acceptance, the routing table, a connection.
type Acceptor interface {
	// Accept takes m, as one indivisible act. It must not call stages.
	Accept(m Message)
}

// Submit hands m to an acceptor.
func (x *Context) Submit(to Acceptor, m Message) {
	x.at(Decide)
	e := x.effect(opSubmit)
	e.accept, e.msg = to, m
}

// Fanout is a match list: one effect that pushes a message to each of many
// cells.
type Fanout interface {
	// Len is the number of targets.
	Len() int
	// At makes the message for target i. Nil cells are skipped.
	At(i int) (*Cell, Message)
	// Done is called when all are pushed.
	Done()
}

// Fan pushes f's messages to f's targets.
func (x *Context) Fan(f Fanout) {
	x.at(Decide)
	x.lastFan = len(x.effects)
	x.effect(opFan).fan = f
}

// Joinable is a fan-out or message that is queued and can take more in.
type Joinable interface {
	// Join adds m to what the targets get.
	Join(m any)
}

type join struct {
	f Joinable
	m any
}

// Join adds m to what LastFan returned, when the decision commits.
func (x *Context) Join(f Joinable, m any) { x.joins = append(x.joins, join{f, m}) }

// LastFan is the fan-out that this message's decisions have queued last, nil
// when there is none: a run of messages to one topic can join it. What was queued
// behind it goes to other actors than its targets.
func (x *Context) LastFan() Fanout {
	if x.lastFan >= x.next && x.lastFan < len(x.effects) && x.effects[x.lastFan].op == opFan {
		return x.effects[x.lastFan].fan
	}
	return nil
}

// OwnFan is LastFan if it is not committed: what the decision under way has made,
// and a crash takes away with it, it may go on making without Join.
func (x *Context) OwnFan() Fanout {
	if x.lastFan < x.ready {
		return nil
	}
	return x.LastFan()
}

// Arm sets t to fire at the given time, nanoseconds since the Unix epoch.
func (x *Context) Arm(t *group.Timer, at int64) {
	e := x.effect(opArm)
	e.timer, e.n = t, at
}

// Clear turns t off.
func (x *Context) Clear(t *group.Timer) {
	x.effect(opArm).timer = t
}

// Set sets the timer of the cell that the stage knows by key to fire at the given
// time, nanoseconds since the Unix epoch; 0 turns it off. What comes of it is a
// TimerFired with the key.
func (x *Context) Set(key uint8, at int64) {
	e := x.effect(opSet)
	e.key, e.n = key, at
}

// Count adds n to a counter, when the decision commits.
func (x *Context) Count(c *atomic.Int64, n int64) {
	if i := len(x.counts) - 1; i >= 0 && x.counts[i].of == c {
		x.counts[i].n += n
		return
	}
	x.counts = append(x.counts, count{c, n})
}

// count is n more for a counter.
type count struct {
	of *atomic.Int64
	n  int64
}

// Move takes the cell to another group once this message is done.
func (x *Context) Move(to *group.Group) {
	x.effect(opMove).group = to
}

// End brings the cell to its orderly end: what is left in the mailbox is
// dropped, each message to its counted reason, and the actor stops for good.
func (x *Context) End() {
	x.effect(opEnd).to = x.cell
}

// Batch is a message of several parts that are decided about one by one.
type Batch interface {
	Message
	// Place is the part that is decided about, whatever numbers it: it says whether
	// two crashes were of the same.
	Place() int
	// Advance moves the cursor past what was decided about since the last Advance:
	// it is committed.
	Advance()
	// Rewind goes back to there: the decision has crashed.
	Rewind()
}

// Commit makes the decision about the present part of b final and goes on to
// the next: a crash from here on tries only what comes after. The stage's
// Receive calls it once per part and returns after the last.
func (x *Context) Commit(b Batch) {
	x.leave()
	x.commitWrites()
	b.Advance()
	x.ready = len(x.effects)
	x.cell.settled(x.msg)
	x.enter(x.cell, Decide)
}
