// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"emqttd/actors/trace"
	"emqttd/listeners/api"
)

//go:embed traces.yaml
var tracesDocument []byte

// traces are the routes of one broker's traces.
type traces struct{ tracer *trace.Tracer }

// Traces are the routes of a tracer.
func Traces(t *trace.Tracer) api.Extension {
	ts := &traces{t}
	return api.Extension{Document: tracesDocument, Routes: []api.Route{
		{Method: http.MethodGet, Path: "/traces", Role: api.Viewer, Handle: ts.list},
		{Method: http.MethodPost, Path: "/traces", Role: api.Administrator, Change: "trace.start", Handle: ts.start},
		{Method: http.MethodGet, Path: "/traces/{id}", Role: api.Viewer, Handle: ts.get},
		{Method: http.MethodDelete, Path: "/traces/{id}", Role: api.Administrator, Change: "trace.remove", Handle: ts.remove},
		{Method: http.MethodPost, Path: "/traces/{id}/stop", Role: api.Administrator, Change: "trace.stop", Handle: ts.stop},
		{Method: http.MethodGet, Path: "/traces/{id}/events", Role: api.Viewer, Handle: ts.events},
		{Method: http.MethodGet, Path: "/traces/{id}/stream", Role: api.Viewer, Stream: ts.stream},
	}}
}

// Request is what a trace is started with.
type Request struct {
	By       trace.By `json:"by"`
	Value    string   `json:"value"`
	Duration int      `json:"duration_seconds"` // 0: as long as trace.max_duration allows
	File     string   `json:"file"`             // a plain name; "": none
}

// Events are a piece of a trace.
type Events struct {
	Items []trace.Event `json:"items"`
	Lost  uint64        `json:"lost"`  // events that are no longer kept, before the first
	Ended bool          `json:"ended"` // no more will come
}

const (
	defaultEvents = 200
	maxEvents     = 5000
	streamWrites  = 10 * time.Second // how long a reader may take for what was written
	heartbeat     = 15 * time.Second
)

func (ts *traces) list(c *api.Call) (any, error) {
	all := ts.tracer.List(time.Now())
	p := api.Page[trace.Status]{Items: make([]trace.Status, 0, len(all)), Total: len(all), Page: 1, Limit: max(1, len(all))}
	for _, t := range all {
		p.Items = append(p.Items, t.Status())
	}
	return p, nil
}

func (ts *traces) start(c *api.Call) (any, error) {
	var r Request
	if err := c.Decode(&r); err != nil {
		return nil, err
	}
	if r.Duration < 0 {
		return nil, api.Fail(http.StatusBadRequest, "duration_seconds is to be 0 or more")
	}
	c.Note("by", r.By)
	c.Note("value", r.Value)
	t, err := ts.tracer.Start(trace.Rule{By: r.By, Value: r.Value}, time.Duration(r.Duration)*time.Second, r.File, time.Now())
	switch {
	case errors.Is(err, trace.ErrRule):
		return nil, api.Fail(http.StatusBadRequest, "%v", err)
	case errors.Is(err, trace.ErrFull):
		return nil, api.Fail(http.StatusConflict, "%v", err)
	case err != nil:
		return nil, err
	}
	return api.Answer{Status: http.StatusCreated, Body: t.Status()}, nil
}

// find is the trace that the path names.
func (ts *traces) find(c *api.Call) (*trace.Trace, error) {
	id, err := strconv.Atoi(c.PathValue("id"))
	if err == nil {
		if t := ts.tracer.Get(id); t != nil {
			return t, nil
		}
	}
	return nil, api.ErrNotFound
}

func (ts *traces) get(c *api.Call) (any, error) {
	t, err := ts.find(c)
	if err != nil {
		return nil, err
	}
	return t.Status(), nil
}

func (ts *traces) stop(c *api.Call) (any, error) {
	t, err := ts.find(c)
	if err != nil {
		return nil, err
	}
	ts.tracer.Stop(t.ID())
	return t.Status(), nil
}

func (ts *traces) remove(c *api.Call) (any, error) {
	t, err := ts.find(c)
	if err != nil {
		return nil, err
	}
	ts.tracer.Remove(t.ID())
	return nil, nil
}

// cursor reads ?after.
func cursor(c *api.Call) (after uint64, err error) {
	if s := c.Param("after"); s != "" {
		if after, err = strconv.ParseUint(s, 10, 64); err != nil {
			return 0, api.Fail(http.StatusBadRequest, "?after is to be the seq of an event")
		}
	}
	return after, nil
}

func (ts *traces) events(c *api.Call) (any, error) {
	t, err := ts.find(c)
	if err != nil {
		return nil, err
	}
	after, err := cursor(c)
	if err != nil {
		return nil, err
	}
	limit := defaultEvents
	if s := c.Param("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxEvents {
			return nil, api.Fail(http.StatusBadRequest, "?limit is to be a number from 1 to %d", maxEvents)
		}
	}
	var out Events
	out.Items, out.Lost, out.Ended = t.Read(after, limit)
	if out.Items == nil {
		out.Items = []trace.Event{}
	}
	return out, nil
}

// stream sends a trace's events as they come, those that are kept first, until
// the trace ends, the reader goes or is logged out.
func (ts *traces) stream(c *api.Call, w http.ResponseWriter) error {
	t, err := ts.find(c)
	if err != nil {
		return err
	}
	after, err := cursor(c)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	out := &stream{w: w, rc: http.NewResponseController(w)}
	for {
		events, lost, ended := t.Read(after, defaultEvents)
		if lost > 0 {
			out.event("lost", map[string]uint64{"events": lost})
		}
		for i := range events {
			after = events[i].Seq
			out.event("trace", &events[i])
		}
		if ended {
			out.event("ended", t.Status())
		}
		if !out.flush() || ended {
			return nil
		}
		if len(events) == 0 && !out.wait(c, t, after) {
			return nil
		}
	}
}

// stream writes server-sent events until that fails.
type stream struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	broken bool
}

func (s *stream) text(text string) {
	if !s.broken {
		_ = s.rc.SetWriteDeadline(time.Now().Add(streamWrites))
		_, err := s.w.Write([]byte(text))
		s.broken = err != nil
	}
}

func (s *stream) event(name string, data any) {
	text, err := json.Marshal(data)
	if err != nil {
		s.broken = true
		return
	}
	s.text(fmt.Sprintf("event: %s\ndata: %s\n\n", name, text))
}

func (s *stream) flush() bool { return !s.broken && s.rc.Flush() == nil }

// wait returns when t has something new; false ends the stream.
func (s *stream) wait(c *api.Call, t *trace.Trace, after uint64) bool {
	for {
		ctx, cancel := context.WithTimeout(c.Context(), heartbeat)
		err := t.Wait(ctx, after)
		cancel()
		if err == nil {
			return true
		}
		if c.Context().Err() != nil || !c.Still() {
			return false
		}
		s.text(": still here\n\n")
		if !s.flush() {
			return false
		}
	}
}
