// SPDX-License-Identifier: Apache-2.0

package group

import (
	"math"
	"sync"
	"sync/atomic"
)

// Timer is a deadline that belongs to a cell and survives its incarnations.
// Setting a later deadline costs one store: the heap entry of the earlier one
// finds, when it comes up, that it has to wait on. So a keep alive that is put
// off by every packet touches the heap once per period.
type Timer struct {
	at   atomic.Int64 // deadline, nanoseconds since the Unix epoch; 0: off
	mu   sync.Mutex   // seq, in and up change together: the cell may change its group
	seq  atomic.Uint32
	in   atomic.Pointer[Group] // whose heap holds the entry with seq
	up   atomic.Int64          // when that entry comes up
	what Firer
}

// Firer is what a timer fires: an interface and no closure, since there are as many
// timers as connections, or more.
type Firer interface {
	// Fire runs on the group in whose heap the timer stands, and only hands a
	// message on.
	Fire(t *Timer)
}

// FireFunc is a function as a Firer.
type FireFunc func(*Timer)

// Fire implements Firer.
func (f FireFunc) Fire(t *Timer) { f(t) }

// Init sets what happens at the deadline.
func (t *Timer) Init(f Firer) { t.what = f }

// Deadline is when t fires, 0 when it is off.
func (t *Timer) Deadline() int64 { return t.at.Load() }

// Due reports whether t is set and its deadline has passed: what a message of a
// timer asks before it means anything, since the timer may have been set anew
// after it fired.
func (t *Timer) Due(now int64) bool {
	at := t.at.Load()
	return at != 0 && at <= now
}

// Clear turns t off.
func (t *Timer) Clear() { t.at.Store(0) }

// Arm sets t to fire at deadline at. It is called by g's own tasks only.
func (g *Group) Arm(t *Timer, at int64) {
	t.at.Store(at)
	if t.in.Load() == g && t.up.Load() <= at {
		return // the entry that stands earlier will wait on
	}
	g.enter(t, at)
}

func (g *Group) enter(t *Timer, at int64) {
	if len(g.heap) >= g.sweepAt {
		g.sweep()
	}
	t.mu.Lock()
	t.in.Store(g)
	t.up.Store(at)
	seq := t.seq.Add(1)
	t.mu.Unlock()
	g.heap.push(entry{at: at, seq: seq, t: t})
}

// sweep throws out the entries that nobody waits for: of timers that are off, or
// for which another entry speaks. They would hold what the timers are part of
// until their deadlines, which a peer may choose hours away; so they are never
// more than the others and minSweep.
func (g *Group) sweep() {
	kept := g.heap[:0]
	for _, e := range g.heap {
		if at, ok := e.t.look(e.seq, onlyLook); ok && at != 0 {
			kept = append(kept, e)
		}
	}
	clear(g.heap[len(kept):])
	g.heap = kept
	g.heap.order()
	g.sweepAt = 2*len(kept) + minSweep
}

const minSweep = 64

// Next is the time of the earliest heap entry, math.MaxInt64 when there is
// none. It may be called by the driver only.
func (g *Group) Next() int64 {
	if len(g.heap) == 0 {
		return math.MaxInt64
	}
	return g.heap[0].at
}

func (g *Group) fire() {
	for len(g.heap) > 0 && g.heap[0].at <= g.now {
		e := g.heap.pop()
		switch at, ok := e.t.look(e.seq, g.now); {
		case !ok || at == 0:
		case at > g.now:
			g.heap.push(entry{at: at, seq: e.seq, t: e.t})
		default:
			e.t.what.Fire(e.t)
		}
	}
}

// look is the deadline of t when its entry seq comes up at time now, or is only
// looked at; ok is false when another entry speaks for t. A deadline to come is
// when the entry will come up next; without one t has no entry from here on.
func (t *Timer) look(seq uint32, now int64) (at int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seq.Load() != seq {
		return 0, false
	}
	at = t.at.Load()
	switch {
	case at == 0 || at <= now:
		t.in.Store(nil)
	case now != onlyLook:
		t.up.Store(at)
	}
	return at, true
}

const onlyLook = math.MinInt64

// entry is one promise of the heap to look at a timer.
type entry struct {
	at  int64
	seq uint32
	t   *Timer
}

// timerHeap is a 4-ary min-heap: half the depth of a binary one.
type timerHeap []entry

func (h *timerHeap) push(e entry) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		p := (i - 1) / 4
		if s[p].at <= e.at {
			break
		}
		s[i] = s[p]
		i = p
	}
	s[i] = e
}

func (h *timerHeap) pop() entry {
	s := *h
	top, last := s[0], s[len(s)-1]
	s[len(s)-1] = entry{}
	s = s[:len(s)-1]
	*h = s
	if len(s) > 0 {
		s.sink(0, last)
	}
	return top
}

// order makes a heap of entries in any order.
func (h timerHeap) order() {
	for i := (len(h) - 2) / 4; i >= 0 && len(h) > 1; i-- {
		h.sink(i, h[i])
	}
}

// sink puts e where it belongs in the heap below i, whose entry is taken.
func (h timerHeap) sink(i int, e entry) {
	for {
		least, first := -1, 4*i+1
		for c := first; c < first+4 && c < len(h); c++ {
			if least < 0 || h[c].at < h[least].at {
				least = c
			}
		}
		if least < 0 || h[least].at >= e.at {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}
