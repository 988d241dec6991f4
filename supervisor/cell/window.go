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
	v    V // of a pane that is not used: nobody's, or of the decision that is under way
	id   K
	used bool
	// op is one more than the place of the decision's newest change of this pane in
	// the log; it means something only if that place has a change of this pane. So
	// nothing has to be cleared, not even after a crash.
	op uint32
}

type windowOp[K ~uint16] struct {
	id  K
	act windowAct
	// at is where in WindowEdit.values the value is, of replace.
	at uint32
}

type windowAct uint8

const (
	remove  windowAct = iota
	fill              // a pane that is not used: the value is in it already, where nobody looks
	replace           // what a used pane holds
)

// WindowEdit is the redo log of a Window in one decision: what Window's methods
// look up each time, for whoever changes many ids in a row. It is good until the
// decision ends.
type WindowEdit[K ~uint16, V any] struct {
	of     *Window[K, V]
	ops    []windowOp[K]
	values []V
	delta  int // ids added less ids removed
}

func (l *WindowEdit[K, V]) container() *Window[K, V] { return l.of }
func (l *WindowEdit[K, V]) bind(w *Window[K, V])     { l.of = w }

// newest reports whether change i is the last one of its pane, which alone counts.
func (l *WindowEdit[K, V]) newest(i int) (*pane[K, V], bool) {
	p := l.of.pane(l.ops[i].id)
	return p, p.op == uint32(i+1)
}

func (l *WindowEdit[K, V]) apply() {
	w := l.of
	for i := range l.ops {
		p, newest := l.newest(i)
		if !newest {
			continue
		}
		o := &l.ops[i]
		switch o.act {
		case fill:
			p.id, p.used = o.id, true
		case replace:
			p.v, p.id, p.used = l.values[o.at], o.id, true // a ring that grew gave it a pane of its own
		case remove:
			*p = pane[K, V]{}
		}
	}
	w.n += l.delta
	if w.n == 0 && len(w.ring) > keepPanes {
		w.ring = nil
	}
	l.forget()
}

// abort lets go of the values that were put where nobody looks.
func (l *WindowEdit[K, V]) abort() {
	if l.of == nil {
		return
	}
	for i := range l.ops {
		if p, _ := l.newest(i); !p.used {
			*p = pane[K, V]{}
		}
	}
	l.forget()
}

func (l *WindowEdit[K, V]) forget() {
	clear(l.values)
	if max(cap(l.ops), cap(l.values)) > keepLog {
		l.ops, l.values = nil, nil
	}
	l.of, l.ops, l.values, l.delta = nil, l.ops[:0], l.values[:0], 0
}

const (
	minPanes  = 8
	keepPanes = 256 // what an empty window keeps
)

func (w *Window[K, V]) pane(id K) *pane[K, V] { return &w.ring[int(id)&(len(w.ring)-1)] }

// last is the decision's newest change of p, which is id's pane; nil when there
// is none.
func (l *WindowEdit[K, V]) last(p *pane[K, V], id K) *windowOp[K] {
	if l == nil || p.op == 0 || int(p.op) > len(l.ops) {
		return nil
	}
	o := &l.ops[p.op-1]
	if int(o.id^id)&(len(l.of.ring)-1) != 0 {
		return nil
	}
	return o
}

// occupant is whose id's pane is, as the decision sees it, and where the value is.
func (w *Window[K, V]) occupant(l *WindowEdit[K, V], id K) (owner K, v *V) {
	p := w.pane(id)
	switch o := l.last(p, id); {
	case o == nil:
		if p.used {
			return p.id, &p.v
		}
	case o.act == fill:
		return o.id, &p.v
	case o.act == replace:
		return o.id, &l.values[o.at]
	}
	return 0, nil
}

// look is the value of id as the decision sees it, nil when there is none.
func (w *Window[K, V]) look(l *WindowEdit[K, V], id K) *V {
	if len(w.ring) == 0 {
		return nil
	}
	if owner, v := w.occupant(l, id); owner == id {
		return v
	}
	return nil
}

// Get is the value of id as the decision sees it.
func (w *Window[K, V]) Get(x *Context, id K) (v V, ok bool) {
	if at := w.look(find[WindowEdit[K, V]](x, w), id); at != nil {
		return *at, true
	}
	return v, false
}

// Edit is for many changes in a row.
func (w *Window[K, V]) Edit(x *Context) *WindowEdit[K, V] { return open[WindowEdit[K, V]](x, w) }

// Look is the value of id as the decision sees it, nil when there is none. It is
// to be read only, and until the next change.
func (l *WindowEdit[K, V]) Look(id K) *V { return l.of.look(l, id) }

// Seen is the number of ids as the decision sees it.
func (l *WindowEdit[K, V]) Seen() int { return l.of.n + l.delta }

// Put sets id to v.
func (w *Window[K, V]) Put(x *Context, id K, v V) { *w.Edit(x).Put(id) = v }

// Put sets id to what the caller writes to the memory that is returned, all of it,
// before the next change.
func (l *WindowEdit[K, V]) Put(id K) *V {
	w := l.of
	if !w.room(l, id) {
		l.delta++
	}
	p := w.pane(id)
	o := l.last(p, id)
	switch {
	case o != nil && o.act == fill: // of the same id: the pane was not free else
		return &p.v
	case p.used:
		l.add(id, replace).at = uint32(len(l.values))
		var zero V
		l.values = append(l.values, zero)
		return &l.values[len(l.values)-1]
	}
	l.add(id, fill)
	return &p.v
}

// Delete removes id.
func (w *Window[K, V]) Delete(x *Context, id K) {
	if len(w.ring) > 0 {
		w.Edit(x).Delete(id)
	}
}

// Delete removes id.
func (l *WindowEdit[K, V]) Delete(id K) {
	if l.Look(id) != nil {
		l.delta--
		l.add(id, remove)
	}
}

// add notes one more change, of id's pane.
func (l *WindowEdit[K, V]) add(id K, act windowAct) *windowOp[K] {
	l.ops = append(l.ops, windowOp[K]{id: id, act: act})
	l.of.pane(id).op = uint32(len(l.ops))
	return &l.ops[len(l.ops)-1]
}

// room makes the ring as large as it takes for id to have a pane; it reports
// whether id has it already.
func (w *Window[K, V]) room(l *WindowEdit[K, V], id K) bool {
	for {
		if len(w.ring) > 0 {
			owner, v := w.occupant(l, id)
			if v == nil || owner == id {
				return v != nil
			}
		}
		w.grow(l)
	}
}

// grow doubles the ring. What it holds stays as it is, so a decision may do it:
// ids with panes of their own have them in a larger ring, too.
func (w *Window[K, V]) grow(l *WindowEdit[K, V]) {
	old := w.ring
	w.ring = make([]pane[K, V], max(minPanes, 2*len(old)))
	for i := range old {
		if p := &old[i]; p.used {
			*w.pane(p.id) = *p
			w.pane(p.id).op = 0
		}
	}
	if l == nil {
		return
	}
	for i := range l.ops {
		id := l.ops[i].id
		p := w.pane(id)
		if from := &old[int(id)&(len(old)-1)]; l.ops[i].act == fill && from.op == uint32(i+1) {
			p.v = from.v
		}
		p.op = uint32(i + 1)
	}
}

// Next is the id after the given one that is free, as the decision sees it; never
// 0. The caller sees to it that there is one: Seen is below 65535.
func (w *Window[K, V]) Next(x *Context, after K) K { return w.Edit(x).Next(after) }

// Next is Window.Next.
func (l *WindowEdit[K, V]) Next(after K) K {
	w := l.of
	if len(w.ring) < 1<<16 && 2*l.Seen() >= len(w.ring) {
		w.grow(l)
	}
	for {
		if after++; after == 0 {
			continue
		}
		if _, v := w.occupant(l, after); v == nil {
			return after
		}
	}
}

// Len is the number of ids as committed.
func (w *Window[K, V]) Len() int { return w.n }

// Seen is the number of ids as the decision sees it.
func (w *Window[K, V]) Seen(x *Context) int {
	if l := find[WindowEdit[K, V]](x, w); l != nil {
		return l.Seen()
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
	if !w.room(nil, id) {
		w.n++
	}
	p := w.pane(id)
	p.v, p.id, p.used = v, id, true
}
