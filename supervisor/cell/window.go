// SPDX-License-Identifier: Apache-2.0

package cell

// Window is a map by 16-bit identifiers that its owner gives out itself, one after
// the other (Next), and whose changes wait for the commit. Such ids need no
// hashing: each has one pane of a ring, and Next passes over those whose pane is
// taken. A window of a hundred messages is written and emptied several times in
// each turn of a busy session.
type Window[K ~uint16, V any] struct {
	ring []pane[K, V] // length a power of two, at most 1<<16
	n    int
}

type pane[K ~uint16, V any] struct {
	v    V
	id   K
	used bool
	// op is one more than the place of the decision's newest change of this pane in
	// the log; it means something only if that place has a change of this pane. So
	// nothing has to be cleared, not even after a crash.
	op uint32
}

type windowOp[K ~uint16, V any] struct {
	id  K
	del bool
	v   V
}

// windowLog is the redo log of a Window.
type windowLog[K ~uint16, V any] struct {
	of    *Window[K, V]
	ops   []windowOp[K, V]
	delta int // ids added less ids removed
}

func (l *windowLog[K, V]) container() *Window[K, V] { return l.of }
func (l *windowLog[K, V]) bind(w *Window[K, V])     { l.of = w }

func (l *windowLog[K, V]) apply() {
	w := l.of
	for i := range l.ops {
		w.set(&l.ops[i])
	}
	if w.n == 0 && len(w.ring) > keepPanes {
		w.ring = nil
	}
	l.abort()
}

func (l *windowLog[K, V]) abort() {
	clear(l.ops)
	if cap(l.ops) > keepLog {
		l.ops = nil
	}
	l.of, l.ops, l.delta = nil, l.ops[:0], 0
}

const (
	minPanes  = 8
	keepPanes = 256 // what an empty window keeps
)

func (w *Window[K, V]) pane(id K) *pane[K, V] { return &w.ring[int(id)&(len(w.ring)-1)] }

func (w *Window[K, V]) set(o *windowOp[K, V]) {
	p := w.pane(o.id)
	switch {
	case !o.del:
		if !p.used {
			w.n++
		}
		p.v, p.id, p.used = o.v, o.id, true
	case p.used && p.id == o.id:
		*p = pane[K, V]{}
		w.n--
	}
}

// newest is the decision's newest change of p, which is id's pane; nil when there
// is none.
func (l *windowLog[K, V]) newest(p *pane[K, V], id K) *windowOp[K, V] {
	if l == nil || p.op == 0 || int(p.op) > len(l.ops) {
		return nil
	}
	o := &l.ops[p.op-1]
	if int(o.id^id)&(len(l.of.ring)-1) != 0 {
		return nil
	}
	return o
}

// occupant is whose id's pane is, as the decision sees it.
func (w *Window[K, V]) occupant(l *windowLog[K, V], id K) (owner K, taken bool) {
	p := w.pane(id)
	if o := l.newest(p, id); o != nil {
		return o.id, !o.del
	}
	return p.id, p.used
}

// Get is the value of id as the decision sees it.
func (w *Window[K, V]) Get(x *Context, id K) (v V, ok bool) {
	if len(w.ring) == 0 {
		return v, false
	}
	p := w.pane(id)
	if o := find[windowLog[K, V]](x, w).newest(p, id); o != nil {
		if o.id == id && !o.del {
			return o.v, true
		}
		return v, false
	}
	if p.used && p.id == id {
		return p.v, true
	}
	return v, false
}

// Put sets id to v.
func (w *Window[K, V]) Put(x *Context, id K, v V) {
	l := open[windowLog[K, V]](x, w)
	if !w.room(l, id) {
		l.delta++
	}
	l.add(id).v = v
}

// Delete removes id.
func (w *Window[K, V]) Delete(x *Context, id K) {
	if len(w.ring) == 0 {
		return
	}
	l := open[windowLog[K, V]](x, w)
	if owner, taken := w.occupant(l, id); taken && owner == id {
		l.delta--
		l.add(id).del = true
	}
}

// add notes one more change, of id's pane.
func (l *windowLog[K, V]) add(id K) *windowOp[K, V] {
	l.ops = append(l.ops, windowOp[K, V]{})
	l.of.pane(id).op = uint32(len(l.ops))
	o := &l.ops[len(l.ops)-1]
	o.id = id
	return o
}

// room makes the ring as large as it takes for id to have a pane; it reports
// whether id has it already.
func (w *Window[K, V]) room(l *windowLog[K, V], id K) bool {
	for {
		if len(w.ring) > 0 {
			owner, taken := w.occupant(l, id)
			if !taken || owner == id {
				return taken
			}
		}
		w.grow(l)
	}
}

// grow doubles the ring. What it holds stays as it is, so a decision may do it:
// ids with panes of their own have them in a larger ring, too.
func (w *Window[K, V]) grow(l *windowLog[K, V]) {
	old := w.ring
	w.ring = make([]pane[K, V], max(minPanes, 2*len(old)))
	for i := range old {
		if p := &old[i]; p.used {
			*w.pane(p.id) = *p
			w.pane(p.id).op = 0
		}
	}
	if l != nil {
		for i := range l.ops {
			w.pane(l.ops[i].id).op = uint32(i + 1)
		}
	}
}

// Next is the id after the given one that is free, as the decision sees it; never
// 0. The caller sees to it that there is one: Seen is below 65535.
func (w *Window[K, V]) Next(x *Context, after K) K {
	l := find[windowLog[K, V]](x, w)
	if n := w.Seen(x); len(w.ring) < 1<<16 && 2*n >= len(w.ring) {
		w.grow(l)
	}
	for {
		if after++; after == 0 {
			continue
		}
		if _, taken := w.occupant(l, after); !taken {
			return after
		}
	}
}

// Len is the number of ids as committed.
func (w *Window[K, V]) Len() int { return w.n }

// Seen is the number of ids as the decision sees it.
func (w *Window[K, V]) Seen(x *Context) int {
	if l := find[windowLog[K, V]](x, w); l != nil {
		return w.n + l.delta
	}
	return w.n
}

// All calls yield for what is committed, in an order that depends on the ids.
func (w *Window[K, V]) All(yield func(K, V) bool) {
	ring := w.ring // what yield puts in may make it grow
	for i := range ring {
		if p := &ring[i]; p.used && !yield(p.id, p.v) {
			return
		}
	}
}

// Load puts id to v at once: for state that is built before its actor runs.
func (w *Window[K, V]) Load(id K, v V) {
	w.room(nil, id)
	w.set(&windowOp[K, V]{id: id, v: v})
}
