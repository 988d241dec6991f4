// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Bounds hold the traces of a broker to what it can spare.
type Bounds struct {
	Traces   int           // at once; one more is refused
	Events   int           // that a trace keeps; the oldest make room
	Longest  time.Duration // that a trace runs; then it ends by itself
	FileSize int64         // bytes of a trace's file; then it is rotated
	Files    int           // that are kept of one trace, beside the one that is written
	Dir      string        // of the files; "": none can be written
}

// ErrFull is returned by Start when as many traces run as may.
var ErrFull = errors.New("trace: as many traces are running as trace.max_traces allows: stop one first")

// Tracer runs the traces of one broker. A nil Tracer is off.
type Tracer struct {
	bounds Bounds
	try    func(job func()) bool // runs a job that may wait, elsewhere; false: not now

	mu     sync.Mutex
	all    []*Trace // running and ended ones that are still to be read; len <= 2*Traces
	serial int

	running atomic.Pointer[traces] // nil: none
}

// traces are those that run, apart by what they compare: a hop asks for what it
// knows. They are never changed; nil are none.
type traces struct {
	all          []*Trace
	near, topics []*Trace // by client or address, and by topic
	until        int64    // when the time of the first of them is over
}

func (ts *traces) add(tr *Trace) {
	if len(ts.all) == 0 || tr.until < ts.until {
		ts.until = tr.until
	}
	ts.all = append(ts.all, tr)
	if tr.rule.By == ByTopic {
		ts.topics = append(ts.topics, tr)
	} else {
		ts.near = append(ts.near, tr)
	}
}

// want reports whether one of some traces wants an event.
func want(some []*Trace, client, from, about string, addr netip.AddrPort) bool {
	for _, tr := range some {
		if tr.rule.of(client, from, about, addr) {
			return true
		}
	}
	return false
}

// New makes a tracer without traces. Files are written by jobs that are given to
// try, which must not wait itself.
func New(b Bounds, try func(job func()) bool) *Tracer { return &Tracer{bounds: b, try: try} }

// On reports whether anything is traced.
func (t *Tracer) On() bool { return t.live() != nil }

// live are the traces that run.
func (t *Tracer) live() *traces {
	if t == nil {
		return nil
	}
	return t.running.Load()
}

// Wants reports whether a trace may want an event of e's Client, From, Topic and
// Addr at the time now. It is asked before an event is made up: while one client
// is traced, a hop of all others costs this and no more. A trace whose time is
// over wants one more, by which it is ended.
func (t *Tracer) Wants(now int64, client, from, about string, addr netip.AddrPort) bool {
	ts := t.live()
	return ts != nil && (now >= ts.until || want(ts.all, client, from, about, addr))
}

// Near is Wants for what a client does whatever the topic: a trace of one does not
// want it.
func (t *Tracer) Near(now int64, client string, addr netip.AddrPort) bool {
	ts := t.live()
	return ts != nil && (now >= ts.until || want(ts.near, client, "", "", addr))
}

// Clients reports whether somebody is traced, by client id or address.
func (t *Tracer) Clients() bool {
	ts := t.live()
	return ts != nil && len(ts.near) > 0
}

// Topics reports whether anything is traced by its topic: what is not Near need
// not be looked at else.
func (t *Tracer) Topics() bool {
	ts := t.live()
	return ts != nil && len(ts.topics) > 0
}

// About reports whether a trace of a topic wants a message of it.
func (t *Tracer) About(topic string) bool {
	ts := t.live()
	return ts != nil && want(ts.topics, "", "", topic, netip.AddrPort{})
}

// note is an Event on its way to the traces that want it.
type note struct {
	mailbox.Link
	event Event
}

// Note records what the decision of ctx has come to, when it is committed.
// Actor, Kind, At and Again are filled in here, and strings that share memory
// are copied if somebody wants the event.
func (t *Tracer) Note(ctx *cell.Context, e Event) {
	now := ctx.Group().Clock().Now()
	for _, tr := range t.list() {
		if tr.rule.wants(&e) || now >= tr.until {
			self := ctx.Self()
			if e.Actor == "" {
				e.Actor, e.Kind = self.Name(), self.Kind().Name
			}
			e.At, e.Again = time.Unix(0, now), ctx.Again()
			e.Topic = strings.Clone(e.Topic)
			if e.Addr.IsValid() {
				e.Peer = e.Addr.String()
			}
			ctx.Submit(t, &note{event: e})
			return
		}
	}
}

func (t *Tracer) list() []*Trace {
	if ts := t.live(); ts != nil {
		return ts.all
	}
	return nil
}

// Accept implements cell.Acceptor for notes.
func (t *Tracer) Accept(m cell.Message) {
	e := &m.(*note).event
	for _, tr := range t.list() {
		switch {
		case e.At.UnixNano() >= tr.until:
			t.expire(tr)
		case tr.rule.wants(e):
			tr.add(*e)
			t.write(tr)
		}
	}
}

// Start begins a trace at the time now. It ends after d, or the longest time that
// the bounds allow if d is 0 or longer. With file, a plain name, events are also
// written to that file in the bounds' directory.
func (t *Tracer) Start(r Rule, d time.Duration, file string, now time.Time) (*Trace, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if d <= 0 || d > t.bounds.Longest {
		d = t.bounds.Longest
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prune(now)
	if len(t.list()) >= t.bounds.Traces {
		return nil, ErrFull
	}
	tr := &Trace{rule: r, started: now, until: now.Add(d).UnixNano(), ring: make([]Event, 0, min(t.bounds.Events, 64)), max: t.bounds.Events}
	if file != "" {
		f, err := t.open(file)
		if err != nil {
			return nil, err
		}
		tr.file = f
	}
	t.serial++
	tr.id = t.serial
	if len(t.all) >= 2*t.bounds.Traces { // forget the one that ended first
		i := slices.IndexFunc(t.all, func(tr *Trace) bool { return tr.ended.Load() })
		t.all = slices.Delete(t.all, i, i+1)
	}
	t.all = append(t.all, tr)
	t.publish()
	return tr, nil
}

// publish shows the actors what is running; the caller holds mu.
func (t *Tracer) publish() {
	live := new(traces)
	for _, tr := range t.all {
		if !tr.ended.Load() {
			live.add(tr)
		}
	}
	if len(live.all) == 0 {
		live = nil
	}
	t.running.Store(live)
}

// prune ends what has run its time; the caller holds mu.
func (t *Tracer) prune(now time.Time) {
	for _, tr := range t.all {
		if !tr.ended.Load() && now.UnixNano() >= tr.until {
			tr.finish()
			t.write(tr)
		}
	}
	t.publish()
}

// expire ends a trace whose time is over, on an actor's group, which does not
// wait: if the lock is taken, the next note tries again.
func (t *Tracer) expire(tr *Trace) {
	if t.mu.TryLock() {
		defer t.mu.Unlock()
		tr.finish()
		t.publish()
		t.write(tr)
	}
}

func (t *Tracer) end(tr *Trace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tr.finish()
	t.publish()
	t.write(tr)
}

// Stop ends a trace and reports whether there was one with that id. Its events
// can still be read, until others take its place; its file is complete. It waits
// for the disk: actors do not call it.
func (t *Tracer) Stop(id int) bool {
	tr := t.Get(id)
	if tr == nil {
		return false
	}
	t.end(tr)
	if tr.file != nil {
		_ = tr.file.flush(tr) // Status tells why it failed
	}
	return true
}

// Remove stops a trace, if it runs, and forgets its events; its file stays.
func (t *Tracer) Remove(id int) bool {
	if !t.Stop(id) {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = slices.DeleteFunc(t.all, func(tr *Trace) bool { return tr.id == id })
	return true
}

// List is the running traces and those that ended lately, oldest first.
func (t *Tracer) List(now time.Time) []*Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prune(now)
	return slices.Clone(t.all)
}

// Get is the trace with the id, nil when there is none.
func (t *Tracer) Get(id int) *Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, tr := range t.all {
		if tr.id == id {
			return tr
		}
	}
	return nil
}

// Close ends all traces and finishes their files.
func (t *Tracer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, tr := range t.all {
		tr.finish()
		if tr.file != nil {
			errs = append(errs, tr.file.flush(tr))
		}
	}
	t.publish()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("trace: %w", err)
	}
	return nil
}
