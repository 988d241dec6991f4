// SPDX-License-Identifier: Apache-2.0

package cell

// container is what has a redo log with entries of type E.
type container[E any] interface {
	comparable
	redo(ops []E)
}

// logOf is the redo log of a container of type C with entries of type E, kept in
// the group's scratch memory and found by type.
type logOf[C container[E], E any] struct {
	of  C
	ops []E
}

func (l *logOf[C, E]) apply() {
	l.of.redo(l.ops)
	l.abort()
}

func (l *logOf[C, E]) abort() {
	var zero C
	l.of = zero
	clear(l.ops)
	l.ops = l.ops[:0]
}

// find is the log of container of in this decision, nil when nothing was
// written to it.
func find[C container[E], E any](x *Context, of C) *logOf[C, E] {
	for _, a := range x.logs {
		if l, ok := a.(*logOf[C, E]); ok && l.of == of {
			return l
		}
	}
	return nil
}

// open is find, or a new one.
func open[C container[E], E any](x *Context, of C) *logOf[C, E] {
	var free *logOf[C, E]
	var zero C
	for _, a := range x.logs {
		if l, ok := a.(*logOf[C, E]); ok {
			if l.of == of {
				return l
			}
			if l.of == zero {
				free = l
			}
		}
	}
	at(x.cell, Decide, x.msg)
	if free == nil {
		free = new(logOf[C, E])
		x.logs = append(x.logs, free)
	}
	free.of = of
	x.writes = append(x.writes, free)
	return free
}

// Map is a map whose changes wait for the commit.
type Map[K comparable, V any] struct{ m map[K]V }

type mapOp[K comparable, V any] struct {
	k   K
	v   V
	del bool
}

// Get is the value of k as the decision sees it.
func (m *Map[K, V]) Get(x *Context, k K) (V, bool) {
	if l := find[*Map[K, V], mapOp[K, V]](x, m); l != nil {
		for i := len(l.ops) - 1; i >= 0; i-- {
			if l.ops[i].k == k {
				if l.ops[i].del {
					var zero V
					return zero, false
				}
				return l.ops[i].v, true
			}
		}
	}
	v, ok := m.m[k]
	return v, ok
}

// Put sets k to v.
func (m *Map[K, V]) Put(x *Context, k K, v V) {
	l := open[*Map[K, V], mapOp[K, V]](x, m)
	l.ops = append(l.ops, mapOp[K, V]{k: k, v: v})
}

// Delete removes k.
func (m *Map[K, V]) Delete(x *Context, k K) {
	l := open[*Map[K, V], mapOp[K, V]](x, m)
	l.ops = append(l.ops, mapOp[K, V]{k: k, del: true})
}

// Len is the number of keys as committed.
func (m *Map[K, V]) Len() int { return len(m.m) }

// Seen is the number of keys as the decision sees it.
func (m *Map[K, V]) Seen(x *Context) int {
	n := len(m.m)
	l := find[*Map[K, V], mapOp[K, V]](x, m)
	if l == nil {
		return n
	}
	for i, o := range l.ops {
		_, had := m.m[o.k]
		for j := i - 1; j >= 0; j-- {
			if l.ops[j].k == o.k {
				had = !l.ops[j].del
				break
			}
		}
		switch {
		case had && o.del:
			n--
		case !had && !o.del:
			n++
		}
	}
	return n
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

func (m *Map[K, V]) redo(ops []mapOp[K, V]) {
	for _, o := range ops {
		if o.del {
			delete(m.m, o.k)
			continue
		}
		if m.m == nil {
			m.m = make(map[K]V)
		}
		m.m[o.k] = o.v
	}
}

// Queue is a double-ended queue whose changes wait for the commit.
type Queue[T any] struct {
	ring []T // capacity a power of two
	head int
	n    int
}

type queueOp[T any] struct {
	pop bool
	v   T
}

// Len is the length as the decision sees it.
func (q *Queue[T]) Len(x *Context) int {
	n := q.n
	if l := find[*Queue[T], queueOp[T]](x, q); l != nil {
		for i := range l.ops {
			if l.ops[i].pop {
				n--
			} else {
				n++
			}
		}
	}
	return n
}

// Size is the length as committed.
func (q *Queue[T]) Size() int { return q.n }

// Push appends v.
func (q *Queue[T]) Push(x *Context, v T) {
	l := open[*Queue[T], queueOp[T]](x, q)
	l.ops = append(l.ops, queueOp[T]{v: v})
}

// Pop removes the oldest element. The decision has seen that there is one.
func (q *Queue[T]) Pop(x *Context) {
	l := open[*Queue[T], queueOp[T]](x, q)
	l.ops = append(l.ops, queueOp[T]{pop: true})
}

// Peek is the oldest element as the decision sees it.
func (q *Queue[T]) Peek(x *Context) (v T, ok bool) {
	pops := 0
	l := find[*Queue[T], queueOp[T]](x, q)
	if l == nil {
		if q.n == 0 {
			return v, false
		}
		return q.ring[q.head], true
	}
	for i := range l.ops {
		if l.ops[i].pop {
			pops++
		}
	}
	if pops < q.n {
		return q.ring[(q.head+pops)&(len(q.ring)-1)], true
	}
	pops -= q.n
	for i := range l.ops {
		if !l.ops[i].pop {
			if pops == 0 {
				return l.ops[i].v, true
			}
			pops--
		}
	}
	return v, false
}

// All calls yield for what is committed, oldest first.
func (q *Queue[T]) All(yield func(T) bool) {
	for i := range q.n {
		if !yield(q.ring[(q.head+i)&(len(q.ring)-1)]) {
			return
		}
	}
}

func (q *Queue[T]) redo(ops []queueOp[T]) {
	for i := range ops {
		if ops[i].pop {
			var zero T
			q.ring[q.head] = zero
			q.head = (q.head + 1) & (len(q.ring) - 1)
			q.n--
			continue
		}
		if q.n == len(q.ring) {
			q.grow()
		}
		q.ring[(q.head+q.n)&(len(q.ring)-1)] = ops[i].v
		q.n++
	}
	if q.n == 0 && len(q.ring) > keepRing {
		q.ring, q.head = nil, 0
	}
}

// keepRing is the ring size that an empty queue keeps: enough that a queue that
// comes and goes does not allocate, little enough that an idle one costs nothing.
const keepRing = 8

func (q *Queue[T]) grow() {
	ring := make([]T, max(4, 2*len(q.ring)))
	for i := range q.n {
		ring[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
	}
	q.ring, q.head = ring, 0
}
