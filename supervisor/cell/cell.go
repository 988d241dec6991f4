// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

// Message is what cells send each other: a pointer to a struct that embeds
// mailbox.Link.
type Message = mailbox.Message

// Stage is the code of an actor: emqttd's callback module.
type Stage interface {
	// Receive decides about ctx.Message().
	Receive(ctx *Context)
}

// Kind is what the cells of one actor kind share.
type Kind struct {
	Name   string               // "ws_loop": what trees, metrics and faults call it
	Module string               // "emqttd_ws": emqttd's module
	New    func(c *Cell) Stage  // makes the stage of each incarnation
	NameOf func(c *Cell) string // the name of cells that were given none; may be nil
	Init   bool                 // each incarnation begins with a Started message
	Lost   func(m Message)      // counts a message that found the cell ended; may be nil
	// Hibernate is how long an actor may have nothing to do before it hibernates; 0:
	// for ever. All kinds of one group that do have the same.
	Hibernate time.Duration

	Cells    atomic.Int64          // alive
	Asleep   atomic.Int64          // of them, hibernating
	Restarts atomic.Int64          // incarnations after the first
	By       [reasons]atomic.Int64 // of them, by Reason
	Crashes  atomic.Int64          // panics and Goexits
	Poisoned atomic.Int64          // messages that crashed twice
	Dropped  atomic.Int64          // messages for ended cells
	Recovery Histogram             // from a crash to the end of the message that is tried again
}

// Owner is asked before a crashed actor of a connection or session is
// restarted: such crashes count against their connection alone.
type Owner interface {
	// Crashed counts a crash. The actor is restarted in any case; an owner that
	// has seen too many closes the connection.
	Crashed(crash *Crash)
	// Abort is called when not even the answer to poison could be decided, or when
	// a restart crashes itself (Crash.Restart): the owner closes the connection
	// itself.
	Abort(c *Cell, crash *Crash)
}

// Cell is the memory, the mailbox and the outbox of one actor. A broker has four
// for each connection, most of which do nothing: what only an actor that is awake
// needs is its incarnation's, and what only crashes need is apart.
type Cell struct {
	group.Task
	kind   *Kind
	serial uint64
	owner  Owner
	group  atomic.Pointer[group.Group] // who runs it
	queue  mailbox.Queue
	inc    atomic.Pointer[incarnation] // nil between incarnations; of its supervisor's making
	parent *Cell                       // its supervisor, told of stops
	rare   atomic.Pointer[rare]        // see aside
	timers *TimerFired                 // all timers of the cell, linked
	life   atomic.Uint32
	orders atomic.Uint32 // ended, toStop
	seat   int32         // its supervisor's
	born   bool          // had an incarnation
	ending bool          // an End effect was performed
	asleep bool          // hibernates: its incarnation was let go, and it is well
	slept  bool          // has hibernated before
	waking bool          // its supervisor was asked for the next one
	why    Reason        // of the restart that is due
}

const (
	ended  = 1 << iota // the cell has come to its orderly end
	toStop             // somebody wants the incarnation stopped
)

// incarnation is one life of the actor, and protoactor's mailbox of it.
type incarnation struct {
	c        *Cell    // written only while it is spare
	nursery  *Nursery // of its supervisor
	sys      sysQueue
	stage    Stage
	invoker  actor.MessageInvoker // nil: protoactor has not said hello yet
	pid      atomic.Pointer[actor.PID]
	host     *Cell        // its c while it is spare; nil: it never was
	in       *group.Group // whose dormitory has looked after it last
	listed   bool         // and does still
	spoilt   bool         // it has crashed or moved: it will not be spare
	stopping bool         // it was told to stop
	suspend  bool         // between a crash and the restart
	used     bool         // since the dormitory looked last
	busy     uint8        // how often it was, when the dormitory looked
	nap      bool         // it shall hibernate, if it still has nothing to do
}

// ready reports whether i can be given messages: protoactor has started it, which
// it says after its hello, from another goroutine when the cell has moved away from
// its supervisor's group, and it is not between a crash and the restart.
func (i *incarnation) ready() bool { return i.invoker != nil && i.stage != nil && !i.suspend }

// rare is what few cells need.
type rare struct {
	name     string
	tried    Message // what crashed last, until it is committed or poison
	part     int     // of tried, if it is a Batch, at which it crashed
	attempts uint8   // decisions about that part of tried that crashed
	failed   uint8   // incarnations in a row that could not be made
	restarts atomic.Uint32
	broke    int64 // when it crashed, until a message comes to its end again; else 0
	last     atomic.Pointer[Crash]
	outbox   outbox // committed effects that an incarnation left behind
}

// New makes a cell that g runs. Messages may be sent to it at once; they wait
// until its supervisor starts the actor.
func New(kind *Kind, name string, g *group.Group, owner Owner) *Cell {
	c := new(Cell)
	Init(c, kind, name, g, owner)
	return c
}

// Init makes the zero cell at c what New returns: for cells that are part of a
// larger allocation. The name is "" where the kind knows it (Kind.NameOf).
func Init(c *Cell, kind *Kind, name string, g *group.Group, owner Owner) {
	c.kind, c.owner, c.serial = kind, owner, serials.Add(1)
	if name != "" {
		c.rare.Store(&rare{name: name})
	}
	c.group.Store(g)
	c.Task.Bind(c)
}

var serials atomic.Uint64

// aside is the memory for what rarely happens. It is made by the cell's own group.
func (c *Cell) aside() *rare {
	r := c.rare.Load()
	if r == nil {
		r = new(rare)
		c.rare.Store(r)
	}
	return r
}

// Serial is different for each cell, and higher for later ones.
func (c *Cell) Serial() uint64 { return c.serial }

// Kind is the actor's kind.
func (c *Cell) Kind() *Kind { return c.kind }

// Owner is the connection or session that the cell belongs to, nil for services.
func (c *Cell) Owner() Owner { return c.owner }

// Name is the actor's name, such as "ws:8083/42/loop".
func (c *Cell) Name() string {
	if r := c.rare.Load(); r != nil && r.name != "" {
		return r.name
	}
	if c.kind.NameOf != nil {
		return c.kind.NameOf(c)
	}
	return c.kind.Name
}

// Group is the group that runs the cell now.
func (c *Cell) Group() *group.Group { return c.group.Load() }

// PID is the current incarnation's PID, nil between incarnations. It is for
// supervisors and administration; everybody else sends to the cell.
func (c *Cell) PID() *actor.PID {
	if i := c.inc.Load(); i != nil {
		return i.pid.Load()
	}
	return nil
}

// Seat is a number that the cell's supervisor keeps with it; it belongs to the
// supervisor's group.
func (c *Cell) Seat() *int32 { return &c.seat }

// Waits reports whether there is something that the cell has not done: in its
// mailbox, or left behind by an incarnation. It is exact on the cell's own group.
func (c *Cell) Waits() bool { return !c.queue.Empty() || c.leftBehind() }

// leftBehind reports whether an incarnation has left effects.
func (c *Cell) leftBehind() bool {
	r := c.rare.Load()
	return r != nil && r.outbox.effects != nil
}

// Pending is the length of the mailbox.
func (c *Cell) Pending() int { return c.queue.Len() }

// Ended reports whether the cell has come to its orderly end.
func (c *Cell) Ended() bool { return c.orders.Load()&ended != 0 }

// LastCrash is the most recent crash, nil when there was none.
func (c *Cell) LastCrash() *Crash {
	if r := c.rare.Load(); r != nil {
		return r.last.Load()
	}
	return nil
}

// Push puts m into the mailbox. It reports false when the cell has ended: the
// message is counted and gone, which is a result and never a panic.
func (c *Cell) Push(m Message) bool {
	if c.Ended() {
		c.lost(m)
		return false
	}
	c.queue.Push(m)
	c.schedule() // an end that came between finds m in Run
	return true
}

func (c *Cell) lost(m Message) {
	c.kind.Dropped.Add(1)
	if c.kind.Lost != nil {
		c.kind.Lost(m)
	}
	if r, ok := m.(Releaser); ok {
		r.Release()
	}
}

func (c *Cell) schedule() {
	if c.Task.Claim() {
		c.group.Load().Schedule(&c.Task)
	}
}

// Crash is one crash of an actor: what its supervisor is told as the reason.
type Crash struct {
	Cell    *Cell
	Reason  any    // the value of the panic; "goexit" for a Goexit
	Text    string // Reason, as it was then
	Stack   []byte // of the panic
	Message Message
	Phase   Phase
	Blame   any   // what the decision was busy with besides Message, nil: nothing
	At      int64 // nanoseconds since the Unix epoch, on the group's clock
	Poison  bool  // the message crashed its actor for the second time
	Restart bool  // no message did it: Kind.New crashed
	Failed  int   // incarnations in a row that could not be made, this one included
}

// Phase is where in the life of a message a hook is called or a crash happened.
type Phase uint8

const (
	Before  Phase = iota // the message was taken up, nothing decided
	Decide               // in the stage's code
	Between              // after the commit, before the next effect
	Done                 // all effects are done; not a place for faults
)

func (p Phase) String() string {
	return [...]string{"before", "decide", "between", "done"}[p]
}

// Poison takes the place of a message that crashed its actor on both attempts.
// Its stage answers the cause as the contract says: a PUBLISH with 0x83, anything
// else from the socket by closing, a delivery by the dead-letter queue, a request
// by an error to its origin. What nobody is there to pay for or to say again (the
// end of a connection or of a session, what the store has done) it decides about
// all the same: an injected fault is over with the two attempts.
type Poison struct {
	mailbox.Link
	Message Message // the poisonous one, its cursor at the poisonous part
	Crash   *Crash
}

// Releaser is a message that goes back to a pool when its receiver is done with
// it. The runtime calls Release after the commit, unless the stage kept the
// message (Context.Keep).
type Releaser interface {
	Message
	Release()
}

// Stop stops the current incarnation, as a fault or an operator does: its
// supervisor starts the next, and the mailbox waits. One that hibernates is woken
// for it. It may be called from anywhere.
func (c *Cell) Stop() {
	c.orders.Or(toStop)
	c.schedule()
}
