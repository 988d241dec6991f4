// SPDX-License-Identifier: Apache-2.0

package cell

import "math/bits"

// IDs is a set of 16-bit identifiers whose changes wait for the commit. Others
// choose them, so any of them may come: it has a bit for each, in pages that are
// there while they are needed. The empty set takes two words, a full one 9 KB,
// where a map would take 2 MB.
type IDs struct {
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

func (s *IDs) page(id uint16) *idPage {
	if s.pages == nil {
		return nil
	}
	return s.pages[id/pageBits]
}

func (s *IDs) has(id uint16) bool {
	p := s.page(id)
	return p != nil && p.bits[id%pageBits/64]>>(id%64)&1 != 0
}

// toggle adds id, or removes it. One empty page is kept: ids that come and go do
// not allocate.
func (s *IDs) toggle(id uint16) {
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
type idsLog struct {
	of      *IDs
	differ  [1 << 16 / 64]uint64
	touched []uint16 // every bit of differ was set for one of these
	delta   int
}

func (l *idsLog) container() *IDs { return l.of }
func (l *idsLog) bind(s *IDs)     { l.of = s }

func (l *idsLog) apply() {
	for _, id := range l.touched {
		if l.differs(id) {
			l.of.toggle(id)
			l.differ[id/64] &^= 1 << (id % 64) // once, however often it was touched
		}
	}
	l.forget()
}

func (l *idsLog) abort() {
	for _, id := range l.touched {
		l.differ[id/64] = 0
	}
	l.forget()
}

func (l *idsLog) forget() {
	if cap(l.touched) > keepLog {
		l.touched = nil
	}
	l.of, l.touched, l.delta = nil, l.touched[:0], 0
}

func (l *idsLog) differs(id uint16) bool { return l.differ[id/64]>>(id%64)&1 != 0 }

func (l *idsLog) toggle(id uint16) {
	l.differ[id/64] ^= 1 << (id % 64)
	l.touched = append(l.touched, id)
}

// Has reports whether id is in the set, as the decision sees it.
func (s *IDs) Has(x *Context, id uint16) bool {
	if l := find[idsLog](x, s); l != nil {
		return s.has(id) != l.differs(id)
	}
	return s.has(id)
}

// Add puts id in.
func (s *IDs) Add(x *Context, id uint16) {
	if l := open[idsLog](x, s); s.has(id) == l.differs(id) {
		l.toggle(id)
		l.delta++
	}
}

// Remove takes id out.
func (s *IDs) Remove(x *Context, id uint16) {
	if l := open[idsLog](x, s); s.has(id) != l.differs(id) {
		l.toggle(id)
		l.delta--
	}
}

// Len is the number of ids as committed.
func (s *IDs) Len() int { return s.n }

// Seen is the number of ids as the decision sees it.
func (s *IDs) Seen(x *Context) int {
	if l := find[idsLog](x, s); l != nil {
		return s.n + l.delta
	}
	return s.n
}

// All calls yield for what is committed, in ascending order.
func (s *IDs) All(yield func(uint16) bool) {
	if s.pages == nil {
		return
	}
	for i, p := range s.pages {
		if p == nil {
			continue
		}
		for j, word := range p.bits {
			for ; word != 0; word &= word - 1 {
				if !yield(uint16(i*pageBits + j*64 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// Load puts id in at once: for state that is built before its actor runs.
func (s *IDs) Load(id uint16) {
	if !s.has(id) {
		s.toggle(id)
	}
}
