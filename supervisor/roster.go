// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"iter"

	"emqttd/supervisor/cell"
)

// roster is the children of a simple_one_for_one in the order of their start, so
// that a page of them is the same page the next time. Each cell knows its place
// (cell.Seat), so that there is no table beside: 16 bytes for a child, of which
// there may be a million. A child that has left leaves a gap; when more than half
// are gaps they are closed, once per as many as are left.
type roster struct {
	places []place
	n      int // without the gaps
}

// place is one of the roster. The cell is nil in a gap, the child until something
// has to be remembered of it.
type place struct {
	cell  *cell.Cell
	child *child
}

// minGaps is how many gaps do not matter.
const minGaps = 64

func (r *roster) len() int { return r.n }

// has reports whether c is on the roster.
func (r *roster) has(c *cell.Cell) bool {
	i := int(*c.Seat())
	return i < len(r.places) && r.places[i].cell == c
}

// add takes in the latest child.
func (r *roster) add(c *cell.Cell) {
	*c.Seat() = int32(len(r.places))
	r.places = append(r.places, place{cell: c})
	r.n++
}

// known is what is remembered of a child, nil when there is nothing.
func (r *roster) known(c *cell.Cell) *child {
	if !r.has(c) {
		return nil
	}
	return r.places[*c.Seat()].child
}

// know is where something can be remembered of a child that is on the roster.
func (r *roster) know(c *cell.Cell) *child {
	p := &r.places[*c.Seat()]
	if p.child == nil {
		p.child = &child{Child: Child{Cell: c, Restart: Temporary}}
	}
	return p.child
}

func (r *roster) remove(c *cell.Cell) {
	if !r.has(c) {
		return
	}
	r.places[*c.Seat()] = place{}
	if r.n--; len(r.places) > 2*r.n+minGaps {
		r.close()
	}
}

// close closes the gaps. The memory is the same, unless that would be far too much.
func (r *roster) close() {
	kept := r.places[:0]
	if cap(r.places) > 8*(r.n+minGaps) {
		kept = make([]place, 0, r.n+r.n/4)
	}
	all := r.places
	for _, p := range all {
		if p.cell != nil {
			*p.cell.Seat() = int32(len(kept))
			kept = append(kept, p)
		}
	}
	clear(all[len(kept):]) // of the same memory; else nobody looks at it
	r.places = kept
}

// from is the children in order, without the first skip of them.
func (r *roster) from(skip int) iter.Seq[*cell.Cell] {
	return func(yield func(*cell.Cell) bool) {
		for _, p := range r.places {
			if p.cell == nil {
				continue
			}
			if skip > 0 {
				skip--
				continue
			}
			if !yield(p.cell) {
				return
			}
		}
	}
}
