// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"slices"
	"sort"
	"sync"
	"time"
)

// tab is a tab of a browser: its connections and what happened on them, oldest
// first. It outlives the page's reloads.
type tab struct {
	owner string
	name  string
	limit int // bytes of events kept

	mu       sync.Mutex
	events   []*Event
	bytes    int
	seq      uint64
	dropped  uint64        // events that made room for newer ones
	changed  chan struct{} // closed when an event is added
	conns    []*conn       // in the order in which they were opened
	watchers int
	left     time.Time // when the last watcher left
	numbers  int
}

// add records e, which belongs to c. The oldest events make room. Of a connection
// that is forgotten nothing more is recorded.
func (t *tab) add(c *conn, e *Event) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.conns, c) {
		return t.seq
	}
	t.seq++
	e.Seq, e.Conn = t.seq, c.id
	if e.At.IsZero() {
		e.At = time.Now()
	}
	t.events = append(t.events, e)
	t.bytes += e.size()
	for t.bytes > t.limit && len(t.events) > 1 {
		t.bytes -= t.events[0].size()
		t.events[0] = nil
		t.events = t.events[1:]
		t.dropped++
	}
	close(t.changed)
	t.changed = make(chan struct{})
	return e.Seq
}

// after returns up to max events behind seq, how many older ones are gone, and
// what to wait for when there are none.
func (t *tab) after(seq uint64, max int) ([]*Event, uint64, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	events := t.events[sort.Search(len(t.events), func(i int) bool { return t.events[i].Seq > seq }):]
	return append([]*Event(nil), events[:min(max, len(events))]...), t.dropped, t.changed
}

// of are the events of one connection.
func (t *tab) of(c *conn) []*Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*Event
	for _, e := range t.events {
		if e.Conn == c.id {
			out = append(out, e)
		}
	}
	return out
}

// forget takes a connection and its events out.
func (t *tab) forget(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.conns {
		if t.conns[i] == c {
			t.conns = append(t.conns[:i:i], t.conns[i+1:]...)
			break
		}
	}
	kept := make([]*Event, 0, len(t.events))
	for _, e := range t.events {
		if e.Conn == c.id {
			t.bytes -= e.size()
		} else {
			kept = append(kept, e)
		}
	}
	t.events = kept
}

// unwatch takes the connections of the broker's clients out.
func (t *tab) unwatch() {
	for _, c := range t.snapshot() {
		if c.watched != nil {
			c.shut(refuse("Only administrators watch clients."))
			t.forget(c)
		}
	}
}

// forgetClosed takes the oldest closed connection out, if there is one.
func (t *tab) forgetClosed() bool {
	for _, c := range t.snapshot() {
		if c.view().Phase == Closed {
			t.forget(c)
			return true
		}
	}
	return false
}

// watch counts a watcher in; the result counts it out.
func (t *tab) watch() (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.watchers--
		t.left = time.Now()
	}
}

// deserted reports whether nobody has looked for longer than idle.
func (t *tab) deserted(now time.Time, idle time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.watchers == 0 && now.Sub(t.left) > idle
}
