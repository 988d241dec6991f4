// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"

	"emqttd/protocol/packet"
)

// checkShared: a QoS 2 message goes to one member of a shared subscription, and
// to no other when that one has not finished it [v5 MQTT-4.8.2-4 -5]. A message
// whose publisher sent it again to a broker that had been killed, or by CONNECTs
// that overlapped, may be another one.
func (h *history) checkShared() {
	taken := map[shareOf][]string{} // the members that got it, by no subscription of their own
	for _, r := range h.heard {
		m := h.msgs[r.msg]
		if m == nil || m.qos != packet.QoS2 || m.will != nil || len(m.conns) > 1 && (h.killedBetween(m.first, m.answered) || h.tangled(m)) ||
			(m.memory || len(h.memory) > 0) && h.killedBetween(m.first, never) { // a member's session may be what a kill has left
			continue
		}
		for _, g := range h.receipts[r] {
			if g.Retain || g.QoS != packet.QoS2 || !h.sharedOnly(g.Event, m) {
				continue
			}
			of := shareOf{m.id, h.shareThatServed(r.client, m)}
			if slices.Contains(taken[of], r.client) {
				continue
			}
			if taken[of] = append(taken[of], r.client); len(taken[of]) == 2 {
				h.fail(g.index, ClauseOnce, append([]string{m.client}, taken[of]...), []uint64{m.id},
					"m%d of %s, QoS 2, reached %s and %s, which share %s", m.id, m.client, taken[of][0], r.client, of.filter)
			}
		}
	}
}

type shareOf struct {
	msg    uint64
	filter string
}

// shareThatServed is the shared filter by which the client got m.
func (h *history) shareThatServed(client string, m *msg) string {
	for _, w := range h.asks[client] {
		if w.shared(m.topic) {
			return w.filter.Filter
		}
	}
	return ""
}
