// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Event is one thing that has happened, as /api/v1/events tells it.
type Event struct {
	Type string    // "stats", "client.connected": the event's name in the stream
	At   time.Time // of what happened
	Data any       // a schema of the document; it does not change any more
}

// ClientEvent is the data of client.connected and client.disconnected.
type ClientEvent struct {
	At       time.Time `json:"at"`
	ClientID string    `json:"client_id"`
	Username string    `json:"username,omitempty"`
	Peer     string    `json:"peer,omitempty"`
	Protocol string    `json:"protocol,omitempty"`
	Listener string    `json:"listener,omitempty"`
	Reason   string    `json:"reason,omitempty"` // of a disconnect
}

// hub hands events to the open streams.
type hub struct {
	buffer    int
	consumers atomic.Pointer[[]*consumer]
	mu        sync.Mutex // of those who change consumers
	stop      chan struct{}
	once      sync.Once
}

// consumer is one open stream.
type consumer struct {
	events  chan Event
	types   []string // nil: all
	dropped atomic.Int64
}

func newHub(buffer int) *hub {
	h := &hub{buffer: buffer, stop: make(chan struct{})}
	h.consumers.Store(&[]*consumer{})
	return h
}

// publish hands e to every stream that wants it and has room. It does not wait:
// event loops call it.
func (h *hub) publish(e Event) {
	for _, c := range *h.consumers.Load() {
		if !c.wants(e.Type) {
			continue
		}
		select {
		case c.events <- e:
		default:
			c.dropped.Add(1)
		}
	}
}

// wants reports whether a stream asked for a type, by its name or by what stands
// before its dot.
func (c *consumer) wants(event string) bool {
	group, _, _ := strings.Cut(event, ".")
	return c.types == nil || slices.Contains(c.types, event) || slices.Contains(c.types, group)
}

func (h *hub) open(types []string) *consumer {
	c := &consumer{events: make(chan Event, h.buffer), types: types}
	h.mu.Lock()
	defer h.mu.Unlock()
	all := append(slices.Clone(*h.consumers.Load()), c)
	h.consumers.Store(&all)
	return c
}

func (h *hub) leave(c *consumer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := slices.DeleteFunc(slices.Clone(*h.consumers.Load()), func(o *consumer) bool { return o == c })
	h.consumers.Store(&all)
}

// run tells the figures every second.
func (h *hub) run(b Broker) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case now := <-tick.C:
			stats := b.Stats() // also without a stream: the highest figures are kept by whoever asks
			h.publish(Event{Type: "stats", At: now, Data: stats})
		}
	}
}

func (h *hub) close() { h.once.Do(func() { close(h.stop) }) }

// Publish tells the open streams of an event. It does not wait, and costs next to
// nothing while nobody listens; it may be called on an event loop.
func (s *Server) Publish(e Event) { s.hub.publish(e) }

// Listening reports whether any stream is open: whoever would have to make an
// event up asks before.
func (s *Server) Listening() bool { return len(*s.hub.consumers.Load()) > 0 }

const (
	heartbeat    = 15 * time.Second // a comment, so that proxies keep the stream
	streamWrites = 10 * time.Second // how long a reader may take for what was written
)

// events is the stream of server-sent events.
func (s *Server) events(c *Call, w http.ResponseWriter) error {
	var types []string
	if t := c.Param("types"); t != "" {
		types = strings.Split(t, ",")
	}
	sub := s.hub.open(types)
	defer s.hub.leave(sub)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	out := &eventWriter{w: w, rc: http.NewResponseController(w)}
	out.text("retry: 2000\n\n")
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for out.flush() {
		select {
		case <-c.Context().Done():
			return nil
		case <-s.hub.stop:
			return nil
		case <-beat.C:
			if !c.Still() {
				return nil // logged out meanwhile
			}
			out.text(": still here\n\n")
		case e := <-sub.events:
			out.event(e)
			for range len(sub.events) {
				out.event(<-sub.events)
			}
		}
		if n := sub.dropped.Swap(0); n > 0 {
			out.event(Event{Type: "dropped", At: time.Now(), Data: map[string]int64{"events": n}})
		}
	}
	return nil
}

// eventWriter writes server-sent events until that fails.
type eventWriter struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	broken bool
}

func (o *eventWriter) text(s string) {
	if o.broken {
		return
	}
	_ = o.rc.SetWriteDeadline(time.Now().Add(streamWrites))
	_, err := o.w.Write([]byte(s))
	o.broken = err != nil
}

func (o *eventWriter) event(e Event) {
	data, err := json.Marshal(e.Data)
	if err != nil {
		data, _ = json.Marshal(Fail(http.StatusInternalServerError, "%v", err))
	}
	o.text(fmt.Sprintf("event: %s\ndata: %s\n\n", e.Type, data))
}

// flush sends what was written; false ends the stream.
func (o *eventWriter) flush() bool {
	return !o.broken && o.rc.Flush() == nil
}
