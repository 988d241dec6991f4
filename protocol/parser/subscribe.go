// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// subscribe decodes SUBSCRIBE. A filter takes three bytes at least and some forty
// in memory; the size of the packet bounds them here, the protocol actor's limit
// on filters later.
func (d *decoder) subscribe() *packet.Subscribe {
	s := &packet.Subscribe{ID: d.id()}
	s.Properties = d.properties(packet.SUBSCRIBE)
	if len(d.b) == 0 {
		d.fail(packet.FaultNoFilters) // [v3.1.1 MQTT-3.8.3-3, v5 MQTT-3.8.3-2]
	}
	for len(d.b) > 0 {
		sub := packet.Subscription{Filter: d.str()}
		d.options(&sub)
		s.Subscriptions = append(s.Subscriptions, sub)
	}
	return s
}

// options reads the byte behind a filter: a QoS before 5.0, subscription
// options from then on.
func (d *decoder) options(s *packet.Subscription) {
	b := d.u8()
	s.QoS = packet.QoS(b & 0x03)
	switch d.version {
	case packet.V31:
		// The upper six bits are not used (MQTT 3.1, section 3.8).
		if s.QoS == 3 {
			d.fail(packet.FaultSubscriptionOptions)
		}
	case packet.V311:
		if b > 2 {
			d.fail(packet.FaultSubscriptionOptions) // [v3.1.1 MQTT-3.8.3-4]
		}
	case packet.V5:
		s.NoLocal = b&0x04 != 0
		s.RetainAsPublished = b&0x08 != 0
		s.RetainHandling = b >> 4 & 0x03
		if b&0xc0 != 0 {
			d.fail(packet.FaultSubscriptionOptions) // [v5 MQTT-3.8.3-5]
		}
		if s.QoS == 3 || s.RetainHandling == 3 {
			d.fail(packet.FaultSubscriptionValue) // [v5 3.8.3.1]
		}
	}
}

// unsubscribe decodes UNSUBSCRIBE.
func (d *decoder) unsubscribe() *packet.Unsubscribe {
	u := &packet.Unsubscribe{ID: d.id()}
	u.Properties = d.properties(packet.UNSUBSCRIBE)
	if len(d.b) == 0 {
		d.fail(packet.FaultNoFilters) // [v3.1.1 MQTT-3.10.3-2, v5 MQTT-3.10.3-2]
	}
	for len(d.b) > 0 {
		u.Filters = append(u.Filters, d.str())
	}
	return u
}
