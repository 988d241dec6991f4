// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Slow knows the subscribers that got messages latest: those with the longest
// time from the arrival of a message to their out-buffer. A nil Slow knows none.
type Slow struct {
	threshold atomic.Int64 // nanoseconds; 0: nobody is slow
	max       int
	window    time.Duration // an entry that is older is forgotten

	mu  sync.Mutex
	all []SlowEntry // at most max, in no order
}

// SlowEntry is the slowest delivery of one client within the window.
type SlowEntry struct {
	ClientID string        `json:"client_id"`
	Topic    string        `json:"topic"`
	Latency  time.Duration `json:"-"`
	Seconds  float64       `json:"latency_seconds"`
	At       time.Time     `json:"at"`
}

// NewSlow makes a table of at most n clients with deliveries above a threshold.
func NewSlow(threshold time.Duration, n int, window time.Duration) *Slow {
	s := &Slow{max: n, window: window}
	s.threshold.Store(int64(threshold))
	return s
}

// Late reports whether a delivery that took d is one to note: a comparison on the
// way of every delivery.
func (s *Slow) Late(d time.Duration) bool {
	if s == nil {
		return false
	}
	t := s.threshold.Load()
	return t > 0 && int64(d) >= t
}

type lateDelivery struct {
	mailbox.Link
	SlowEntry
}

// Note notes a late delivery when the decision is committed.
func (s *Slow) Note(ctx *cell.Context, clientID, topic string, d time.Duration) {
	ctx.Submit(s, &lateDelivery{SlowEntry: SlowEntry{ClientID: clientID, Topic: topic, Latency: d, Seconds: d.Seconds(), At: time.Unix(0, ctx.Now())}})
}

// Accept implements cell.Acceptor.
func (s *Slow) Accept(m cell.Message) { s.add(m.(*lateDelivery).SlowEntry) }

func (s *Slow) add(e SlowEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(e.At)
	if i := slices.IndexFunc(s.all, func(o SlowEntry) bool { return o.ClientID == e.ClientID }); i >= 0 {
		if e.Latency >= s.all[i].Latency {
			s.all[i] = e
		}
		return
	}
	if len(s.all) < s.max {
		s.all = append(s.all, e)
		return
	}
	fastest := 0
	for i := range s.all {
		if s.all[i].Latency < s.all[fastest].Latency {
			fastest = i
		}
	}
	if s.max > 0 && s.all[fastest].Latency < e.Latency {
		s.all[fastest] = e
	}
}

func (s *Slow) forget(now time.Time) {
	s.all = slices.DeleteFunc(s.all, func(e SlowEntry) bool { return now.Sub(e.At) > s.window })
}

// List is the slow subscribers at the time now, the slowest first.
func (s *Slow) List(now time.Time) []SlowEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(now)
	out := slices.Clone(s.all)
	slices.SortFunc(out, func(a, b SlowEntry) int { return int(min(max(b.Latency-a.Latency, -1), 1)) })
	return out
}

// Reset forgets all of them.
func (s *Slow) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}
