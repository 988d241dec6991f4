// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"fmt"
	"runtime"
	"runtime/debug"

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
		if m, ok := c.sys.pop(); ok {
			r.system(m)
			continue
		}
		if c.ended.Load() {
			c.drain()
			break
		}
		if c.invoker == nil || c.suspend || c.moveTo != nil {
			break
		}
		if !r.user() {
			break
		}
	}
	r.clean = true
}

// run is one call of Cell.Run.
type run struct {
	c     *Cell
	x     *Context
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
	if c.outbox.effects != nil {
		x.load(c)
		r.finishEffects()
		x.reset()
		for _, m := range c.outbox.done {
			release(m)
		}
		c.outbox.done = nil
		c.repaired()
		if c.ending {
			r.end()
			return false
		}
	}
	m := c.queue.Peek()
	if m == nil {
		return false
	}
	switch m := m.(type) {
	case *TimerFired:
		if !m.timer.Due(x.Now()) {
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
	if c.attempts >= 2 && c.tried == m {
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
	c.invoker.InvokeUserMessage(c)
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
		return false
	}
	return true
}

// repaired ends what a crash began: a message has come to its end again.
func (c *Cell) repaired() {
	if c.broke != 0 {
		c.kind.Recovery.Observe(c.group.Load().Clock().Now() - c.broke)
		c.broke = 0
	}
}

// settled forgets the crashes of m: it is decided about.
func (c *Cell) settled(m Message) {
	if c.tried == m {
		c.tried, c.attempts = nil, 0
	}
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
	p := &Poison{Message: m, Crash: c.last.Load()}
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
	c.ended.Store(true)
	c.life.Store(uint32(Ended))
	if c.born {
		c.kind.Cells.Add(-1)
	}
	c.drain()
	for t := c.timers; t != nil; t = t.next {
		t.timer.Clear() // else the group would hold the cell until their deadlines
	}
	if pid := c.pid.Load(); pid != nil {
		c.system.Root.Stop(pid)
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
			panic(fmt.Sprintf("trusted core: %s: %v\n%s", c.name, reason, debug.Stack()))
		}
		r.crashed(reason)
	}
	r.x.cell = nil
	if to := c.moveTo; to != nil {
		// The task stays claimed: from here on the cell is the other group's, and
		// this one may not even look whether there is something to do.
		c.moveTo = nil
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
	if !c.sys.empty() {
		return true
	}
	if c.ended.Load() {
		return !c.queue.Empty()
	}
	return c.invoker != nil && !c.suspend && (!c.queue.Empty() || c.outbox.effects != nil)
}

func (r *run) crashed(reason any) {
	c, x := r.c, r.x
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
		c.failed = min(c.failed+1, maxFailed)
		crash.Phase, crash.Restart, crash.Poison, crash.Failed = Before, true, true, int(c.failed)
	case inSystem:
		crash.Phase, crash.Poison = Before, true
	case inBetween:
		crash.Phase = Between
		if x.msg != nil && !x.kept {
			c.outbox.done = append(c.outbox.done, x.msg)
		}
	default:
		if c.tried != x.msg {
			c.tried, c.attempts = x.msg, 0
		}
		c.attempts = min(c.attempts+1, 2)
		crash.Poison = c.attempts >= 2
	}
	if b, ok := x.msg.(Batch); ok {
		b.Rewind()
	}
	if c.broke == 0 {
		c.broke = crash.At
	}
	c.last.Store(crash)
	c.life.Store(uint32(life))
	x.save(c)
	c.suspend = true
	if c.invoker != nil {
		c.invoker.EscalateFailure(crash, c)
	}
}

// system hands a lifecycle message to protoactor and follows what it does to
// the incarnation.
func (r *run) system(m any) {
	c := r.c
	switch m := m.(type) {
	case *bind:
		ctx := m.invoker.(actor.Context)
		c.invoker, c.parent, c.system = m.invoker, m.parent, ctx.ActorSystem()
		c.pid.Store(ctx.Self())
		c.suspend = false
		if c.born {
			c.restarted()
		} else {
			c.kind.Cells.Add(1)
		}
		return
	case *actor.SuspendMailbox:
		c.suspend = true
		return
	case *actor.ResumeMailbox:
		c.suspend = false
		return
	case *actor.Started:
		r.incarnate()
		return
	case *actor.Restart:
		c.restarted()
		c.stage = nil
	}
	if c.invoker == nil {
		return
	}
	r.lifecycle(m)
	switch m.(type) {
	case *actor.Restart:
		r.incarnate()
	case *actor.Stop, *actor.Terminated:
		if pid := c.pid.Load(); pid != nil && !alive(c.system, pid) {
			c.stopped()
		}
	}
}

func (r *run) lifecycle(m any) {
	r.x.cell = r.c
	r.phase = inSystem
	r.c.invoker.InvokeSystemMessage(m)
	r.phase = inCore
}

// incarnate makes the stage of the next incarnation.
func (r *run) incarnate() {
	c := r.c
	r.phase = inMaking
	c.stage = c.kind.New(c)
	r.phase = inCore
	c.born, c.failed = true, 0
	c.life.Store(uint32(Up))
	if _, ok := c.queue.Peek().(*Started); c.kind.Init && !ok { // not beside one that crashed
		c.queue.PushFront(new(Started))
	}
}

// Started is the first message of an incarnation whose kind asks for it.
type Started struct{ link }

func alive(s *actor.ActorSystem, pid *actor.PID) bool {
	_, ok := s.ProcessRegistry.GetLocal(pid.Id)
	return ok
}

// stopped is called when the incarnation is gone for good: by an orderly end, by
// its supervisor's shutdown, or because somebody stopped it. The queue stays.
func (c *Cell) stopped() {
	c.invoker, c.stage = nil, nil
	c.pid.Store(nil)
	c.suspend = false
	c.why = ByStop
	if !c.ended.Load() {
		c.life.Store(uint32(Waiting))
	}
	if c.parent != nil {
		c.parent.Push(&Stopped{Cell: c})
	}
}

// Stopped tells a supervisor that the actor of one of its cells has stopped.
type Stopped struct {
	link
	Cell *Cell
}
