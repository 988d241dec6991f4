// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// subscribe checks each filter and hands the SUBSCRIBE to the session. In emqttd
// one denied filter failed all of them; here each has its own code
// [v3.1.1 MQTT-3.8.4-5, v5 MQTT-3.8.4-6].
func (st *stage) subscribe(p *packet.Subscribe) {
	codes := make([]packet.ReasonCode, len(p.Subscriptions))
	for i, sub := range p.Subscriptions {
		code, f := st.checkFilter(i, p.ID, sub, p.Properties)
		if f != packet.FaultNone {
			st.fault(f, metrics.CloseFault)
			return
		}
		codes[i] = code
	}
	st.s.subscribing++
	st.tellSession(&cast.Subscribe{Epoch: st.s.epoch, Packet: p, Codes: codes})
}

// checkFilter is the code for filter i, or a fault that ends the connection.
func (st *stage) checkFilter(i int, id packet.ID, sub packet.Subscription, props *packet.Properties) (packet.ReasonCode, packet.Fault) {
	lim := st.env.Limits()
	share, shared, err := topic.ParseShare(sub.Filter)
	inner := sub.Filter
	if shared {
		inner = share.Filter
	}
	switch {
	case err != nil || topic.ValidFilter(inner, lim.Topics) != nil:
		st.x.Count(&st.env.Metrics.Faults[packet.FaultTopicFilter], 1)
		return packet.TopicFilterInvalid, packet.FaultNone
	case shared && sub.NoLocal:
		return 0, packet.FaultNoLocalShared
	case st.inUse(id):
		return packet.PacketIDInUse, packet.FaultNone
	case i >= lim.MaxFilters:
		return packet.QuotaExceeded, packet.FaultNone
	case shared && !lim.Shared:
		return packet.SharedNotSupported, packet.FaultNone
	case !lim.Wildcard && topic.HasWildcard(inner):
		return packet.WildcardNotSupported, packet.FaultNone
	case !lim.SubscriptionIDs && props.Has(packet.PropSubscriptionID):
		return packet.SubscriptionIDNotSupported, packet.FaultNone
	case !st.allowed(acl.Operation{Action: acl.Subscribe, Topic: sub.Filter, QoS: sub.QoS}):
		if e := st.env.Log.Info(); e.Enabled() {
			e.Str("actor", st.conn.Protocol.Name()).Str("client_id", brief(st.s.clientID)).Str("filter", sub.Filter).Msg("subscribe denied")
		}
		return packet.NotAuthorized, packet.FaultNone
	}
	return packet.Success, packet.FaultNone
}

func (st *stage) unsubscribe(p *packet.Unsubscribe) {
	if len(p.Filters) > st.env.Limits().MaxFilters {
		p.Filters = p.Filters[:st.env.Limits().MaxFilters]
	}
	st.tellSession(&cast.Unsubscribe{Epoch: st.s.epoch, Packet: p})
}
