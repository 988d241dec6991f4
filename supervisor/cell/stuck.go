// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"runtime"

	"github.com/asynkron/protoactor-go/actor"

	"emqttd/supervisor/group"
)

// A stage that does not return. Its goroutine can not be ended from outside; it
// is fenced: it has lost its lease of the group (package group), another
// goroutine drives the group, and the decision that it is in will never be
// committed. When it comes back, or uses its Context, it ends.
//
// All other cells of the group are between two of their turns, and go on. The
// stuck one gets a new incarnation with a new PID, for the library's memory of
// the old one is still in use by the old goroutine, and so are the scratch memory
// and the read buffers of the loop: they are left to it. The message is poison at
// once, since a second attempt would let everybody wait once more; its owner is
// told as for a restart that fails, and closes the connection.
//
// What a fenced decision can still do is read: until it uses its Context, the
// memory of its cell, which the next incarnation may write. Both in one map at the
// same moment would end the process, and the store's promise covers that.

// note is what the lease's next owner may know of a decision beside its message:
// it is written before Enter, and nothing of it changes until Leave.
type note struct {
	phase Phase
	left  []effect // committed and not performed
	bytes []byte   // that they append
}

// enter calls the stage's code, or a hook in its place.
func (x *Context) enter(c *Cell, phase Phase) {
	x.note.phase = phase
	if x.next < x.ready {
		x.note.left, x.note.bytes = x.effects[x.next:x.ready], x.bytes
	} else if x.note.left != nil {
		x.note.left, x.note.bytes = nil, nil
	}
	x.inside = true
	x.lease.Enter(&c.Task)
}

// leave comes back from it, unless somebody else drives the group by now.
func (x *Context) leave() {
	if !x.lease.Leave() {
		runtime.Goexit()
	}
	x.inside = false
}

// check ends a decision that was fenced.
func (x *Context) check() {
	if x.lease.Fenced() {
		runtime.Goexit()
	}
}

// Touch is called by hooks that are about to wait: see group.Lease.
func (c *Cell) Touch() { contextOf(c.group.Load()).lease.Touch() }

// Stuck implements group.Stuck.
func (c *Cell) Stuck(g *group.Group, _ *group.Lease, stack []byte) any {
	old := contextOf(g)
	x := newContext(g)
	x.dorm = old.dorm
	g.Scratch.Store(x)
	n, msg, i, a := old.note, old.msg, c.inc.Load(), c.aside()
	crash := &Crash{Cell: c, Reason: "stall", Text: "stall: the stage did not return", Stack: stack, Message: msg, Phase: n.phase,
		Poison: true, At: g.Clock().Now()}
	if i == nil || i.invoker == nil || len(i.invoker.(actor.Context).Children()) > 0 {
		panic("trusted core: " + c.Name() + " is stuck\n" + string(stack))
	}
	c.kind.Crashes.Add(1)
	if n.phase == Between {
		if msg != nil && !old.kept {
			a.outbox.done = append(a.outbox.done, msg)
		}
	} else {
		a.tried, a.attempts = msg, 2
		if b, ok := msg.(Batch); ok {
			b.Rewind()
		}
	}
	c.leaveBehind(n.left, n.bytes)
	if a.broke == 0 {
		a.broke = crash.At
	}
	a.last.Store(crash)
	c.abandon(i)
	if c.owner != nil {
		c.owner.Abort(c, crash)
	}
	return crash
}

// abandon lets go of the incarnation without a word to it: its parent hears that
// it has stopped.
func (c *Cell) abandon(i *incarnation) {
	pid := i.pid.Load()
	ctx := i.invoker.(actor.Context)
	parent, registry := ctx.Parent(), ctx.ActorSystem().ProcessRegistry
	registry.Remove(pid)
	if p, ok := registry.GetLocal(parent.GetId()); ok {
		p.SendSystemMessage(parent, &actor.Terminated{Who: pid})
	}
	c.stopped()
	c.why = ByStall
	c.Task.Release()
	if c.busy() {
		c.schedule()
	}
}
