// SPDX-License-Identifier: Apache-2.0

package serializer

import "emqttd/protocol/packet"

// FitReason makes p fit into limit bytes (0: no limit), the Maximum Packet Size
// of the client, by leaving out first the reason string, then the user
// properties, which must not be sent where they would break the limit
// [v5 MQTT-3.2.2-19 -20, MQTT-3.4.2-2 -3, MQTT-3.5.2-2 -3, MQTT-3.6.2-2 -3,
// MQTT-3.7.2-2 -3, MQTT-3.9.2-1 -2, MQTT-3.11.2-1 -2, MQTT-3.14.2-3 -4,
// MQTT-3.15.2-2 -3]. It reports whether p fits now; a PUBLISH is never changed,
// it fits or must be dropped [v5 MQTT-3.1.2-24 -25].
//
// The properties are replaced by a copy, never changed, since others may share
// them.
func FitReason(p packet.Packet, v packet.Version, limit uint32) bool {
	if fits(p, v, limit) {
		return true
	}
	props := reasonProperties(p)
	if v != packet.V5 || props == nil || *props == nil {
		return false
	}
	c := **props
	*props = &c
	c.Clear(packet.PropReasonString)
	c.ReasonString = ""
	if fits(p, v, limit) {
		return true
	}
	c.User = nil
	return fits(p, v, limit)
}

func fits(p packet.Packet, v packet.Version, limit uint32) bool {
	n, err := Size(p, v)
	return err == nil && (limit == 0 || uint64(n) <= uint64(limit))
}

// reasonProperties is where a packet that answers or ends something keeps its
// properties; nil for the others.
func reasonProperties(p packet.Packet) **packet.Properties {
	switch m := p.(type) {
	case *packet.Connack:
		return &m.Properties
	case *packet.Ack:
		return &m.Properties
	case *packet.Suback:
		return &m.Properties
	case *packet.Unsuback:
		return &m.Properties
	case *packet.Disconnect:
		return &m.Properties
	case *packet.Auth:
		return &m.Properties
	}
	return nil
}
