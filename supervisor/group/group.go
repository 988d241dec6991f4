// SPDX-License-Identifier: Apache-2.0

// Package group is the executor of the actors: a Group runs its tasks one
// after another, in the order in which they became ready, on whichever
// goroutine drives it.
//
// It stands where the BEAM's scheduler stands for emqttd. A task that becomes
// ready while the group runs is appended to its run list (trampoline: no
// recursion, no goroutine switch inside a connection), so sending is always
// asynchronous. An event loop drives the group of its connections; a Service
// group starts a goroutine when it has work; a simulation steps a group by hand
// on a virtual clock. It is part of the trusted core.
package group

import "sync/atomic"

// Runner is what a Task runs.
type Runner interface {
	// Run does the task's work. It is called with the group that runs it and
	// never concurrently with itself.
	Run(g *Group)
}

// Task is a place in a run list, embedded in whatever can be run.
type Task struct {
	next   *Task
	runner Runner
	state  atomic.Uint32 // idle, or scheduled (which includes running)
}

const (
	idle uint32 = iota
	scheduled
)

// Bind sets what t runs; once, before its first Claim.
func (t *Task) Bind(r Runner) { t.runner = r }

// Claim marks t scheduled and reports whether the caller has to hand it to
// Schedule: it was idle before.
func (t *Task) Claim() bool {
	return t.state.Load() == idle && t.state.CompareAndSwap(idle, scheduled)
}

// Release marks t idle; the runner calls it as its last act, and then looks for
// work once more and Claims again, so that no push is missed.
func (t *Task) Release() { t.state.Store(idle) }

// Group is a serial executor with its timers.
type Group struct {
	name    string
	in      atomic.Pointer[Task] // newest first
	head    *Task                // taken, oldest first
	sleep   atomic.Bool          // the driver waits: Schedule must wake it
	wake    func()
	clock   Clock
	now     int64 // time of the current turn, see Tick
	heap    timerHeap
	sweepAt int           // length of heap at which it is swept
	ran     uint64        // tasks run; the driver's
	turns   atomic.Uint64 // ran, as of the last Tick
	lease   atomic.Pointer[Lease]

	// Scratch is the memory of one decision, shared by all cells of the group;
	// package cell owns it.
	Scratch atomic.Value
}

// New makes a group that somebody else drives: wake is called, from any
// goroutine, when work arrives while the driver sleeps (see Sleep). Nil: never.
func New(name string, clock Clock, wake func()) *Group {
	g := &Group{name: name, clock: clock, wake: wake, sweepAt: minSweep}
	g.now = clock.Now()
	g.lease.Store(new(Lease))
	return g
}

// Name is the group's name, for logs.
func (g *Group) Name() string { return g.name }

// Now is the time of the current turn in nanoseconds since the Unix epoch. It
// may be called by the group's own tasks only.
func (g *Group) Now() int64 { return g.now }

// Clock is the group's clock; it may be read from anywhere.
func (g *Group) Clock() Clock { return g.clock }

// Turns counts the tasks that were run until the last Tick; it may be read from
// anywhere.
func (g *Group) Turns() uint64 { return g.turns.Load() }

// Schedule appends a claimed task to the run list.
func (g *Group) Schedule(t *Task) {
	for {
		old := g.in.Load()
		t.next = old
		if g.in.CompareAndSwap(old, t) {
			break
		}
	}
	if g.sleep.Load() && g.sleep.CompareAndSwap(true, false) && g.wake != nil {
		g.wake()
	}
}

// Sleep announces that the driver is about to wait. It reports false when work
// has arrived meanwhile: then the driver must not wait.
func (g *Group) Sleep() bool {
	g.sleep.Store(true)
	if g.head != nil || g.in.Load() != nil {
		g.sleep.Store(false)
		return false
	}
	return true
}

// Awake ends what Sleep announced.
func (g *Group) Awake() { g.sleep.Store(false) }

// Tick reads the clock, for the turn that begins, and fires the timers that are
// due.
func (g *Group) Tick() {
	g.now = g.clock.Now()
	g.turns.Store(g.ran)
	g.fire()
}

// RunOne runs the task that became ready first and reports whether there was
// one.
func (g *Group) RunOne() bool {
	t := g.head
	if t == nil {
		t = g.take()
		if t == nil {
			return false
		}
	}
	g.head = t.next
	t.next = nil
	g.ran++
	t.runner.Run(g)
	return true
}

func (g *Group) take() *Task {
	if g.in.Load() == nil {
		return nil
	}
	l := g.in.Swap(nil)
	var head *Task
	for l != nil {
		next := l.next
		l.next = head
		head, l = l, next
	}
	return head
}

// Drain runs tasks until none is ready, at most max of them, and reports
// whether it stopped for max.
func (g *Group) Drain(max int) (more bool) {
	for range max {
		if !g.RunOne() {
			return false
		}
	}
	return true
}
