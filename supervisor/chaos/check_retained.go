// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"

	"emqttd/protocol/packet"
)

// checkRetained: a new subscription is given what was retained last, neither
// something that an acknowledged message has replaced nor nothing
// [v3.1.1 MQTT-3.3.1-5 -6, v5 MQTT-3.3.1-5 -9 -10 -11].
func (h *history) checkRetained() {
	kept := map[string][]*msg{} // topic -> what was published to be retained, in order
	for _, m := range h.sent {
		if m.retain && (m.answered == never || m.taken()) {
			kept[m.topic] = append(kept[m.topic], m)
		}
	}
	for _, c := range h.order {
		if w := c.open.Will; w != nil && w.Retain {
			kept[w.Topic] = append(kept[w.Topic], h.message(w.Msg))
		}
	}
	for _, r := range h.heard {
		if r.msg == 0 {
			continue
		}
		for _, g := range h.receipts[r] {
			if m := h.msgs[r.msg]; g.Retain && m != nil {
				h.checkStale(g, m, kept[m.topic])
			}
		}
	}
	for _, asks := range h.asks {
		for _, w := range asks {
			h.checkGiven(w, kept)
		}
	}
}

// replacedBefore reports whether m was certainly no longer retained at index i.
func (h *history) replacedBefore(m *msg, i int, kept []*msg) *msg {
	j := slices.IndexFunc(kept, func(o *msg) bool { return o != m && m.before(o) && o.answered < i && h.kept(o) })
	if j < 0 {
		return nil
	}
	return kept[j]
}

// checkStale: of the subscriptions that may have asked for the copy, one must
// have been made before it was replaced.
func (h *history) checkStale(g receipt, m *msg, kept []*msg) {
	if !m.retain {
		h.fail(g.index, ClauseRetained, []string{g.Client, m.client}, []uint64{m.id}, "m%d came to %s as retained, but was not", m.id, g.Client)
		return
	}
	var by *msg
	for _, w := range h.asks[g.Client] {
		if w.asked > g.index || w.refused || !w.matches(m.topic) {
			continue
		}
		if by = h.replacedBefore(m, w.asked, kept); by == nil {
			return
		}
	}
	if by != nil {
		h.fail(g.index, ClauseRetained, []string{g.Client, m.client, by.client}, []uint64{m.id, by.id},
			"%s was given the retained m%d on %s, which m%d had replaced", g.Client, m.id, m.topic, by.id)
	}
}

// checkGiven: a subscription whose session is connected at the end was given
// every retained message that matches it, or a later one of the same topic.
func (h *history) checkGiven(w *want, kept map[string][]*msg) {
	handling := w.filter.RetainHandling
	if w.effective == never || w.granted == 0 || w.leaving != never || h.settle < 0 || !w.session.connected(h.settle) ||
		handling == 2 || handling == 1 && w.again {
		return
	}
	for name, list := range kept {
		if !w.matches(name) {
			continue
		}
		m := h.certain(list, w.asked)
		if m == nil || m.qos == packet.QoS0 || h.givenSince(w, m, list) {
			continue
		}
		h.fail(h.settle, ClauseRetained, []string{w.client, m.client}, []uint64{m.id},
			"%s subscribed to %s and was not given the retained m%d on %s", w.client, w.filter.Filter, m.id, name)
	}
}

// certain is a message that is retained at index i, or one that replaced it,
// whatever became of those whose publishers gave up; nil when there may be none.
// What came as QoS 0 may have replaced it and been lost on the way.
func (h *history) certain(list []*msg, i int) *msg {
	for _, m := range list {
		if !m.taken() || m.answered > i || m.empty || !h.kept(m) {
			continue
		}
		clear := !slices.ContainsFunc(list, func(o *msg) bool {
			return o != m && !o.before(m) && (o.empty || o.will != nil || o.qos == packet.QoS0)
		})
		if clear {
			return m
		}
	}
	return nil
}

// givenSince reports whether m, or what may have replaced it, came after
// SUBSCRIBE.
func (h *history) givenSince(w *want, m *msg, list []*msg) bool {
	return slices.ContainsFunc(list, func(o *msg) bool {
		return (o == m || !o.before(m)) && slices.ContainsFunc(h.receipts[receiver{w.client, o.id}], func(g receipt) bool {
			return g.index > w.asked
		})
	})
}
