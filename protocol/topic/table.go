// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"cmp"
	"math/bits"
	"strings"
	"sync/atomic"
)

// A table finds the literal child of a node by its first level: open
// addressing, one writer, any number of readers without a lock. An insert is
// one atomic store into an empty slot, a removal one of a gravestone; growth
// and shrinking build a new table, and the node is pointed at it by one store.
// A slot is never given to a second hash, so hash needs no atomic access: it is
// written before the pointer that makes the slot visible.
//
// The slot is chosen by the *high* bits of the hash. So the slots, read from
// left to right, are nearly in the order (hash, level), an order no growth
// disturbs: that is what lets a walk be resumed, see after.
type table[V any] struct {
	slots []slot[V]     // length a power of two, at least 2; nil when dir is set
	dir   *directory[V] // set in a table too large to be rebuilt in one go
	live  int32         // children; the writer's, as is used
	used  int32         // children and gravestones
	skip  uint8         // high bits of the hash already spent by a directory
	shift uint8         // 32 - log2(len(slots))
}

type slot[V any] struct {
	hash uint32
	node atomic.Pointer[node[V]]
}

// A directory divides the children by their eight highest hash bits, so that
// the longest a writer is busy growing is the time of one 256th of them.
type directory[V any] [1 << dirBits]atomic.Pointer[table[V]]

const (
	dirBits  = 8
	minSlots = 2
	maxSlots = 4096 // a table that outgrows it becomes a directory
	dirFloor = 512  // a directory with fewer children becomes a table again
)

// newTable has the header and a small array of slots in one allocation: most
// nodes that have children have two or three.
func newTable[V any](n int, skip uint8) *table[V] {
	var t *table[V]
	switch n {
	case 2:
		x := new(struct {
			table[V]
			array [2]slot[V]
		})
		t, x.slots = &x.table, x.array[:]
	case 4:
		x := new(struct {
			table[V]
			array [4]slot[V]
		})
		t, x.slots = &x.table, x.array[:]
	case 8:
		x := new(struct {
			table[V]
			array [8]slot[V]
		})
		t, x.slots = &x.table, x.array[:]
	default:
		t = &table[V]{slots: make([]slot[V], n)}
	}
	t.skip, t.shift = skip, uint8(32-bits.TrailingZeros(uint(n)))
	return t
}

// limit is how many slots may be used: all of a small table, where a probe ends
// after a lap, else three quarters.
func (t *table[V]) limit() int {
	n := len(t.slots)
	if n > 8 {
		n = n / 4 * 3
	}
	return n
}

func (t *table[V]) home(h uint32) int { return int(h << (t.skip & 31) >> (t.shift & 31)) }

// find returns the child whose first level is level, or nil.
func (t *table[V]) find(h uint32, level string) *node[V] {
	if s := t.seek(h, level); s != nil {
		return s.node.Load()
	}
	return nil
}

// seek returns the slot of that child, or nil.
func (t *table[V]) seek(h uint32, level string) *slot[V] {
	if t.dir != nil {
		t = t.dir[h>>(32-dirBits)].Load()
	}
	slots := t.slots
	for i, left := t.home(h), len(slots); left > 0; i, left = i+1, left-1 {
		s := &slots[i&(len(slots)-1)]
		n := s.node.Load()
		if n == nil {
			return nil
		}
		if s.hash == h && n.begins(level) {
			return s
		}
	}
	return nil
}

// put stores n in the first empty slot from its home. The caller has checked
// that there is one and that no other child begins with the same level.
func (t *table[V]) put(h uint32, n *node[V]) {
	for i := t.home(h); ; i++ {
		s := &t.slots[i&(len(t.slots)-1)]
		if s.node.Load() == nil {
			s.hash = h
			s.node.Store(n)
			t.live++
			t.used++
			return
		}
	}
}

// rebuilt is t with n slots and without gravestones.
func (t *table[V]) rebuilt(n int) *table[V] {
	to := newTable[V](n, t.skip)
	t.each(to.put)
	return to
}

// divided is t as a directory.
func (t *table[V]) divided() *table[V] {
	to := &table[V]{dir: new(directory[V]), live: t.live}
	for i := range to.dir {
		to.dir[i].Store(newTable[V](minSlots, dirBits))
	}
	t.each(func(h uint32, n *node[V]) { addTo(&to.dir[h>>(32-dirBits)], h, n) })
	return to
}

// united is a directory as one table, with room.
func (t *table[V]) united() *table[V] {
	to := newTable[V](1<<bits.Len(uint(t.live)*2), 0)
	for i := range t.dir {
		t.dir[i].Load().each(to.put)
	}
	return to
}

// each calls f for every child of a table that is no directory.
func (t *table[V]) each(f func(h uint32, n *node[V])) {
	for i := range t.slots {
		if n := t.slots[i].node.Load(); n != nil && !n.gravestone() {
			f(t.slots[i].hash, n)
		}
	}
}

// addTo adds a child to the table at place, which may be nil, and publishes the
// larger table when it needs one.
func addTo[V any](place *atomic.Pointer[table[V]], h uint32, n *node[V]) {
	t := place.Load()
	if t != nil && t.dir != nil {
		t.live++
		place = &t.dir[h>>(32-dirBits)]
		t = place.Load()
	}
	switch {
	case t == nil:
		t = newTable[V](minSlots, 0)
	case int(t.used) < t.limit():
		t.put(h, n)
		return
	case int(t.live) <= t.limit()/2: // half of it gravestones
		t = t.rebuilt(len(t.slots))
	case len(t.slots) == maxSlots && t.skip == 0:
		t = t.divided()
		t.live++
		addTo(&t.dir[h>>(32-dirBits)], h, n)
		place.Store(t)
		return
	default:
		t = t.rebuilt(2 * len(t.slots))
	}
	t.put(h, n)
	place.Store(t)
}

// removeFrom lays a gravestone for the child that begins with level, and gives
// the memory of an empty table, a sparse table or a sparse directory back.
func removeFrom[V any](place *atomic.Pointer[table[V]], h uint32, level string, stone *node[V]) {
	t := place.Load()
	t.seek(h, level).node.Store(stone)
	t.live--
	if t.dir != nil {
		if t.live < dirFloor {
			place.Store(t.united())
			return
		}
		place = &t.dir[h>>(32-dirBits)]
		t = place.Load()
		t.live--
	} else if t.live == 0 {
		place.Store(nil)
		return
	}
	if n := len(t.slots); n > 8 && int(t.live) < n/8 {
		place.Store(t.rebuilt(n / 4))
	}
}

// after returns the child that comes next behind level, in the order of (hash,
// first level), and its hash; with upto, level itself may be the answer. The
// order does not change when the table is rebuilt. The cost is that of a probe,
// and of the empty slots on the way, which removeFrom keeps few.
func (t *table[V]) after(h uint32, level string, upto bool) (*node[V], uint32) {
	if t.dir == nil {
		return t.afterFlat(h, level, upto)
	}
	for d := h >> (32 - dirBits); d < 1<<dirBits; d++ {
		if n, hash := t.dir[d].Load().afterFlat(h, level, upto); n != nil {
			return n, hash
		}
		h, level, upto = (d+1)<<(32-dirBits), "", true // the least of the next part
	}
	return nil, 0
}

func (t *table[V]) afterFlat(h uint32, level string, upto bool) (*node[V], uint32) {
	for home := t.home(h); home < len(t.slots); home++ {
		if n, hash := t.leastAt(home, h, level, upto); n != nil {
			return n, hash
		}
	}
	return nil, 0
}

// leastAt is afterFlat among the children whose home is one slot.
func (t *table[V]) leastAt(home int, h uint32, level string, upto bool) (least *node[V], hash uint32) {
	for i, left := home, len(t.slots); left > 0; i, left = i+1, left-1 {
		s := &t.slots[i&(len(t.slots)-1)]
		n := s.node.Load()
		if n == nil {
			break
		}
		if n.gravestone() || t.home(s.hash) != home {
			continue
		}
		switch c := order(s.hash, n.key, h, level); {
		case c < 0, c == 0 && !upto:
		case least == nil || order(s.hash, n.key, hash, least.key) < 0:
			least, hash = n, s.hash
		}
	}
	return least, hash
}

// order compares two places among siblings; of the keys the first level counts.
func order(ah uint32, a string, bh uint32, b string) int {
	if c := cmp.Compare(ah, bh); c != 0 {
		return c
	}
	return strings.Compare(firstLevel(a), firstLevel(b))
}
