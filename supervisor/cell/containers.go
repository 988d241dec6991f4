// SPDX-License-Identifier: Apache-2.0

package cell

// log is the redo log of one container in one decision: scratch memory of the
// group, found again by its type. P is the pointer to L, C the container.
type log[L any, C comparable] interface {
	*L
	writer
	container() C // nil: free
	bind(C)
}

// find is the log of container of in this decision, nil when nothing was
// written to it.
func find[L any, C comparable, P log[L, C]](x *Context, of C) P {
	x.check()
	for _, w := range x.writes {
		if l, ok := w.(P); ok && l.container() == of {
			return l
		}
	}
	return nil
}

// open is find, or a new one.
func open[L any, C comparable, P log[L, C]](x *Context, of C) P {
	for _, w := range x.writes {
		if l, ok := w.(P); ok && l.container() == of {
			return l
		}
	}
	x.at(Decide)
	l := unused[L, C, P](x)
	l.bind(of)
	x.writes = append(x.writes, l)
	return l
}

// unused is a log that no container of this decision has.
func unused[L any, C comparable, P log[L, C]](x *Context) P {
	var zero C
	for _, a := range x.logs {
		if l, ok := a.(P); ok && l.container() == zero {
			return l
		}
	}
	l := P(new(L))
	x.logs = append(x.logs, l)
	return l
}

// Map is a map whose changes wait for the commit.
type Map[K comparable, V any] struct{ m map[K]V }

type mapOp[K comparable, V any] struct {
	k   K
	v   V
	del bool
}

// mapLog is the redo log of a Map. Up to indexFrom changes the newest one of a
// key is found by looking; beyond, by an index.
type mapLog[K comparable, V any] struct {
	of    *Map[K, V]
	ops   []mapOp[K, V]
	delta int // keys added less keys removed
	index map[K]int
}

const (
	indexFrom = 16
	keepLog   = 4096 // what is kept of the memory of one large decision
)

func (l *mapLog[K, V]) container() *Map[K, V] { return l.of }
func (l *mapLog[K, V]) bind(m *Map[K, V])     { l.of = m }

func (l *mapLog[K, V]) apply() {
	for i := range l.ops {
		l.of.set(&l.ops[i])
	}
	l.abort()
}

func (l *mapLog[K, V]) abort() {
	clear(l.ops)
	clear(l.index)
	if cap(l.ops) > keepLog {
		l.ops, l.index = nil, nil
	}
	l.of, l.ops, l.delta = nil, l.ops[:0], 0
}

// last is the newest change of k, nil when there is none.
func (l *mapLog[K, V]) last(k K) *mapOp[K, V] {
	if len(l.ops) > indexFrom {
		if i, ok := l.index[k]; ok {
			return &l.ops[i]
		}
		return nil
	}
	for i := len(l.ops) - 1; i >= 0; i-- {
		if l.ops[i].k == k {
			return &l.ops[i]
		}
	}
	return nil
}

func (l *mapLog[K, V]) add(o mapOp[K, V]) {
	had := false
	if old := l.last(o.k); old != nil {
		had = !old.del
	} else {
		_, had = l.of.m[o.k]
	}
	switch {
	case had && o.del:
		l.delta--
	case !had && !o.del:
		l.delta++
	}
	l.ops = append(l.ops, o)
	switch n := len(l.ops); {
	case n == indexFrom+1:
		if l.index == nil {
			l.index = make(map[K]int, 4*indexFrom)
		}
		for i := range l.ops {
			l.index[l.ops[i].k] = i
		}
	case n > indexFrom:
		l.index[o.k] = n - 1
	}
}

// Get is the value of k as the decision sees it.
func (m *Map[K, V]) Get(x *Context, k K) (V, bool) {
	if l := find[mapLog[K, V]](x, m); l != nil {
		if o := l.last(k); o != nil {
			return o.v, !o.del
		}
	}
	v, ok := m.m[k]
	return v, ok
}

// Put sets k to v.
func (m *Map[K, V]) Put(x *Context, k K, v V) {
	open[mapLog[K, V]](x, m).add(mapOp[K, V]{k: k, v: v})
}

// Delete removes k.
func (m *Map[K, V]) Delete(x *Context, k K) {
	open[mapLog[K, V]](x, m).add(mapOp[K, V]{k: k, del: true})
}

// Len is the number of keys as committed.
func (m *Map[K, V]) Len() int { return len(m.m) }

// Seen is the number of keys as the decision sees it.
func (m *Map[K, V]) Seen(x *Context) int {
	if l := find[mapLog[K, V]](x, m); l != nil {
		return len(m.m) + l.delta
	}
	return len(m.m)
}

// All calls yield for what is committed, in no order: whoever lets it decide
// anything sorts first.
func (m *Map[K, V]) All(yield func(K, V) bool) {
	for k, v := range m.m {
		if !yield(k, v) {
			return
		}
	}
}

// Loaded is the value of k as committed: for state that is being built.
func (m *Map[K, V]) Loaded(k K) (V, bool) {
	v, ok := m.m[k]
	return v, ok
}

// Load puts k to v at once: for state that is built before its actor runs, from
// a store.
func (m *Map[K, V]) Load(k K, v V) { m.set(&mapOp[K, V]{k: k, v: v}) }

func (m *Map[K, V]) set(o *mapOp[K, V]) {
	if o.del {
		delete(m.m, o.k)
		return
	}
	if m.m == nil {
		m.m = make(map[K]V)
	}
	m.m[o.k] = o.v
}

// Queue is a queue whose changes wait for the commit, of less than 1<<31 elements. It
// is part of what every connection and session holds: its figures are half as wide as
// they might be.
type Queue[T any] struct {
	ring []T // capacity a power of two
	head uint32
	n    uint32
}

// at is the element with i older ones before it, as committed.
func (q *Queue[T]) at(i int) *T { return &q.ring[(int(q.head)+i)&(len(q.ring)-1)] }

// queueLog is the redo log of a Queue: what was pushed, and how many were taken
// from the front, of what was there first and then of what was pushed.
type queueLog[T any] struct {
	of     *Queue[T]
	pops   int
	pushed []T
}

func (l *queueLog[T]) container() *Queue[T] { return l.of }
func (l *queueLog[T]) bind(q *Queue[T])     { l.of = q }

func (l *queueLog[T]) apply() {
	q := l.of
	old := min(l.pops, q.Size())
	q.drop(old)
	q.load(l.pushed[l.pops-old:])
	if q.n == 0 && len(q.ring) > keepRing {
		q.ring, q.head = nil, 0
	}
	l.abort()
}

func (l *queueLog[T]) abort() {
	clear(l.pushed)
	if cap(l.pushed) > keepLog {
		l.pushed = nil
	}
	l.of, l.pushed, l.pops = nil, l.pushed[:0], 0
}

// QueueEdit is a Queue as the decision sees it, for many operations in a row.
type QueueEdit[T any] struct{ l *queueLog[T] }

// Edit is q for this decision, from now to its end.
func (q *Queue[T]) Edit(x *Context) QueueEdit[T] { return QueueEdit[T]{open[queueLog[T]](x, q)} }

// Front is the oldest element, nil of an empty queue. It is only to be read, and
// good until the queue is changed.
func (e QueueEdit[T]) Front() *T {
	l := e.l
	switch q := l.of; {
	case l.pops < q.Size():
		return q.at(l.pops)
	case l.pops-q.Size() < len(l.pushed):
		return &l.pushed[l.pops-q.Size()]
	}
	return nil
}

// Pop removes the oldest element. There is one.
func (e QueueEdit[T]) Pop() { e.l.pops++ }

// Next appends an element and returns it, to be written where it lies: one that is
// built aside is copied in wide words, which wait for its narrow fields.
func (e QueueEdit[T]) Next() *T {
	l := e.l
	n := len(l.pushed)
	if n == cap(l.pushed) {
		var zero T
		l.pushed = append(l.pushed, zero)
	}
	l.pushed = l.pushed[:n+1] // beyond its length all is zero
	return &l.pushed[n]
}

// Len is the length as the decision sees it.
func (q *Queue[T]) Len(x *Context) int {
	if l := find[queueLog[T]](x, q); l != nil {
		return q.Size() - l.pops + len(l.pushed)
	}
	return q.Size()
}

// Size is the length as committed.
func (q *Queue[T]) Size() int { return int(q.n) }

// Push appends v.
func (q *Queue[T]) Push(x *Context, v T) {
	l := open[queueLog[T]](x, q)
	l.pushed = append(l.pushed, v)
}

// Pop removes the oldest element. The decision has seen that there is one.
func (q *Queue[T]) Pop(x *Context) { open[queueLog[T]](x, q).pops++ }

// Peek is the oldest element as the decision sees it.
func (q *Queue[T]) Peek(x *Context) (v T, ok bool) { return q.At(x, 0) }

// At is the element with i older ones before it as the decision sees it.
func (q *Queue[T]) At(x *Context, i int) (v T, ok bool) {
	l := find[queueLog[T]](x, q)
	if l != nil {
		i += l.pops
	}
	switch {
	case i < q.Size():
		return *q.at(i), true
	case l != nil && i-q.Size() < len(l.pushed):
		return l.pushed[i-q.Size()], true
	}
	return v, false
}

// All calls yield for what is committed, oldest first.
func (q *Queue[T]) All(yield func(T) bool) {
	for i := range q.Size() {
		if !yield(*q.at(i)) {
			return
		}
	}
}

// Load appends v at once: for state that is built before its actor runs.
func (q *Queue[T]) Load(v T) {
	if q.Size() == len(q.ring) {
		q.grow()
	}
	*q.at(q.Size()) = v
	q.n++
}

// load appends all at once, in the two parts of the ring that they come to lie in at
// most.
func (q *Queue[T]) load(all []T) {
	for q.Size()+len(all) > len(q.ring) {
		q.grow()
	}
	for len(all) > 0 {
		n := copy(q.ring[int(q.head+q.n)&(len(q.ring)-1):], all)
		q.n += uint32(n)
		all = all[n:]
	}
}

// drop takes away the n oldest.
func (q *Queue[T]) drop(n int) {
	for n > 0 {
		part := q.ring[q.head:min(int(q.head)+n, len(q.ring))]
		clear(part)
		q.head = (q.head + uint32(len(part))) & uint32(len(q.ring)-1)
		q.n -= uint32(len(part))
		n -= len(part)
	}
}

// keepRing is the ring size that an empty queue keeps: enough that a queue that
// comes and goes does not allocate, little enough that an idle one costs nothing.
const keepRing = 8

func (q *Queue[T]) grow() {
	ring := make([]T, max(4, 2*len(q.ring)))
	for i := range q.Size() {
		ring[i] = *q.at(i)
	}
	q.ring, q.head = ring, 0
}
