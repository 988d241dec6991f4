// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"math"
	"slices"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// never is an index behind every event: it has not happened.
const never = math.MaxInt

// history is what a list of events says about connections, sessions,
// subscriptions and messages. An index is a place in the list.
type history struct {
	events []Event
	slack  int64 // nanoseconds
	settle int   // index of the last Settled, -1: none

	conns    map[int]*conn
	order    []*conn          // as opened
	last     map[string]*conn // per client, while reading
	sessions []*session       // as begun
	msgs     map[uint64]*msg
	sent     []*msg // as first published
	requests map[int]*request
	receipts map[receiver][]receipt
	heard    []receiver         // as first received
	blamed   map[string]int     // client -> index
	kicks    map[string][]int   // client -> indices
	restarts []int              // indices
	wills    map[uint64]*conn   // will message -> its connection
	asks     map[string][]*want // client -> what it subscribed, in order
	memory   map[string]bool    // clients whose sessions are kept in memory

	found []Violation
}

// conn is one connection. Indices that are never have not happened.
type conn struct {
	id                              int
	client                          string
	prev                            *conn // of the client, opened before
	next                            *conn // opened after
	open                            Event
	opened, accepted, refused       int
	leaving, closed                 int // DISCONNECT is sent; gone
	present, memory                 bool
	expiry                          uint32
	leave, close                    Event
	session                         *session
	openedAt, acceptedAt, leavingAt int64
	closedAt                        int64
}

// session is what a client and the broker share over connections, between an
// Accepted that begins it and the first event that ends it.
type session struct {
	client     string
	begin, end int
	subs       []*want
	last       *conn // that was accepted into it
}

// want is one subscription of a session, from SUBSCRIBE to UNSUBACK.
type want struct {
	client           string
	filter           packet.Subscription
	session          *session
	asked, effective int // SUBSCRIBE, SUBACK; effective never: perhaps
	leaving, ended   int // UNSUBSCRIBE, UNSUBACK
	granted          packet.QoS
	refused, again   bool // again: the filter was subscribed already
}

type request struct {
	id, index, answered int
	conn                *conn
	wants               []*want
	kind                EventKind
}

// msg is one application message.
type msg struct {
	id            uint64
	client        string
	topic         string
	qos           packet.QoS
	retain, empty bool
	memory        bool
	first         int   // index of the first Published
	conns         []int // it was sent on, in order
	answered      int
	code          packet.ReasonCode
	answeredOn    int
	will          *conn
}

func (m *msg) taken() bool { return m.answered != never && m.code < 0x80 }

type receiver struct {
	client string
	msg    uint64
}

type receipt struct {
	index int
	Event
	session *session
}

func (h *history) fail(index int, c Clause, clients []string, msgs []uint64, format string, args ...any) {
	h.found = append(h.found, Violation{Clause: c, Text: fmt.Sprintf(format, args...), Clients: clients, Msgs: msgs, index: index})
}

// read makes a history of events.
func read(events []Event, slack int64) *history {
	h := &history{events: events, slack: slack, settle: -1, conns: map[int]*conn{}, last: map[string]*conn{}, msgs: map[uint64]*msg{},
		requests: map[int]*request{}, receipts: map[receiver][]receipt{}, blamed: map[string]int{}, kicks: map[string][]int{},
		wills: map[uint64]*conn{}, asks: map[string][]*want{}, memory: map[string]bool{}}
	for i, e := range events {
		h.event(i, e)
	}
	return h
}

func (h *history) event(i int, e Event) {
	c := h.conns[e.Conn]
	switch e.Kind {
	case Opened:
		h.opened(i, e)
		return
	case Kicked:
		h.kicks[e.Client] = append(h.kicks[e.Client], i)
		return
	case Blamed:
		if _, ok := h.blamed[e.Client]; !ok {
			h.blamed[e.Client] = i
		}
		return
	case Restarted:
		h.restarts = append(h.restarts, i)
		return
	case Settled:
		h.settle = i
		return
	case Broken:
		h.fail(i, ClauseProtocol, []string{e.Client}, nil, "%s: %s", e.Client, e.Text)
		return
	}
	if c == nil {
		return // a shortened history: what belongs to a removed connection is gone with it
	}
	switch e.Kind {
	case Accepted:
		h.accepted(i, e, c)
	case Refused:
		c.refused, c.close = i, e
	case Disconnecting:
		c.leaving, c.leave, c.leavingAt = i, e, e.At
	case Closed:
		if c.closed == never {
			c.closed, c.close, c.closedAt = i, e, e.At
			h.ends(c)
		}
	case Published:
		h.published(i, e, c)
	case Answered:
		if m := h.msgs[e.Msg]; m != nil && m.answered == never {
			m.answered, m.code, m.answeredOn = i, e.Code, e.Conn
		}
	case Received:
		if h.receipts[receiver{e.Client, e.Msg}] == nil {
			h.heard = append(h.heard, receiver{e.Client, e.Msg})
		}
		r := receiver{e.Client, e.Msg}
		h.receipts[r] = append(h.receipts[r], receipt{i, e, c.session})
	case Subscribing, Unsubscribing:
		h.asked(i, e, c)
	case Subscribed, Unsubscribed:
		h.granted(i, e)
	}
}

func (h *history) opened(i int, e Event) {
	c := &conn{id: e.Conn, client: e.Client, open: e, opened: i, accepted: never, refused: never, leaving: never, closed: never,
		expiry: e.Expiry, memory: e.Memory, openedAt: e.At, prev: h.last[e.Client]}
	if c.prev != nil {
		c.prev.next = c
	}
	h.last[e.Client], h.conns[e.Conn] = c, c
	if e.Memory {
		h.memory[e.Client] = true
	}
	h.order = append(h.order, c)
	if w := e.Will; w != nil {
		h.wills[w.Msg] = c
	}
}

func (h *history) accepted(i int, e Event, c *conn) {
	c.accepted, c.acceptedAt, c.present = i, e.At, e.Present
	if e.HasExpiry {
		c.expiry = e.Expiry
	}
	before := c.before()
	if c.present && before != nil && before.session != nil {
		c.session = before.session
		if h.forgot(c, before) {
			h.remembered(i, c)
			before.session.end = min(before.session.end, c.opened)
		} else if c.uncertain() {
			c.session = h.begin(i, c)
			for _, w := range before.session.subs {
				maybe := *w
				maybe.session, maybe.effective = c.session, never
				c.session.subs = append(c.session.subs, &maybe)
			}
			before.session.end = min(before.session.end, c.opened)
		}
	} else {
		if before != nil && before.session != nil {
			before.session.end = min(before.session.end, c.opened)
		}
		c.session = h.begin(i, c)
	}
	c.session.last = c
}

// forgot reports whether a kill may have taken what the broker kept in memory of
// the session since the connection before.
func (h *history) forgot(c, before *conn) bool {
	return c.memory && before != nil && h.killedBetween(before.opened, min(c.accepted, c.closed))
}

// remembered begins the session that a kill has left of one that was kept in
// memory: any that there was, and with it any of the client's subscriptions.
func (h *history) remembered(i int, c *conn) {
	c.session = h.begin(i, c)
	for _, w := range slices.Clone(h.asks[c.client]) {
		if w.refused || slices.ContainsFunc(c.session.subs, func(o *want) bool { return o.filter == w.filter }) {
			continue
		}
		maybe := *w
		maybe.session, maybe.effective, maybe.leaving, maybe.ended = c.session, never, never, never
		c.session.subs = append(c.session.subs, &maybe)
		h.asks[c.client] = append(h.asks[c.client], &maybe)
	}
}

// kept reports whether an acknowledged message is kept whatever happens: not if a
// kill may have taken it.
func (h *history) kept(m *msg) bool { return !m.memory || !h.killedBetween(m.first, never) }

func (h *history) begin(i int, c *conn) *session {
	s := &session{client: c.client, begin: i, end: never}
	h.sessions = append(h.sessions, s)
	return s
}

// before is the connection of the client that was accepted last.
func (c *conn) before() *conn {
	p := c.prev
	for p != nil && p.accepted == never {
		p = p.prev
	}
	return p
}

// answered is when the client knew what became of its CONNECT.
func (c *conn) answered() int { return min(c.accepted, c.refused, c.closed) }

// tangled reports whether CONNECTs of the client were on their way at the same
// time, c's among them: the broker may have taken them in any order.
func (c *conn) tangled() bool {
	for p := c.prev; p != nil; p = p.prev {
		unheard := p.accepted == never && p.refused == never && c.openedAt-p.closedAt < int64(longestWay)
		if unheard || p.answered() > c.opened {
			return true
		}
	}
	return c.next != nil && c.next.opened < c.answered()
}

// longestWay is how long the CONNECT of a client that has given up may still be
// on its way.
const longestWay = 5 * time.Second

// uncertain reports whether a connection that was opened since then, and of
// which nothing was heard, may have done something to the session.
func (c *conn) uncertain() bool {
	if c.tangled() {
		return true
	}
	for p := c.prev; p != nil && p.accepted == never; p = p.prev {
		// 0x88 is what a broker says whose store fails: what it was about to do may be
		// on the disk.
		if p.refused == never || p.close.Code == packet.ServerUnavailable {
			return true
		}
	}
	return false
}

// replaced reports whether the session that c was given may be another one than that
// of the connection accepted before it: of a CONNECT in between, of which nothing
// was heard.
func (c *conn) replaced() bool {
	before := c.before()
	if before == nil {
		return false
	}
	for p := c.prev; p != before; p = p.prev {
		if p.refused == never && (p.open.Clean || p.expiry == 0 || before.stays() == 0) {
			return true
		}
	}
	return false
}

// stays is how long the session stays behind c, in seconds.
func (c *conn) stays() uint32 {
	if c.leaving != never && c.leave.HasExpiry {
		return c.leave.Expiry
	}
	return c.expiry
}

// ends notes that a session without expiry ends with its connection
// [v3.1.1 3.1.2.4, v5 3.1.2.11.2].
func (h *history) ends(c *conn) {
	s := c.session
	if s == nil || s.last != c {
		return
	}
	if c.stays() == 0 {
		s.end = min(s.end, min(c.leaving, c.closed))
	}
}

func (h *history) published(i int, e Event, c *conn) {
	m := h.msgs[e.Msg]
	if m == nil {
		m = &msg{id: e.Msg, client: e.Client, topic: e.Topic, qos: e.QoS, retain: e.Retain, empty: e.Empty, memory: e.Memory, first: i, answered: never}
		h.msgs[e.Msg] = m
		h.sent = append(h.sent, m)
	}
	if n := len(m.conns); n == 0 || m.conns[n-1] != c.id { // twice on one connection is once
		m.conns = append(m.conns, c.id)
	}
}

func (h *history) asked(i int, e Event, c *conn) {
	r := &request{id: e.Request, index: i, answered: never, conn: c, kind: e.Kind}
	h.requests[e.Request] = r
	if c.session == nil {
		return
	}
	for _, f := range e.Filters {
		if e.Kind == Unsubscribing {
			for _, w := range c.session.subs {
				if w.filter.Filter == f.Filter && w.leaving == never {
					w.leaving = i
					r.wants = append(r.wants, w)
				}
			}
			continue
		}
		w := &want{client: c.client, filter: f, session: c.session, asked: i, effective: never, leaving: never, ended: never, granted: f.QoS}
		for _, old := range c.session.subs {
			w.again = w.again || old.filter.Filter == f.Filter && old.leaving == never
		}
		r.wants = append(r.wants, w)
		c.session.subs = append(c.session.subs, w)
		h.asks[c.client] = append(h.asks[c.client], w)
	}
}

func (h *history) granted(i int, e Event) {
	r := h.requests[e.Request]
	if r == nil || r.answered != never {
		return
	}
	r.answered = i
	for n, w := range r.wants {
		switch {
		case r.kind == Unsubscribing:
			w.ended = i
		case n < len(e.Codes) && e.Codes[n] >= 0x80:
			w.refused, w.ended = true, i
		default:
			w.effective = i
			if n < len(e.Codes) {
				w.granted = packet.QoS(e.Codes[n])
			}
		}
	}
}

// matches reports whether the subscription is about name; a shared one never
// is: which of its members gets a message is nobody's right.
func (w *want) matches(name string) bool {
	if _, shared, _ := topic.ParseShare(w.filter.Filter); shared {
		return false
	}
	return topic.Match(w.filter.Filter, name)
}

// shared reports whether the subscription is a shared one for name.
func (w *want) shared(name string) bool {
	s, shared, err := topic.ParseShare(w.filter.Filter)
	return shared && err == nil && topic.Match(s.Filter, name)
}

// connected reports whether the session had a connection at index i, and was not
// over.
func (s *session) connected(i int) bool {
	c := s.last
	return s.begin < i && i < s.end && c != nil && c.accepted < i && c.closed > i && c.leaving > i
}
