// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Trace is one trace, running or ended. Its methods may be called from any
// goroutine.
type Trace struct {
	id      int
	rule    Rule
	started time.Time
	until   int64 // nanoseconds since the Unix epoch
	max     int   // events
	file    *file // nil: none
	ended   atomic.Bool

	mu   sync.Mutex
	ring []Event // the events up to last, in a circle once it has max of them
	last uint64  // Seq of the newest event; 0: none yet
	more chan struct{}
}

// ID is the number of the trace.
func (tr *Trace) ID() int { return tr.id }

// Status is a trace as an operator sees it.
type Status struct {
	ID      int       `json:"id"`
	Rule    Rule      `json:"rule"`
	Started time.Time `json:"started"`
	Until   time.Time `json:"until"`
	Running bool      `json:"running"`
	Events  uint64    `json:"events"` // so far; the oldest may be gone
	File    string    `json:"file,omitempty"`
	Error   string    `json:"error,omitempty"` // why nothing more is written to the file
}

// Status is how the trace stands.
func (tr *Trace) Status() Status {
	tr.mu.Lock()
	s := Status{ID: tr.id, Rule: tr.rule, Started: tr.started, Until: time.Unix(0, tr.until), Running: !tr.ended.Load(), Events: tr.last}
	tr.mu.Unlock()
	if tr.file != nil {
		s.File, s.Error = tr.file.path, tr.file.fault()
	}
	return s
}

// add takes an event; it does not wait for readers.
func (tr *Trace) add(e Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.last++
	e.Seq = tr.last
	if len(tr.ring) < tr.max {
		tr.ring = append(tr.ring, e)
	} else {
		tr.ring[(e.Seq-1)%uint64(tr.max)] = e
	}
	tr.wake()
}

func (tr *Trace) wake() {
	if tr.more != nil {
		close(tr.more)
		tr.more = nil
	}
}

// finish ends the trace: readers come to the end of it.
func (tr *Trace) finish() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.ended.Store(true)
	tr.wake()
}

// Read returns at most limit events behind the one numbered after, oldest first,
// and how many in between are gone because the reader was too slow. ended says
// that no more will come behind those.
func (tr *Trace) Read(after uint64, limit int) (events []Event, lost uint64, ended bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	first := tr.last - uint64(len(tr.ring)) + 1 // the oldest that is kept
	next := min(after, tr.last) + 1
	if next < first {
		lost, next = first-next, first
	}
	for ; next <= tr.last && len(events) < limit; next++ {
		events = append(events, tr.ring[(next-1)%uint64(tr.max)])
	}
	return events, lost, tr.ended.Load() && next > tr.last
}

// Wait returns when there is an event behind the one numbered after, when the
// trace has ended, or with the error of ctx.
func (tr *Trace) Wait(ctx context.Context, after uint64) error {
	for {
		tr.mu.Lock()
		if tr.last > after || tr.ended.Load() {
			tr.mu.Unlock()
			return nil
		}
		if tr.more == nil {
			tr.more = make(chan struct{})
		}
		more := tr.more
		tr.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
