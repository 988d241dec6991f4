// SPDX-License-Identifier: Apache-2.0

package bench

// verdict is what a delivery was.
type verdict uint8

const (
	fresh verdict = iota
	late          // fresh, but something sent behind it came before it
	duplicate
)

// maxMissing bounds what one stream remembers of its gaps. A message that comes
// later than that many others are missing is called a duplicate.
const maxMissing = 1 << 16

// stream checks a subscriber that gets everything of a publisher: sequence
// numbers 0, 1, 2 ... in order. Its zero value expects 0.
type stream struct {
	next    uint64
	missing map[uint64]struct{} // below next and not yet seen; len <= maxMissing
}

func (s *stream) check(seq uint64) verdict {
	if seq == s.next {
		s.next++
		return fresh
	}
	return s.unexpected(seq)
}

func (s *stream) unexpected(seq uint64) verdict {
	if seq < s.next {
		if _, ok := s.missing[seq]; !ok {
			return duplicate
		}
		delete(s.missing, seq)
		return late
	}
	if s.missing == nil {
		s.missing = make(map[uint64]struct{})
	}
	for n := s.next; n < seq && len(s.missing) < maxMissing; n++ {
		s.missing[n] = struct{}{}
	}
	s.next = seq + 1
	return fresh
}

// seen remembers the numbers that came, one bit each, where no single
// subscriber gets them all: a shared group, or topics in any order. It never
// holds more than what was sent: check refuses numbers beyond that.
type seen []uint64

// add reports false if n was there.
func (s *seen) add(n uint64) bool {
	word, bit := n/64, uint64(1)<<(n%64)
	for uint64(len(*s)) <= word {
		*s = append(*s, 0)
	}
	if (*s)[word]&bit != 0 {
		return false
	}
	(*s)[word] |= bit
	return true
}

// Tally is what became of the messages of a run.
type Tally struct {
	Sent       int64 `json:"sent"`       // messages
	Expected   int64 `json:"expected"`   // deliveries that they should cause
	Delivered  int64 `json:"delivered"`  // deliveries, each counted once
	Lost       int64 `json:"lost"`       // expected and not delivered
	Duplicated int64 `json:"duplicated"` // delivered once more
	Reordered  int64 `json:"reordered"`  // delivered behind a later one of the same publisher
	Foreign    int64 `json:"foreign"`    // not sent by this run, or to someone else
	Unacked    int64 `json:"unacked"`    // QoS 1 and 2: sent and never acknowledged
	Refused    int64 `json:"refused"`    // acknowledged with a failure, or for no message
	Dropped    int64 `json:"dropped"`    // connections that ended before the run did
}

// clean reports whether the broker did all it should and nothing else.
func (t *Tally) clean() bool {
	return t.Lost == 0 && t.Duplicated == 0 && t.Reordered == 0 && t.Foreign == 0 &&
		t.Unacked == 0 && t.Refused == 0 && t.Dropped == 0
}

// count adds a verdict and reports whether it is a delivery.
func (t *Tally) count(v verdict) bool {
	switch v {
	case duplicate:
		t.Duplicated++
		return false
	case late:
		t.Reordered++
	}
	t.Delivered++
	return true
}
