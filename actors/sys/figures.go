// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"runtime/metrics"

	"emqttd/actors/session"
)

// Figures are what the broker holds at the moment. Each function may be called
// from the actor's goroutine at any time and does not wait.
type Figures struct {
	Clients       func() int64 // connected
	Sessions      func() int64 // of connected clients and of those that are away
	Filters       func() int64 // distinct ones that are subscribed to
	Subscriptions func() int64
	Retained      func() int64 // messages
	StoredBytes   func() int64 // retained and queued, with what they are charged beside their bytes
	Heap          func() int64 // bytes of live and not yet collected objects

	// Listeners is how full the fullest listener is, 1 when it turns connections
	// away, and which that is; nil: there is none.
	Listeners func() (share float64, summary string)
	// Chaos is what is broken on purpose; nil: nothing ever is.
	Chaos func() Chaos
}

// Chaos is what is broken on purpose at the moment.
type Chaos struct {
	Enabled bool  `json:"enabled"` // faults may be armed
	Faults  int   `json:"faults"`  // that are armed
	Hits    int64 `json:"hits"`    // of them
}

// FiguresOf reads the figures where they are kept.
func FiguresOf(pub *session.Publisher) Figures {
	m := pub.Env.Metrics
	return Figures{
		Clients:       m.Connected.Load,
		Sessions:      m.Sessions.Load,
		Filters:       func() int64 { return int64(pub.Table.Filters()) },
		Subscriptions: pub.Table.Subscriptions,
		Retained:      func() int64 { return int64(pub.Retained.Len()) },
		StoredBytes:   func() int64 { return m.QueuedBytes.Load() + pub.Retained.Bytes() },
		Heap:          heap,
	}
}

// heap does not stop the world, unlike runtime.ReadMemStats.
func heap() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

// values are the figures of one moment.
type values struct{ clients, sessions, filters, subscriptions, retained, stored, heap int64 }

func (f *Figures) read() values {
	return values{
		clients: f.Clients(), sessions: f.Sessions(), filters: f.Filters(), subscriptions: f.Subscriptions(),
		retained: f.Retained(), stored: f.StoredBytes(), heap: f.Heap(),
	}
}

// raise makes v the higher of v and now, value by value.
func (v *values) raise(now values) {
	v.clients, v.sessions = max(v.clients, now.clients), max(v.sessions, now.sessions)
	v.filters, v.subscriptions = max(v.filters, now.filters), max(v.subscriptions, now.subscriptions)
	v.retained, v.stored, v.heap = max(v.retained, now.retained), max(v.stored, now.stored), max(v.heap, now.heap)
}
