// SPDX-License-Identifier: Apache-2.0

package cell

import "math/bits"

// IDs is a set of 16-bit identifiers whose changes wait for the commit. Others
// choose them, so any of them may come: it has a bit for each, in pages that are
// there while they are needed. The empty set takes two words, a full one 9 KB,
// where a map would take 2 MB.
type IDs[K ~uint16] struct {
	pages *[idPages]*idPage
	n     int
	held  int // pages that are there
}

const (
	idPages   = 32
	pageBits  = 1 << 16 / idPages
	pageWords = pageBits / 64
)

type idPage struct {
	bits [pageWords]uint64
	n    int
}

func (s *IDs[K]) page(id K) *idPage {
	if s.pages == nil {
		return nil
	}
	return s.pages[id/pageBits]
}

func (s *IDs[K]) has(id K) bool {
	p := s.page(id)
	return p != nil && p.bits[id%pageBits/64]>>(id%64)&1 != 0
}

// toggle adds id, or removes it. One empty page is kept: ids that come and go do
// not allocate.
func (s *IDs[K]) toggle(id K) {
	if s.pages == nil {
		s.pages = new([idPages]*idPage)
	}
	at := &s.pages[id/pageBits]
	if *at == nil {
		*at = new(idPage)
		s.held++
	}
	p := *at
	word, bit := &p.bits[id%pageBits/64], uint64(1)<<(id%64)
	*word ^= bit
	if *word&bit != 0 {
		p.n++
		s.n++
		return
	}
	p.n--
	s.n--
	if p.n == 0 && s.held > 1 {
		*at = nil
		s.held--
	}
}

// idsLog is the redo log of an IDs: a bit is set where the decision differs from
// what is committed.
type idsLog[K ~uint16] struct {
	of      *IDs[K]
	differ  [1 << 16 / 64]uint64
	touched []K // every bit of differ was set for one of these
	delta   int
}

func (l *idsLog[K]) container() *IDs[K] { return l.of }
func (l *idsLog[K]) bind(s *IDs[K])     { l.of = s }

func (l *idsLog[K]) apply() {
	for _, id := range l.touched {
		if l.differs(id) {
			l.of.toggle(id)
			l.differ[id/64] &^= 1 << (id % 64) // once, however often it was touched
		}
	}
	l.forget()
}

func (l *idsLog[K]) abort() {
	for _, id := range l.touched {
		l.differ[id/64] = 0
	}
	l.forget()
}

func (l *idsLog[K]) forget() {
	if cap(l.touched) > keepLog {
		l.touched = nil
	}
	l.of, l.touched, l.delta = nil, l.touched[:0], 0
}

func (l *idsLog[K]) differs(id K) bool { return l.differ[id/64]>>(id%64)&1 != 0 }

func (l *idsLog[K]) toggle(id K) {
	l.differ[id/64] ^= 1 << (id % 64)
	l.touched = append(l.touched, id)
}

// Has reports whether id is in the set, as the decision sees it.
func (s *IDs[K]) Has(x *Context, id K) bool {
	if l := find[idsLog[K]](x, s); l != nil {
		return s.has(id) != l.differs(id)
	}
	return s.has(id)
}

// Add puts id in.
func (s *IDs[K]) Add(x *Context, id K) {
	if l := open[idsLog[K]](x, s); s.has(id) == l.differs(id) {
		l.toggle(id)
		l.delta++
	}
}

// Remove takes id out.
func (s *IDs[K]) Remove(x *Context, id K) {
	if l := open[idsLog[K]](x, s); s.has(id) != l.differs(id) {
		l.toggle(id)
		l.delta--
	}
}

// Len is the number of ids as committed.
func (s *IDs[K]) Len() int { return s.n }

// Seen is the number of ids as the decision sees it.
func (s *IDs[K]) Seen(x *Context) int {
	if l := find[idsLog[K]](x, s); l != nil {
		return s.n + l.delta
	}
	return s.n
}

// All calls yield for what is committed, in ascending order.
func (s *IDs[K]) All(yield func(K) bool) {
	if s.pages == nil {
		return
	}
	for i, p := range s.pages {
		if p == nil {
			continue
		}
		for j, word := range p.bits {
			for ; word != 0; word &= word - 1 {
				if !yield(K(i*pageBits + j*64 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// Load puts id in at once: for state that is built before its actor runs.
func (s *IDs[K]) Load(id K) {
	if !s.has(id) {
		s.toggle(id)
	}
}
