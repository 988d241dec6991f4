// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// properties reads the properties of a packet of type place, or of the will for
// packet.WillPlace; nil when there are none. Below 5.0 it reads nothing. They
// are allocated and may be kept.
func (d *decoder) properties(place packet.Type) *packet.Properties {
	if d.version != packet.V5 {
		return nil
	}
	n := int(d.varint())
	if n > len(d.b) {
		d.fail(packet.FaultPropertyLength)
	}
	if n == 0 || d.fault != packet.FaultNone {
		return nil
	}
	behind := d.b[n:]
	d.b = d.b[:n]
	p := new(packet.Properties)
	for len(d.b) > 0 {
		d.property(place, p)
	}
	if d.fault == packet.FaultNone {
		d.b = behind
	}
	return p
}

// property reads one property into p.
func (d *decoder) property(place packet.Type, p *packet.Properties) {
	// The identifier is a variable byte integer, but all that are defined have
	// one byte [v5 2.2.2.2]; a first byte >= 0x80 is simply unknown.
	id := packet.Property(d.u8())
	info := id.Info()
	switch {
	case info == nil:
		d.fail(packet.FaultPropertyUnknown)
		return
	case !info.In(place):
		d.fail(packet.FaultPropertyPlace)
		return
	case id == packet.PropSubscriptionID && place == packet.PUBLISH && d.role == Server:
		d.fail(packet.FaultSubscriptionIDFromClient) // [v5 MQTT-3.3.4-6]
		return
	case id == packet.PropSessionExpiry && place == packet.DISCONNECT && d.role == Client:
		d.fail(packet.FaultPropertyPlace) // [v5 MQTT-3.14.2-2]
		return
	case p.Has(id) && !repeats(id, place):
		d.fail(packet.FaultPropertyTwice)
		return
	}
	d.value(id, info, p)
}

// repeats reports whether id may stand more than once. Subscription identifiers
// do in a PUBLISH, one for each subscription that matched [v5 MQTT-3.3.4-3].
func repeats(id packet.Property, place packet.Type) bool {
	return id == packet.PropUserProperty || id == packet.PropSubscriptionID && place == packet.PUBLISH
}

func (d *decoder) value(id packet.Property, info *packet.PropertyInfo, p *packet.Properties) {
	switch info.Kind {
	case packet.KindByte:
		v := d.u8()
		d.checkRange(id, info, uint32(v))
		*p.Byte(id) = v
	case packet.KindUint16:
		v := d.u16()
		d.checkRange(id, info, uint32(v))
		*p.Uint16(id) = v
	case packet.KindUint32:
		v := d.u32()
		d.checkRange(id, info, v)
		*p.Uint32(id) = v
	case packet.KindVarint: // only the subscription identifier
		v := d.varint()
		d.checkRange(id, info, v)
		p.SubscriptionIDs = append(p.SubscriptionIDs, v)
		return
	case packet.KindText:
		*p.Text(id) = d.str()
	case packet.KindBinary:
		*p.Binary(id) = d.binary()
	case packet.KindPair:
		key := d.str()
		p.User = append(p.User, packet.UserProperty{Key: key, Value: d.str()})
		return
	}
	p.Set(id)
}

func (d *decoder) checkRange(id packet.Property, info *packet.PropertyInfo, v uint32) {
	if v >= info.Min && v <= info.Max {
		return
	}
	switch id {
	case packet.PropSubscriptionID:
		d.fail(packet.FaultSubscriptionIDZero)
	case packet.PropTopicAlias:
		d.fail(packet.FaultTopicAlias)
	default:
		d.fail(packet.FaultPropertyValue)
	}
}

// checkAuth refuses authentication data that says no method
// [v5 3.1.2.11.10, 3.15.2.2.3].
func (d *decoder) checkAuth(p *packet.Properties) {
	if p.Has(packet.PropAuthData) && !p.Has(packet.PropAuthMethod) {
		d.fail(packet.FaultAuthMethodMissing)
	}
}
