// SPDX-License-Identifier: Apache-2.0

package serializer

import "emqttd/protocol/packet"

// measureHead lays out what SUBSCRIBE, UNSUBSCRIBE and their answers begin
// with: packet identifier and, in 5.0, properties.
func measureHead(t packet.Type, id packet.ID, p *packet.Properties, v packet.Version) (l layout, err error) {
	if id == 0 {
		return l, invalid(t, "packet identifier 0") // [v3.1.1 MQTT-2.3.1-1, v5 MQTT-2.2.1-3]
	}
	l.remaining = 2
	if v == packet.V5 {
		l.props, err = measureProperties(p, t)
		l.remaining += propertiesSize(l.props, v)
	}
	return l, err
}

func appendHead(dst []byte, id packet.ID, p *packet.Properties, v packet.Version, l layout) []byte {
	dst = appendID(dst, id)
	if v == packet.V5 {
		dst = appendProperties(dst, p, l.props)
	}
	return dst
}

func measureSubscribe(s *packet.Subscribe, v packet.Version) (layout, error) {
	l, err := measureHead(packet.SUBSCRIBE, s.ID, s.Properties, v)
	if err == nil && len(s.Subscriptions) == 0 {
		err = invalid(packet.SUBSCRIBE, "no filters") // [v3.1.1 MQTT-3.8.3-3, v5 MQTT-3.8.3-2]
	}
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		if len(sub.Filter) > maxField || sub.QoS > packet.QoS2 || sub.RetainHandling > 2 {
			return l, invalid(packet.SUBSCRIBE, "filter or options out of range")
		}
		l.remaining += 2 + len(sub.Filter) + 1
	}
	return l, err
}

func appendSubscribe(dst []byte, s *packet.Subscribe, v packet.Version, l layout) []byte {
	dst = appendHead(dst, s.ID, s.Properties, v, l)
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		dst = appendField(dst, sub.Filter)
		dst = append(dst, options(sub, v))
	}
	return dst
}

// options is the byte behind a filter: subscription options [v5 3.8.3.1], of
// which 3.x knows the QoS only.
func options(s *packet.Subscription, v packet.Version) byte {
	b := byte(s.QoS)
	if v != packet.V5 {
		return b
	}
	if s.NoLocal {
		b |= 0x04
	}
	if s.RetainAsPublished {
		b |= 0x08
	}
	return b | s.RetainHandling<<4
}

func measureUnsubscribe(u *packet.Unsubscribe, v packet.Version) (layout, error) {
	l, err := measureHead(packet.UNSUBSCRIBE, u.ID, u.Properties, v)
	if err == nil && len(u.Filters) == 0 {
		err = invalid(packet.UNSUBSCRIBE, "no filters") // [v3.1.1 MQTT-3.10.3-2, v5 MQTT-3.10.3-2]
	}
	for _, f := range u.Filters {
		if len(f) > maxField {
			return l, invalid(packet.UNSUBSCRIBE, "filter too long")
		}
		l.remaining += 2 + len(f)
	}
	return l, err
}

func appendUnsubscribe(dst []byte, u *packet.Unsubscribe, v packet.Version, l layout) []byte {
	dst = appendHead(dst, u.ID, u.Properties, v, l)
	for _, f := range u.Filters {
		dst = appendField(dst, f)
	}
	return dst
}

func measureSuback(s *packet.Suback, v packet.Version) (layout, error) {
	l, err := measureHead(packet.SUBACK, s.ID, s.Properties, v)
	if err == nil {
		err = checkCodes(packet.SUBACK, s.Codes)
	}
	l.remaining += len(s.Codes)
	return l, err
}

// appendSuback writes SUBACK. 3.1.1 has one code for every failure
// [v3.1.1 MQTT-3.9.3-2]; 3.1 has none, and gets the same one.
func appendSuback(dst []byte, s *packet.Suback, v packet.Version, l layout) []byte {
	dst = appendHead(dst, s.ID, s.Properties, v, l)
	for _, c := range s.Codes {
		if v != packet.V5 && c.Failed() {
			c = packet.UnspecifiedError
		}
		dst = append(dst, byte(c))
	}
	return dst
}

func measureUnsuback(u *packet.Unsuback, v packet.Version) (layout, error) {
	l, err := measureHead(packet.UNSUBACK, u.ID, u.Properties, v)
	if v == packet.V5 && err == nil {
		err = checkCodes(packet.UNSUBACK, u.Codes)
		l.remaining += len(u.Codes)
	}
	return l, err
}

func appendUnsuback(dst []byte, u *packet.Unsuback, v packet.Version, l layout) []byte {
	dst = appendHead(dst, u.ID, u.Properties, v, l)
	if v == packet.V5 {
		for _, c := range u.Codes {
			dst = append(dst, byte(c))
		}
	}
	return dst
}

// checkCodes checks that there is a code for at least one filter, and that the
// packet may carry each.
func checkCodes(t packet.Type, cs []packet.ReasonCode) error {
	if len(cs) == 0 {
		return invalid(t, "no codes")
	}
	for _, c := range cs {
		if !c.ValidIn(t) {
			return invalid(t, c.String())
		}
	}
	return nil
}
