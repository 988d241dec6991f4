// SPDX-License-Identifier: Apache-2.0

package cell

import "sync/atomic"

// writer is one thing that the commit assigns.
type writer interface {
	apply()
	abort()
}

func (x *Context) commitWrites() {
	for i, w := range x.writes {
		w.apply()
		x.writes[i] = nil
	}
	x.writes = x.writes[:0]
	for i := range x.counts {
		c := &x.counts[i]
		c.of.Add(c.n)
		c.of = nil
	}
	x.counts = x.counts[:0]
	for i, j := range x.joins {
		j.f.Join(j.m)
		x.joins[i] = join{}
	}
	x.joins = x.joins[:0]
}

// Slot is the shadow memory for states of type S; one per type, made at package
// initialisation, used by all groups.
type Slot[S any] struct{ i int }

var slots atomic.Int32

// NewSlot makes the slot for S.
func NewSlot[S any]() Slot[S] { return Slot[S]{int(slots.Add(1)) - 1} }

// Edit returns the copy of *cur that the decision may change; the commit assigns
// it to *cur. Within one decision it always returns the same copy. A stage that
// only reads uses *cur itself.
func (sl Slot[S]) Edit(x *Context, cur *S) *S {
	for len(x.slots) <= sl.i {
		x.slots = append(x.slots, nil)
	}
	sh, _ := x.slots[sl.i].(*shadow[S])
	if sh == nil {
		sh = new(shadow[S])
		x.slots[sl.i] = sh
	}
	if sh.cur == cur {
		return &sh.next
	}
	if sh.cur != nil {
		panic("cell: one decision edits two states of one type")
	}
	x.at(Decide)
	sh.cur, sh.next = cur, *cur
	x.writes = append(x.writes, sh)
	return &sh.next
}

// See is what the decision has made of *cur so far: the copy, or *cur when it
// was not edited.
func (sl Slot[S]) See(x *Context, cur *S) *S {
	if sl.i < len(x.slots) {
		if sh, _ := x.slots[sl.i].(*shadow[S]); sh != nil && sh.cur == cur {
			return &sh.next
		}
	}
	return cur
}

type shadow[S any] struct {
	cur  *S // what is shadowed in this decision; nil: nothing
	next S
}

func (s *shadow[S]) apply() {
	*s.cur = s.next
	s.abort()
}

// abort leaves next as it is, until the group's next decision of the kind: to
// clear a large state for every message would cost as much as to copy it.
func (s *shadow[S]) abort() { s.cur = nil }
