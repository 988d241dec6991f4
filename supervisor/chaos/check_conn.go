// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"
	"time"
)

// explained reports whether the broker may end or refuse the connection before
// index i: the client left, came back elsewhere, was kicked or blamed, or the
// broker was killed.
func (h *history) explained(c *conn, i int) bool {
	within := func(at int) bool { return c.opened < at && at < i }
	if n := h.following(c); n != nil && n.opened < i || c.tangled() {
		return true
	}
	if c.leaving < i || slices.ContainsFunc(h.restarts, within) ||
		slices.ContainsFunc(h.kicks[c.client], within) {
		return true
	}
	at, blamed := h.blamed[c.client]
	return blamed && at < i
}

// dying reports whether c was refused by a broker that was about to be killed:
// what it had done by then is open.
func (h *history) dying(c *conn) bool {
	return c.refused != never && slices.ContainsFunc(h.restarts, func(r int) bool { return c.opened < r && r < c.refused })
}

// checkConns: nobody is disconnected or refused without a cause of its own; the
// connection before is closed when a new one has the client identifier, and gets
// nothing done any more [v3.1.1 MQTT-3.1.4-2, v5 MQTT-3.1.4-3].
func (h *history) checkConns() {
	for _, c := range h.order {
		if c.refused != never && !h.explained(c, c.refused) {
			h.fail(c.refused, ClauseUndisturbed, []string{c.client}, nil, "%s was refused with 0x%02X", c.client, uint8(c.close.Code))
		}
		if c.closed != never && c.close.By == ByServer && c.refused == never && !h.explained(c, c.closed) {
			h.disturbed(c)
		}
		if n := c.next; n != nil && n.accepted != never && c.accepted != never {
			h.checkOwner(c, n)
		}
	}
	for _, m := range h.sent {
		if m.answered == never {
			continue
		}
		c := h.conns[m.answeredOn]
		if c != nil && c.next != nil && c.next.accepted < m.first && !c.tangled() {
			h.fail(m.answered, ClauseOwner, []string{m.client}, []uint64{m.id},
				"%s: m%d, sent on a connection that another had replaced, was acknowledged", m.client, m.id)
		}
	}
}

func (h *history) disturbed(c *conn) {
	what := "disconnected"
	if c.accepted == never {
		what = "closed before CONNACK"
	}
	if c.close.Code != 0 {
		h.fail(c.closed, ClauseUndisturbed, []string{c.client}, nil, "%s was %s with 0x%02X", c.client, what, uint8(c.close.Code))
		return
	}
	h.fail(c.closed, ClauseUndisturbed, []string{c.client}, nil, "%s was %s", c.client, what)
}

func (h *history) checkOwner(c, n *conn) {
	if h.settle > n.accepted && c.closed > h.settle && !(c.tangled() && n.closed < h.settle) {
		h.fail(h.settle, ClauseOwner, []string{c.client}, nil, "%s has two connections: the old one was never closed", c.client)
	}
}

// checkSessions: CONNACK says that the session is present if and only if it is
// [v3.1.1 MQTT-3.2.2-1 -2 -3, v5 MQTT-3.2.2-2 -3].
func (h *history) checkSessions() {
	for _, c := range h.order {
		if c.accepted == never {
			continue
		}
		want, why := c.expected(h)
		switch {
		case want == yes && !c.present:
			h.fail(c.accepted, ClausePresent, []string{c.client}, nil, "%s lost its session: %s", c.client, why)
		case want == no && c.present:
			h.fail(c.accepted, ClausePresent, []string{c.client}, nil, "%s was given a session that is not: %s", c.client, why)
		}
	}
}

type truth uint8

const (
	maybe truth = iota
	yes
	no
)

// expected is what CONNACK has to say about the session.
func (c *conn) expected(h *history) (truth, string) {
	if c.open.Clean {
		return no, "it asked for a clean start"
	}
	p := c.before()
	if c.uncertain() || p != nil && p.accepted > c.opened {
		return maybe, ""
	}
	if p == nil {
		return no, "there was none"
	}
	if p.crossed() {
		return maybe, ""
	}
	if h.forgot(c, p) {
		return maybe, ""
	}
	e := p.expiry
	if p.leaving < c.opened {
		// The broker may have seen the end of the connection before the DISCONNECT
		// that changes the expiry, unless it closed behind it.
		if p.leave.HasExpiry && p.leave.Expiry != e && !(p.closed < c.opened && p.close.By == ByServer && !h.killedBetween(p.opened, p.closed)) {
			return maybe, ""
		}
		if p.leave.HasExpiry {
			e = p.leave.Expiry
		}
	}
	switch {
	case e == 0:
		return no, "it ended with its connection"
	case e == Never:
		return yes, "it does not expire"
	case p.closed > c.opened:
		return yes, "its connection was taken over"
	}
	end := min(p.closedAt, p.leavingOr()) + int64(e)*int64(time.Second)
	switch {
	case c.acceptedAt < end-h.slack:
		return yes, "its time was not over"
	case c.openedAt > p.closedAt+int64(e)*int64(time.Second)+h.slack:
		return no, "its time was over"
	}
	return maybe, ""
}

// crossed reports whether the connection before c, whose CONNECT was on its way at
// the same time, may have taken the session from c, and left it to another expiry.
func (c *conn) crossed() bool {
	for p := c.prev; p != nil && p.answered() > c.opened; p = p.prev {
		if p.accepted != never && p.expiry != c.expiry {
			return true
		}
	}
	return false
}

func (c *conn) leavingOr() int64 {
	if c.leaving == never {
		return c.closedAt
	}
	return c.leavingAt
}

// checkRequests: at the end, nobody waits for an answer.
func (h *history) checkRequests() {
	if h.settle < 0 {
		return
	}
	open := func(id int) bool {
		c := h.conns[id]
		return c != nil && c.accepted < h.settle && c.closed > h.settle && c.leaving > h.settle && (c.next == nil || c.next.accepted == never)
	}
	for _, m := range h.sent {
		if m.qos > 0 && m.answered > h.settle && open(m.conns[len(m.conns)-1]) {
			h.fail(h.settle, ClauseAnswered, []string{m.client}, []uint64{m.id}, "m%d of %s was never acknowledged", m.id, m.client)
		}
	}
	for _, r := range h.requests {
		if r.answered > h.settle && open(r.conn.id) {
			h.fail(h.settle, ClauseAnswered, []string{r.conn.client}, nil, "%s: request r%d was never answered", r.conn.client, r.id)
		}
	}
	for _, c := range h.order {
		if c.accepted > h.settle && c.refused > h.settle && c.closed > h.settle && c.opened < h.settle {
			h.fail(h.settle, ClauseAnswered, []string{c.client}, nil, "CONNECT of %s was never answered", c.client)
		}
	}
}
