// SPDX-License-Identifier: Apache-2.0

package group

import "sync/atomic"

// Lease is the right of one goroutine to drive a group, as long as it comes back
// from the code that it calls. Between Enter and Leave that code is not the
// core's and may never return; then a Watch takes the lease away, and another
// goroutine drives the group with a lease of its own. Whoever was fenced has
// nothing to say any more: it must touch nothing of the group and end.
//
// Leave and the taking away are atomic operations on one word, so that exactly
// one of the two happens, and what the old goroutine wrote before Enter is seen
// by the new one.
type Lease struct {
	n     atomic.Uint64 // odd: in code that may not return
	task  *Task         // whose code that is; written before Enter
	gid   int64         // of the goroutine, for its stack; 0: not known
	owner Driver        // nil: nobody can replace the goroutine
}

const fencedBit = 1 << 63

// Enter says that the code of t is called now.
func (l *Lease) Enter(t *Task) {
	l.task = t
	l.n.Add(1)
}

// Leave says that it has returned; false: too late, the lease is gone.
func (l *Lease) Leave() bool { return l.n.Add(1)&fencedBit == 0 }

// Fenced reports whether the lease is gone.
func (l *Lease) Fenced() bool { return l.n.Load()&fencedBit != 0 }

// Touch makes what the goroutine has done so far seen by whoever takes its lease:
// for faults that are about to wait on purpose.
func (l *Lease) Touch() { l.n.Add(0) }

// Driver is what runs a group and can go on with another goroutine.
type Driver interface {
	// Replace starts a goroutine that calls first and then drives the group in the
	// place of the one before, which will never come back. Called by a Watch.
	Replace(first func())
}

// Lease is that of the goroutine that drives g now.
func (g *Group) Lease() *Lease { return g.lease.Load() }

// Drive is called by each goroutine that begins to drive g, so that its stack can
// be found when it is stuck.
func (g *Group) Drive(by Driver) {
	l := g.Lease()
	l.owner, l.gid = by, goroutineID()
}

// Stuck is a Runner whose code did not return.
type Stuck interface {
	// Stuck repairs what can be repaired, on the goroutine that drives the group
	// from now on, and returns what there is to be reported.
	Stuck(g *Group, old *Lease, stack []byte) (report any)
}
