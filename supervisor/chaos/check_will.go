// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"
	"time"
)

// fate is what has to become of the will of a connection.
type fate struct {
	publish truth
	why     string
	cause   int   // index: not before
	from    int64 // time: not before
	by      int64 // time: by then
}

// checkWills: a connection that ends otherwise than by DISCONNECT 0x00 has its
// will published, once, after its delay or at the end of its session, and not at
// all when the client is back before [v3.1.1 MQTT-3.1.2-8 -10, v5 MQTT-3.1.2-8
// -10, MQTT-3.1.3-9, MQTT-3.14.4-3].
func (h *history) checkWills() {
	for _, c := range h.order {
		if c.open.Will == nil {
			continue
		}
		f := h.outlived(c, h.fateOf(c))
		h.checkDoom(c, f)
		if f.publish == yes && h.settle >= 0 && f.by < h.events[h.settle].At-h.slack {
			h.checkMourned(c, f)
		}
	}
}

// RestartGrace is how long after a restart a client may come back before its
// will counts its connection as lost.
const RestartGrace = 5 * time.Second

// Lazily is how long what nobody waits for, such as a will that is published, may take
// to be on the disk.
const Lazily = time.Second

// outlived is the fate of a will that was pending when the broker was killed: it
// is published when the grace of the restart is over, unless the client is back.
func (h *history) outlived(c *conn, f fate) fate {
	if f.publish != yes {
		return f
	}
	down := false // since the restart before, of which this is the end
	for _, r := range h.restarts {
		at := h.events[r].At
		if r < c.opened || !(down && h.events[r].Up) && f.cause < r && at > f.by+h.slack+int64(Lazily) {
			down = false
			continue // before the connection, or when the will was out
		}
		down = true
		f.by = max(f.by, at+max(int64(c.open.Will.Delay)*int64(time.Second), int64(RestartGrace)))
		if n := c.next; n != nil && n.openedAt < f.by {
			f.publish, f.from = maybe, 0
		}
	}
	return f
}

// checkDoom: no will without its cause, and none too early.
func (h *history) checkDoom(c *conn, f fate) {
	w := c.open.Will
	for _, r := range h.heard {
		if r.msg != w.Msg {
			continue
		}
		got := h.receipts[r][0]
		switch {
		case f.publish == no:
			h.fail(got.index, ClauseWill, []string{c.client, r.client}, []uint64{w.Msg}, "the will m%d of %s was published: %s", w.Msg, c.client, f.why)
		case got.index < f.cause:
			h.fail(got.index, ClauseWill, []string{c.client, r.client}, []uint64{w.Msg}, "the will m%d of %s was published while it was connected", w.Msg, c.client)
		case got.At < f.from-h.slack:
			h.fail(got.index, ClauseWill, []string{c.client, r.client}, []uint64{w.Msg}, "the will m%d of %s came before its delay was over", w.Msg, c.client)
		}
	}
}

// checkMourned: who subscribed to the will's topic all the time has received it.
func (h *history) checkMourned(c *conn, f fate) {
	w := c.open.Will
	if w.QoS == 0 {
		return
	}
	for _, s := range h.sessions {
		if !s.connected(h.settle) || s.begin > c.opened || h.hasCopy(s.client, w.Msg) {
			continue
		}
		owed := slices.ContainsFunc(s.subs, func(sub *want) bool {
			return sub.effective < c.opened && sub.leaving == never && !sub.refused && sub.granted > 0 && sub.matches(w.Topic)
		})
		if owed {
			h.fail(h.settle, ClauseWill, []string{c.client, s.client}, []uint64{w.Msg}, "the will m%d of %s was not published: %s", w.Msg, c.client, f.why)
		}
	}
}

// fateOf decides by what the client did; what the broker cannot have known for
// certain makes it maybe.
func (h *history) fateOf(c *conn) fate {
	if c.tangled() || c.memory && h.killedBetween(c.opened, never) {
		return fate{cause: c.opened}
	}
	if c.accepted == never {
		if c.refused != never && !h.dying(c) {
			return fate{publish: no, why: "it was refused"}
		}
		return fate{cause: c.opened}
	}
	next := h.following(c)
	taken := next != nil && next.opened < c.closed // opened while this one was there
	// The moment from which the broker may know of the end.
	cause, at := c.closed, c.closedAt
	if c.close.By == ByServer {
		cause, at = c.opened, c.openedAt // it may have ended it long before we saw
		if h.explained(c, c.closed) {
			cause, at = h.causeOf(c)
		}
	}
	if taken {
		cause, at = min(cause, next.opened), min(at, next.openedAt)
	}
	if c.leaving != never && c.leave.Code == 0 {
		if taken || h.kickedBefore(c, c.leaving) || c.close.By == ByClient || h.killedBetween(c.opened, c.closed) {
			return fate{cause: min(cause, c.leaving)} // the DISCONNECT may not have been read
		}
		return fate{publish: no, why: "it said goodbye"}
	}
	if c.leaving != never {
		cause, at = min(cause, c.leaving), min(at, c.leavingAt)
	}
	if taken && next.accepted == never && c.closed == never {
		return fate{cause: cause}
	}
	if cause == never {
		return fate{publish: no, why: "it is connected", cause: never}
	}
	return h.delayed(c, next, taken, cause, at)
}

// delayed is the fate of a will whose connection has died.
func (h *history) delayed(c, next *conn, taken bool, cause int, at int64) fate {
	delay := int64(c.open.Will.Delay)
	expiry := c.stays()
	if expiry != Never {
		delay = min(delay, int64(expiry)) // the end of the session ends the delay [v5 3.1.3.2.2]
	}
	f := fate{publish: yes, why: c.death(taken), cause: cause, from: at + delay*int64(time.Second)}
	known := c.closedAt
	if c.closed == never {
		known = at
	}
	f.by = max(known, at) + delay*int64(time.Second)
	switch {
	case delay == 0 || next == nil:
		return f
	case next.open.Clean && next.accepted != never:
		f.why, f.from = "a clean start ended its session", 0
		f.by = min(f.by, next.acceptedAt)
		if taken {
			f.cause = min(f.cause, next.opened)
		}
		return f
	case next.accepted == never:
		f.publish, f.from = maybe, 0
		return f
	case taken || next.acceptedAt < f.from-h.slack:
		return fate{publish: no, why: "it was back before the delay was over"}
	case next.openedAt > f.by+h.slack:
		return f
	}
	return fate{publish: maybe, cause: cause, from: 0}
}

// death is how the connection ended, for readers.
func (c *conn) death(taken bool) string {
	switch {
	case c.leaving != never:
		return "it left with 0x04"
	case taken:
		return "another connection took its place"
	case c.close.By == ByServer:
		return "the broker closed it"
	}
	return "its connection was lost"
}

// following is the next connection of the client that was not refused, or may
// have had the session before it was.
func (h *history) following(c *conn) *conn {
	n := c.next
	for n != nil && n.refused != never && !n.tangled() && !h.dying(n) {
		n = n.next
	}
	return n
}

func (h *history) kickedBefore(c *conn, i int) bool {
	return slices.ContainsFunc(h.kicks[c.client], func(k int) bool { return c.opened < k && k < i })
}

// causeOf is when the broker was given the reason to end c.
func (h *history) causeOf(c *conn) (int, int64) {
	cause := c.closed
	for _, k := range slices.Concat(h.kicks[c.client], h.restarts) {
		if k > c.opened {
			cause = min(cause, k)
		}
	}
	if b, ok := h.blamed[c.client]; ok {
		cause = min(cause, max(b, c.opened))
	}
	cause = min(cause, c.leaving)
	return cause, h.events[cause].At
}
