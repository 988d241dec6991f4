// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"

	"emqttd/protocol/packet"
)

// checkReceipts looks at what arrived: a message that was sent, that the client
// had asked for, and not more often than it may come.
func (h *history) checkReceipts() {
	for _, r := range h.heard {
		got := h.receipts[r]
		if r.msg == 0 {
			h.checkNameless(r, got)
			continue
		}
		m := h.message(r.msg)
		if m == nil {
			h.fail(got[0].index, ClauseProtocol, []string{r.client}, []uint64{r.msg}, "%s received m%d, which nobody sent", r.client, r.msg)
			continue
		}
		for _, g := range got {
			if g.Topic != m.topic {
				h.fail(g.index, ClauseProtocol, []string{r.client, m.client}, []uint64{m.id}, "m%d came to %s on %s and was sent to %s", m.id, r.client, g.Topic, m.topic)
				break
			}
		}
		if m.answered != never && !m.taken() {
			h.fail(got[0].index, ClauseOnce, []string{r.client, m.client}, []uint64{m.id}, "m%d, refused with 0x%02X, reached %s", m.id, uint8(m.code), r.client)
		}
		h.checkAsked(r, m, got)
		h.checkCopies(r, m, got)
	}
}

// message is what was published under a number, also as a will.
func (h *history) message(id uint64) *msg {
	if m := h.msgs[id]; m != nil {
		return m
	}
	c := h.wills[id]
	if c == nil {
		return nil
	}
	w := c.open.Will
	m := &msg{id: id, client: c.client, topic: w.Topic, qos: w.QoS, retain: w.Retain, memory: c.memory, first: c.opened, conns: []int{c.id}, answered: never, will: c}
	h.msgs[id] = m
	return m
}

// checkNameless: a payload that is empty takes away what is retained and is never
// stored itself [v3.1.1 MQTT-3.3.1-10 -11, v5 MQTT-3.3.1-6 -7]; any other has a number.
func (h *history) checkNameless(r receiver, got []receipt) {
	for _, g := range got {
		if g.Retain && g.Empty {
			h.fail(g.index, ClauseRetained, []string{r.client}, nil, "%s received an empty retained message on %s", r.client, g.Topic)
		}
		if !g.Empty {
			h.fail(g.index, ClauseProtocol, []string{r.client}, nil, "%s received on %s what nobody sent", r.client, g.Topic)
			return
		}
	}
}

// checkAsked: nothing arrives but what the session subscribes to. What was on
// its way when UNSUBACK came may still arrive [v3.1.1 MQTT-3.10.4-2,
// v5 MQTT-3.10.4-1 -2].
func (h *history) checkAsked(r receiver, m *msg, got []receipt) {
	for _, g := range got {
		if g.session == nil {
			h.fail(g.index, ClauseProtocol, []string{r.client}, []uint64{m.id}, "%s received m%d before CONNACK", r.client, m.id)
			continue
		}
		asked := slices.ContainsFunc(g.session.subs, func(w *want) bool {
			return w.asked < g.index && !w.refused && (w.ended > m.first || g.Retain && w.ended > g.index) && (w.matches(m.topic) || w.shared(m.topic))
		})
		if !asked {
			h.fail(g.index, ClauseEffective, []string{r.client}, []uint64{m.id}, "%s received m%d on %s, which its session did not subscribe to", r.client, m.id, m.topic)
		}
	}
}

// checkCopies: QoS 2 arrives once [v3.1.1 4.3.3, v5 4.3.3], QoS 0 at most once,
// and QoS 1 is sent again with DUP only [v3.1.1 MQTT-3.3.1-1, v5 MQTT-3.3.1-1].
// Overlapping subscriptions may give a copy each [v3.1.1 3.3.5, v5 3.3.4], and
// each SUBSCRIBE one of what is retained.
//
// What a broker that is killed has sent before it was durable, it may send again:
// to a session that ended with it as to any new one, and QoS 1; and so of what it
// keeps in memory, whoever sent or received it.
func (h *history) checkCopies(r receiver, m *msg, got []receipt) {
	live, retained, kills, again := 0, 0, 0, 0
	onOne := map[int]int{} // live ones by connection
	for i, g := range got {
		// From the opening on: what was sent before a kill may be read after it.
		if i > 0 && (h.killedBetween(got[i-1].index, g.index) || h.readLate(got[i-1], g)) {
			kills++
			if retained > 0 && got[i-1].Retain && (got[i-1].QoS == packet.QoS1 || h.memory[r.client]) {
				again++ // perhaps by another subscription's QoS
			}
			if g.session != got[i-1].session {
				live, retained = 0, 0
			}
		}
		switch {
		case g.QoS == packet.QoS1 && g.Dup:
		case g.Retain:
			retained++
		default:
			live++
			onOne[g.Conn]++
		}
	}
	type way struct {
		filter string
		member *session // of a shared subscription and QoS 1
		conn   int      // of that member, where its share of the message went round
	}
	var ways []way
	filters := map[string]bool{}
	by := func(w way) {
		filters[w.filter] = true
		if !slices.Contains(ways, w) {
			ways = append(ways, w)
		}
	}
	asks := 0
	for _, w := range h.asks[r.client] {
		if w.refused || !w.matches(m.topic) && !w.shared(m.topic) {
			continue
		}
		// What a member of a group leaves undone goes to one that may be new.
		if w.ended > m.first && (m.answered == never || w.asked < m.answered || w.shared(m.topic)) {
			if got[0].QoS == packet.QoS1 && w.shared(m.topic) {
				for _, conn := range connsOf(w.session, got) {
					by(way{w.filter.Filter, w.session, conn})
				}
			} else {
				by(way{filter: w.filter.Filter})
			}
		}
		if w.filter.RetainHandling != 2 {
			asks++
		}
	}
	times := 1
	forgotten := kills > 0 && (m.memory || h.memory[r.client])
	if got[0].QoS == packet.QoS1 || forgotten || h.tangled(m) {
		times = max(1, len(m.conns)) + kills // each time it was sent, it may be taken
	}
	clause := ClauseOnce
	if m.will != nil {
		clause = ClauseWill
	}
	tooMany := live > len(ways)*times
	for _, n := range onOne {
		tooMany = tooMany || n > len(filters)*times
	}
	if tooMany && len(ways) > 0 {
		h.fail(got[len(got)-1].index, clause, []string{r.client, m.client}, []uint64{m.id},
			"%s received m%d of %s %d times, QoS %d", r.client, m.id, m.client, live, got[0].QoS)
	}
	if retained > asks+again && asks > 0 {
		h.fail(got[len(got)-1].index, ClauseOnce, []string{r.client, m.client}, []uint64{m.id},
			"%s received the retained m%d %d times for %d subscriptions", r.client, m.id, retained, asks)
	}
}

// connsOf is the connections on which a session received what it got, 0 for none:
// what a member leaves undone goes to another, who may leave it too, and comes back
// to the member on its next connection; on each it comes once.
func connsOf(s *session, got []receipt) []int {
	var conns []int
	for _, g := range got {
		if g.session == s && !slices.Contains(conns, g.Conn) {
			conns = append(conns, g.Conn)
		}
	}
	if conns == nil {
		return []int{0}
	}
	return conns
}

// tangled reports whether a connection m was sent on may have been in another
// session than its publisher took it for: sent again, it is taken again.
func (h *history) tangled(m *msg) bool {
	if slices.ContainsFunc(m.conns, func(c int) bool { return h.conns[c] != nil && h.conns[c].tangled() }) {
		return true
	}
	if len(m.conns) == 0 {
		return false
	}
	for c := h.conns[m.conns[len(m.conns)-1]]; c != nil && c.id != m.conns[0]; c = c.prev {
		if c.accepted != never && c.replaced() {
			return true
		}
	}
	return false
}

// readLate reports whether a message was read, on a connection that a kill had cut
// off, after the kill, and the next one on another.
func (h *history) readLate(got, next receipt) bool {
	c := h.conns[got.Conn]
	return c != nil && got.Conn != next.Conn && h.killedBetween(c.opened, got.index)
}

func (h *history) killedBetween(i, j int) bool {
	return slices.ContainsFunc(h.restarts, func(r int) bool { return i < r && r < j })
}

// lane is what keeps an order among itself.
type lane struct {
	to, from, topic string
	sent, got       packet.QoS
}

// checkOrder: for each subscriber, the first copies of what a publisher sent to
// a topic with a QoS come in the order in which it sent them
// [v3.1.1 MQTT-4.6.0-6, v5 MQTT-4.6.0-5 -6]. Shared subscriptions promise none.
func (h *history) checkOrder() {
	lanes := map[lane][]*msg{} // as received
	for i, e := range h.events {
		if e.Kind != Received || e.Retain {
			continue
		}
		m := h.msgs[e.Msg]
		if m == nil || m.will != nil || !h.first(i, e) || h.byShare(i, e, m) {
			continue
		}
		l := lane{e.Client, m.client, m.topic, m.qos, e.QoS}
		for j := len(lanes[l]) - 1; j >= 0 && lanes[l][j].first > m.first; j-- {
			if later := lanes[l][j]; m.before(later) && h.inTime(e, m) {
				h.fail(i, ClauseOrder, []string{e.Client, m.client}, []uint64{m.id, later.id}, "%s received m%d behind m%d, which %s sent later", e.Client, m.id, later.id, m.client)
				break
			}
		}
		lanes[l] = append(lanes[l], m)
	}
}

// first reports whether event i is the first copy of its message.
func (h *history) first(i int, e Event) bool {
	for _, g := range h.receipts[receiver{e.Client, e.Msg}] {
		if !g.Retain {
			return g.index == i
		}
	}
	return false
}

// inTime reports whether the first copy of m was for this subscriber: what was
// sent again may have passed before the subscription, and come with the second
// copy only.
func (h *history) inTime(e Event, m *msg) bool {
	s := h.conns[e.Conn].session
	return len(m.conns) == 1 || s != nil && slices.ContainsFunc(s.subs, func(w *want) bool {
		return w.effective < m.first && w.leaving == never && w.matches(m.topic)
	})
}

// byShare reports whether the first copy of m, event i, may have come by a shared
// subscription: the session has one, and none of its own that was in force when m
// was sent. (With one in force, its copy is the first or came before.)
func (h *history) byShare(i int, e Event, m *msg) bool {
	s := h.conns[e.Conn].session
	if s == nil {
		return false
	}
	own := slices.ContainsFunc(s.subs, func(w *want) bool {
		return w.effective < m.first && w.leaving > i && !w.refused && w.matches(m.topic)
	})
	return !own && slices.ContainsFunc(s.subs, func(w *want) bool { return w.asked < i && !w.refused && w.shared(m.topic) })
}

func (h *history) sharedOnly(e Event, m *msg) bool {
	return !slices.ContainsFunc(h.asks[e.Client], func(w *want) bool { return w.matches(m.topic) })
}

// before reports whether m was certainly sent before later: it was answered
// before, or they were sent on one connection with one QoS.
func (m *msg) before(later *msg) bool {
	return m.first < later.first && (m.answered < later.first || m.qos == later.qos &&
		slices.ContainsFunc(m.conns, func(c int) bool { return slices.Contains(later.conns, c) }))
}

// checkOwed: a message that was acknowledged has reached every session that
// subscribed to it with QoS 1 or 2 before it was sent, is connected at the end,
// and has been there all the time; and any session that has received a later one
// of its lane.
func (h *history) checkOwed() {
	for _, s := range h.sessions {
		for _, m := range h.sent {
			if m.qos > 0 && m.taken() && !m.empty {
				h.checkDebt(s, m)
			}
		}
	}
}

func (h *history) checkDebt(s *session, m *msg) {
	if s.begin > m.first || s.end < m.answered || !h.kept(m) || h.hasCopy(s.client, m.id) {
		return
	}
	for _, w := range s.subs {
		if w.effective > m.first || w.leaving < m.answered || w.refused || w.granted == 0 || w.filter.NoLocal && m.client == s.client || !w.matches(m.topic) {
			continue
		}
		if w.leaving != never {
			continue // what waits for a filter that is unsubscribed may be dropped [v3.1.1 3.10.4, v5 3.10.4]
		}
		if !(m.answered < h.settle && s.connected(h.settle)) && !h.overtaken(s, m) {
			continue
		}
		clause, what := ClauseLost, "never reached"
		if !h.servedBefore(w, m) {
			clause, what = ClauseEffective, "though SUBACK had come, never reached"
		}
		h.fail(max(h.settle, m.answered), clause, []string{s.client, m.client}, []uint64{m.id}, "m%d of %s, acknowledged, %s %s", m.id, m.client, what, s.client)
		return
	}
}

func (h *history) hasCopy(client string, id uint64) bool {
	return len(h.receipts[receiver{client, id}]) > 0
}

// overtaken reports whether a later message of m's lane reached the session.
func (h *history) overtaken(s *session, m *msg) bool {
	return slices.ContainsFunc(h.sent, func(later *msg) bool {
		if later.client != m.client || later.topic != m.topic || later.qos != m.qos || !m.before(later) {
			return false
		}
		return slices.ContainsFunc(h.receipts[receiver{s.client, later.id}], func(g receipt) bool { return g.session == s && !g.Retain })
	})
}

// servedBefore reports whether something sent before m came by the subscription:
// then it had been in force.
func (h *history) servedBefore(w *want, m *msg) bool {
	return slices.ContainsFunc(h.sent, func(o *msg) bool {
		return o.first < m.first && w.matches(o.topic) && slices.ContainsFunc(h.receipts[receiver{w.client, o.id}], func(g receipt) bool {
			return g.session == w.session && g.index > w.asked && !g.Retain
		})
	})
}
