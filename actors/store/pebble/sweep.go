// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	sliceKeys  = 2048                   // looked at in one slice
	slicePause = 50 * time.Millisecond  // between two slices
	turnPause  = time.Minute            // between the beginnings of two turns
	noDeadline = int64(math.MaxInt64)   // nothing expires
	longPause  = time.Duration(1 << 62) // until something else happens
)

// sweep is where the sweeper is. A turn walks all sessions and all retained
// messages in slices between commits, and takes what has expired; there is one
// when a deadline has passed, at most every turnPause. Once after Open it also
// walks the shared messages, for those that a crash left without a holder.
type sweep struct {
	next   []byte    // first key of the next slice; nil: no turn
	due    int64     // earliest deadline that is not known to be gone
	began  int64     // when the last turn began
	sliced time.Time // when the last slice was
	// orphan is the next shared message to look at, limit the first that was
	// stored after Open.
	orphan, limit uint64
}

// expires notes a deadline, 0 for none.
func (e *Engine) expires(deadline int64) {
	if deadline != 0 {
		e.sweep.due = min(e.sweep.due, deadline)
	}
}

// pause is how long the sweeper has nothing to do.
func (s *sweep) pause(now int64, rubbish bool) time.Duration {
	if s.next != nil || s.orphan < s.limit || rubbish {
		return slicePause - time.Since(s.sliced)
	}
	if s.due == noDeadline {
		return longPause
	}
	return time.Duration(max(s.due, s.began+int64(turnPause)) - now)
}

// slice does a bounded piece of the sweeper's work.
func (e *Engine) slice() {
	now := e.now()
	s := &e.sweep
	s.sliced = time.Now()
	switch {
	case len(e.rubbish) > 0:
		e.clean()
	case s.orphan < s.limit:
		e.orphans()
	default:
		if s.next == nil {
			s.next, s.began, s.due = []byte{spaceSession}, now, noDeadline
		}
		e.expired(now)
	}
	if !e.batch.Empty() && e.heldSince.IsZero() {
		e.heldSince = time.Now()
	}
}

// clean deletes messages that nobody holds since their last session ended.
func (e *Engine) clean() {
	n := min(len(e.rubbish), sliceKeys)
	for _, seq := range e.rubbish[len(e.rubbish)-n:] {
		if e.index.shared[seq] == 0 { // it may have been handed to somebody else since
			e.delete(appendMessageKey(e.key[:0], seq))
		}
	}
	if e.rubbish = e.rubbish[:len(e.rubbish)-n]; len(e.rubbish) == 0 {
		e.rubbish = nil
	}
}

// orphans looks for messages that a crash left without a holder.
func (e *Engine) orphans() {
	s := &e.sweep
	rest := e.walk(appendMessageKey(nil, s.orphan), appendMessageKey(nil, s.limit), func(it *pebble.Iterator) {
		if seq := binary.BigEndian.Uint64(it.Key()[1:]); e.index.shared[seq] == 0 {
			e.delete(appendMessageKey(e.key[:0], seq))
		}
	})
	if s.orphan = s.limit; rest != nil {
		s.orphan = binary.BigEndian.Uint64(rest[1:])
	}
}

// expired takes what has expired from queues and from the retained messages.
func (e *Engine) expired(now int64) {
	e.commit() // else it deletes a retained message whose successor is in the batch
	e.sweep.next = e.walk(e.sweep.next, []byte{spaceRetained + 1}, func(it *pebble.Iterator) {
		key, value := it.Key(), it.Value()
		switch key[0] {
		case spaceRetained:
			d := decoder{b: value}
			if e.passed(d.deadline(), now) {
				e.delete(append(e.key[:0], key...))
			}
		case spaceSession:
			number, k, rest, _ := splitSessionKey(key)
			if k != kindHold {
				return
			}
			if s := e.index.sessions[number]; s != nil && e.passed(deadlineOfHold(value), now) {
				e.drop(number, s.queue.remove(binary.BigEndian.Uint64(rest)))
			}
		}
	})
}

func deadlineOfHold(value []byte) int64 {
	d := decoder{b: value}
	shared, _, deadline := d.hold()
	if !shared {
		deadline = d.deadline()
	}
	return deadline
}

// passed reports whether a deadline has passed, and notes it when it has not.
func (e *Engine) passed(deadline, now int64) bool {
	if deadline == 0 {
		return false
	}
	if deadline > now {
		e.expires(deadline)
		return false
	}
	return true
}

// walk calls f for the keys from lower on, below upper, as many as a slice may
// have. It returns the first key that is left, nil when there is none.
func (e *Engine) walk(lower, upper []byte, f func(*pebble.Iterator)) []byte {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		e.fatal(e.explain(err))
	}
	var rest []byte
	for n, ok := 0, it.First(); ok; n, ok = n+1, it.Next() {
		if n == sliceKeys {
			rest = append([]byte(nil), it.Key()...)
			break
		}
		f(it)
	}
	if err := it.Close(); err != nil {
		e.fatal(e.explain(err))
	}
	return rest
}
