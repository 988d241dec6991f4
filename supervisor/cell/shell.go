// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"emqttd/supervisor/mailbox"
)

type link = mailbox.Link

// shell is the protoactor actor of every cell: it has no state, so one value
// and one Props serve all cells of a supervisor. What makes an incarnation is
// the stage that Kind.New returns.
type shell struct{}

// Receive implements actor.Actor. User messages arrive as their cell.
func (shell) Receive(pa actor.Context) {
	if c, ok := pa.Message().(*Cell); ok {
		x := contextOf(c.group.Load())
		if _, ok := x.msg.(*Bomb); ok {
			x.explode()
			return
		}
		x.pa = pa
		c.inc.Load().stage.Receive(x)
		x.pa = nil
		return
	}
	// Started, Restarting, Stopping, Stopped and Terminated act on the cell in
	// run.system, where a panic of theirs cannot resurrect or wedge the actor.
}

// Nursery is the Props of one supervisor, shared by all its children: the
// mailbox of the actor that is being spawned is the cell given to Spawn.
type Nursery struct {
	props  *actor.Props
	baby   *incarnation
	parent *Cell          // of all that were spawned
	keep   int            // len(spare) at most
	spare  []*incarnation // of cells that have ended, see retire
}

// NewNursery makes the Props of a supervisor's children. The strategy handles
// the failures of their own children, nil for actors without any.
func NewNursery(strategy actor.SupervisorStrategy) *Nursery {
	n := new(Nursery)
	n.props = actor.PropsFromProducer(producer, actor.WithMailbox(func() actor.Mailbox { return n.baby }))
	if strategy != nil {
		n.props.Configure(actor.WithSupervisor(strategy))
	}
	return n
}

// Guarded names who judges the crashes of actors without a parent.
func (n *Nursery) Guarded(by actor.SupervisorStrategy) *Nursery {
	n.props.Configure(actor.WithGuardian(by))
	return n
}

func producer() actor.Actor { return shell{} }

// Spawn gives c an incarnation: it spawns its actor, under the given name, with
// spawner (an actor's context, or the root context for the top of the tree). The
// parent, who is always the same, is told when the actor stops. One Spawn at a time per
// Nursery.
func (n *Nursery) Spawn(spawner actor.SpawnerContext, parent, c *Cell, name string) error {
	if n.parent != parent { // once: children on other threads look
		n.parent = parent
	}
	n.baby = &incarnation{c: c, nursery: n}
	c.inc.Store(n.baby)
	_, err := spawner.SpawnNamed(n.props, name)
	if err != nil {
		c.inc.CompareAndSwap(n.baby, nil)
	}
	n.baby = nil
	return err
}

// Spawned reports whether c has an incarnation, or is about to: Spawn would be one
// too many.
func (c *Cell) Spawned() bool { return c.inc.Load() != nil }

// PostUserMessage takes what protoactor's own API sends to the PID: only
// Messages have a place in a cell's queue.
func (i *incarnation) PostUserMessage(m any) {
	if msg, ok := m.(Message); ok {
		i.c.Push(msg)
		return
	}
	if _, ok := m.(*actor.PoisonPill); ok {
		i.PostSystemMessage(&actor.Stop{})
		return
	}
	i.c.kind.Dropped.Add(1)
}

func (i *incarnation) PostSystemMessage(m any) {
	i.sys.push(m)
	i.c.schedule()
}

// RegisterHandlers makes the invoker itself the first lifecycle message of an actor:
// it ties the incarnation to its cell, on the cell's own group.
func (i *incarnation) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	i.PostSystemMessage(invoker)
}

func (i *incarnation) Start() {}

func (i *incarnation) UserMessageCount() int { return i.c.queue.Len() }

// sysQueue holds lifecycle messages: rare in the life of an actor, so that their
// nodes are not its own. A connection that comes and goes needs twenty.
type sysQueue struct {
	in   atomic.Pointer[sysNode]
	head *sysNode
}

type sysNode struct {
	next *sysNode
	m    any
}

var sysNodes = sync.Pool{New: func() any { return new(sysNode) }}

func (q *sysQueue) push(m any) {
	n := sysNodes.Get().(*sysNode)
	n.m = m
	for {
		n.next = q.in.Load()
		if q.in.CompareAndSwap(n.next, n) {
			return
		}
	}
}

func (q *sysQueue) pop() (any, bool) {
	if q.head == nil {
		if q.in.Load() == nil {
			return nil, false
		}
		for n := q.in.Swap(nil); n != nil; {
			next := n.next
			n.next = q.head
			q.head, n = n, next
		}
	}
	n := q.head
	q.head = n.next
	m := n.m
	*n = sysNode{}
	sysNodes.Put(n)
	return m, true
}

func (q *sysQueue) empty() bool { return q.head == nil && q.in.Load() == nil }
