// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"emqttd/supervisor/group"
)

// throughput is how many messages a cell handles before the other cells of its
// group get their turn.
const throughput = 256

// Run implements group.Runner: it performs what an incarnation left, then takes
// message after message through decide, commit, perform.
func (c *Cell) Run(g *group.Group) {
	x := contextOf(g)
	r := run{c: c, x: x, phase: inCore}
	defer r.finish()
	for range throughput {
		i := c.inc.Load()
		r.inc = i
		if i != nil {
			if m, ok := i.sys.pop(); ok {
				r.system(m)
				continue
			}
		}
		if c.orders.Load() != 0 {
			if r.order() {
				break
			}
			continue
		}
		if i == nil {
			c.wake()
			break
		}
		if !i.ready() || x.moveTo != nil {
			break
		}
		if i.nap && r.hibernate() {
			break
		}
		if i.in != g {
			x.enlist(i)
		}
		if !r.user() {
			break
		}
	}
	r.clean = true
}

// order does what orders say; it reports true when the cell has ended.
func (r *run) order() (over bool) {
	c := r.c
	if c.Ended() {
		c.drain()
		return true
	}
	c.orders.And(^uint32(toStop))
	switch {
	case r.inc != nil && r.inc.invoker != nil:
		r.system(theStop)
	case c.asleep:
		// It is as if an incarnation had been stopped: the next one is counted.
		c.rouse()
		c.why = ByStop
		c.life.Store(uint32(Waiting))
		c.ask()
	}
	return false
}

// run is one call of Cell.Run.
type run struct {
	c     *Cell
	x     *Context
	inc   *incarnation // of c
	phase runPhase
	clean bool // Run came to its end: neither panic nor Goexit
}

type runPhase uint8

const (
	inCore    runPhase = iota // a panic here ends the process
	inDecide                  // in a stage's code
	inBetween                 // between two effects, where only faults are injected
	inSystem                  // in a lifecycle message
	inMaking                  // in Kind.New
)

// user takes one message through its three parts; it reports false when there
// is none.
func (r *run) user() bool {
	c, x := r.c, r.x
	x.cell = c
	if c.leftBehind() {
		a := c.aside()
		x.load(a)
		r.finishEffects()
		x.reset()
		for _, m := range a.outbox.done {
			release(m)
		}
		a.outbox.done = nil
		c.repaired()
		if c.ending {
			r.end()
			return r.goesOn()
		}
	}
	m := c.queue.Peek()
	if m == nil {
		return false
	}
	r.inc.used = true
	switch m := m.(type) {
	case *TimerFired:
		if !m.due(x.Now()) {
			c.queue.Pop()
			c.settled(m)
			m.again(x.group)
			return true
		}
	case *Quit:
		c.queue.Pop()
		m.taken = true
		c.Stop() // the next thing that Run does
		return true
	}
	if c.attempts(m) >= 2 {
		if _, ok := m.(*Skip); ok { // whatever comes, the stage crashes: on to the next message
			c.queue.Pop()
			c.settled(m)
			return true
		}
		m = r.poison(m)
	}
	x.msg = m
	r.phase = inDecide
	x.enter(c, Decide)
	x.at(Before)
	r.inc.invoker.InvokeUserMessage(c)
	x.leave()
	r.phase = inCore
	x.commitWrites()
	x.ready = len(x.effects)
	c.queue.Pop()
	c.settled(m)
	r.finishEffects()
	if hook.Load() != nil {
		x.at(Done)
	}
	kept := x.kept
	x.reset()
	if !kept {
		release(m)
	}
	c.repaired()
	if c.ending {
		r.end()
		return r.goesOn()
	}
	return true
}

// goesOn reports whether the cell that has ended stays here: then its actor stops in
// the same turn.
func (r *run) goesOn() bool { return r.x.moveTo == nil }

// repaired ends what a crash began: a message has come to its end again.
func (c *Cell) repaired() {
	if a := c.rare.Load(); a != nil && a.broke != 0 {
		c.kind.Recovery.Observe(c.group.Load().Clock().Now() - a.broke)
		a.broke = 0
	}
}

// settled forgets the crashes of m: it is decided about.
func (c *Cell) settled(m Message) {
	if a := c.rare.Load(); a != nil && a.tried == m {
		a.tried, a.attempts = nil, 0
	}
}

// attempts is the number of decisions about m that crashed.
func (c *Cell) attempts(m Message) uint8 {
	if a := c.rare.Load(); a != nil && a.tried == m {
		return a.attempts
	}
	return 0
}

// release lets go of a message that its receiver is done with. A timer whose
// message was poison may be set again.
func release(m Message) {
	if p, ok := m.(*Poison); ok {
		if t, ok := p.Message.(*TimerFired); ok {
			t.Release()
		}
		return
	}
	if rel, ok := m.(Releaser); ok {
		rel.Release()
	}
}

func (r *run) finishEffects() {
	hooked := hook.Load() != nil
	if hooked {
		r.phase = inBetween // a fault may be injected: it is not the core's
	}
	r.x.perform(hooked)
	r.phase = inCore
}

// poison replaces the message at the head, which has crashed its actor twice.
func (r *run) poison(m Message) Message {
	c := r.c
	c.queue.Pop()
	if p, ok := m.(*Poison); ok {
		// The answer to poison is poison, too: give up what the cell belongs to.
		if c.owner != nil {
			c.owner.Abort(c, p.Crash)
		}
		c.settled(m)
		release(m)
		skip := new(Skip)
		c.queue.PushFront(skip)
		return skip
	}
	p := &Poison{Message: m, Crash: c.LastCrash()}
	c.queue.PushFront(p)
	c.settled(m)
	c.kind.Poisoned.Add(1)
	return p
}

// Skip takes the place of a message that nobody can decide about; stages ignore
// it.
type Skip struct{ link }

// end drains the mailbox of a cell that came to its orderly end and stops its
// actor.
func (r *run) end() {
	c := r.c
	c.orders.Or(ended)
	c.life.Store(uint32(Ended))
	if c.born {
		c.kind.Cells.Add(-1)
	}
	c.drain()
	for t := c.timers; t != nil; t = t.next {
		t.timer.Clear() // else the group would hold the cell until their deadlines
	}
	c.timers = nil
	if i := c.inc.Load(); i != nil && i.invoker != nil {
		if !r.retire(i) {
			i.sys.push(theStop) // as its PID would, which would have to be looked up
		}
	}
}

func (c *Cell) drain() {
	for m := c.queue.Peek(); m != nil; m = c.queue.Peek() {
		c.queue.Pop()
		c.lost(m)
	}
}

// finish is deferred by Run. After a panic or Goexit in a stage's code it keeps
// what was committed, tells the supervisor, and leaves the group fit to go on.
func (r *run) finish() {
	c := r.c
	if r.x.lease.Fenced() {
		if recover() != nil { // whatever it was, nobody waits for it
			runtime.Goexit()
		}
		return // in a Goexit
	}
	if !r.clean {
		reason := recover() // nil: Goexit
		if r.x.inside {
			r.x.leave()
		}
		if r.phase == inCore {
			panic(fmt.Sprintf("trusted core: %s: %v\n%s", c.Name(), reason, debug.Stack()))
		}
		r.crashed(reason)
	}
	r.x.cell = nil
	if to := r.x.moveTo; to != nil {
		// The task stays claimed: from here on the cell is the other group's, and
		// this one may not even look whether there is something to do.
		r.x.moveTo = nil
		c.group.Store(to)
		to.Schedule(&c.Task)
		return
	}
	c.Task.Release()
	if c.busy() {
		c.schedule()
	}
}

// busy reports whether Run would find something to do.
func (c *Cell) busy() bool {
	i, o := c.inc.Load(), c.orders.Load()
	switch {
	case i != nil && !i.sys.empty():
		return true
	case o&ended != 0:
		return !c.queue.Empty()
	case o&toStop != 0:
		return true
	case i == nil:
		return c.asleep && !c.waking && !c.queue.Empty()
	}
	return i.ready() && (!c.queue.Empty() || c.leftBehind())
}

func (r *run) crashed(reason any) {
	c, x, a := r.c, r.x, r.c.aside()
	crash := &Crash{Cell: c, Reason: reason, Stack: debug.Stack(), Message: x.msg, Phase: Decide, Blame: x.blame,
		At: x.group.Clock().Now()}
	c.why = ByPanic
	if reason == nil {
		c.why, crash.Reason = ByGoexit, "goexit"
	}
	crash.Text = fmt.Sprint(crash.Reason)
	c.kind.Crashes.Add(1)
	life := Restarting
	switch r.phase {
	case inMaking:
		c.why, life = ByMaking, Failing
		a.failed = min(a.failed+1, maxFailed)
		crash.Phase, crash.Restart, crash.Poison, crash.Failed = Before, true, true, int(a.failed)
	case inSystem:
		crash.Phase, crash.Poison = Before, true
	case inBetween:
		crash.Phase = Between
		if x.msg != nil && !x.kept {
			a.outbox.done = append(a.outbox.done, x.msg)
		}
	default:
		part := 0
		if b, ok := x.msg.(Batch); ok {
			part = b.Place()
		}
		if a.tried != x.msg || a.part != part { // a part pays for its own crashes alone
			a.tried, a.part, a.attempts = x.msg, part, 0
		}
		a.attempts = min(a.attempts+1, 2)
		crash.Poison = a.attempts >= 2
	}
	if b, ok := x.msg.(Batch); ok {
		b.Rewind()
	}
	if a.broke == 0 {
		a.broke = crash.At
	}
	a.last.Store(crash)
	c.life.Store(uint32(life))
	x.save(c)
	if i := c.inc.Load(); i != nil {
		i.suspend, i.spoilt = true, true
		if i.invoker != nil {
			i.invoker.EscalateFailure(crash, c)
		}
	}
}

// system hands a lifecycle message to protoactor and follows what it does to
// the incarnation.
func (r *run) system(m any) {
	c, i := r.c, r.inc
	switch m := m.(type) {
	case *actor.SuspendMailbox:
		i.suspend = true
		return
	case *actor.ResumeMailbox:
		i.suspend = false
		return
	case *actor.Started:
		r.incarnate()
		return
	case *actor.Restart:
		c.restarted()
		i.stage, i.stopping, i.spoilt = nil, false, true
	case actor.MessageInvoker:
		r.bind(m)
		return
	case adopted:
		r.begin()
		r.incarnate()
		return
	}
	if i.invoker == nil {
		return
	}
	r.lifecycle(m)
	switch m.(type) {
	case *actor.Restart:
		r.incarnate()
	case *actor.Stop, *actor.Terminated:
		if !i.alive() {
			c.stopped()
		}
	}
}

// bind ties the incarnation to its cell.
func (r *run) bind(invoker actor.MessageInvoker) {
	i := r.inc
	i.invoker = invoker
	i.pid.Store(invoker.(actor.Context).Self())
	r.begin()
}

// begin is the beginning of the incarnation in the life of its cell.
func (r *run) begin() {
	c := r.c
	c.parent = r.inc.nursery.parent
	switch {
	case c.asleep:
		c.rouse()
	case c.born:
		c.restarted()
	default:
		c.kind.Cells.Add(1)
	}
}

func (r *run) lifecycle(m any) {
	r.x.cell = r.c
	if _, ok := m.(*actor.Stop); ok {
		r.inc.stopping = true
	}
	r.phase = inSystem
	r.inc.invoker.InvokeSystemMessage(m)
	r.phase = inCore
}

// incarnate makes the stage of the next incarnation.
func (r *run) incarnate() {
	c := r.c
	r.phase = inMaking
	r.inc.stage = c.kind.New(c)
	r.phase = inCore
	c.born = true
	if a := c.rare.Load(); a != nil {
		a.failed = 0
	}
	c.life.Store(uint32(Up))
	if _, ok := c.queue.Peek().(*Started); c.kind.Init && !ok { // not beside one that crashed
		c.queue.PushFront(new(Started))
	}
}

// Started is the first message of an incarnation whose kind asks for it.
type Started struct{ link }

// alive reports whether protoactor still has the actor of a bound incarnation, or
// waits for its children: one that was told to stop is gone as soon as it has none.
func (i *incarnation) alive() bool {
	return !i.stopping || len(i.invoker.(actor.Context).Children()) > 0
}

// stopped is called when the incarnation is gone for good: by an orderly end, by
// its supervisor's shutdown, or because somebody stopped it. The queue stays.
func (c *Cell) stopped() {
	c.inc.Store(nil)
	c.why = ByStop
	if !c.Ended() {
		c.life.Store(uint32(Waiting))
	}
	if c.parent != nil {
		m := stoppeds.Get().(*Stopped)
		m.Cell = c
		c.parent.Push(m)
	}
}

// Stopped tells a supervisor that the actor of one of its cells has stopped.
type Stopped struct {
	link
	Cell *Cell
}

var stoppeds = sync.Pool{New: func() any { return new(Stopped) }}

// Release implements Releaser.
func (m *Stopped) Release() {
	m.Cell = nil
	stoppeds.Put(m)
}
