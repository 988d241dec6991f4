// SPDX-License-Identifier: Apache-2.0

package serializer

import "emqttd/protocol/packet"

func measureConnack(c *packet.Connack, v packet.Version) (l layout, err error) {
	l.remaining = 2
	if v != packet.V5 {
		return l, nil // every code has a return code
	}
	if !c.Code.ValidIn(packet.CONNACK) {
		return l, invalid(packet.CONNACK, c.Code.String())
	}
	l.props, err = measureProperties(c.Properties, packet.CONNACK)
	l.remaining += propertiesSize(l.props, v)
	return l, err
}

// appendConnack writes CONNACK. A refusal never has a session [v3.1.1
// MQTT-3.2.2-4, v5 MQTT-3.2.2-6], and 3.1 knows no such flag.
func appendConnack(dst []byte, c *packet.Connack, v packet.Version, l layout) []byte {
	var flags byte
	if c.SessionPresent && c.Code == packet.Success && v != packet.V31 {
		flags = 0x01
	}
	if v != packet.V5 {
		return append(dst, flags, c.Code.ReturnCode())
	}
	return appendProperties(append(dst, flags, byte(c.Code)), c.Properties, l.props)
}

// measureTail lays out what ends PUBACK, PUBREC, PUBREL, PUBCOMP, DISCONNECT
// and AUTH in 5.0 behind head bytes: reason code and properties, both left away
// for success without properties, the property length left away without
// properties [v5 3.4.2.1, 3.14.2.1, 3.15.2.1]. Below 5.0 there is no tail.
func measureTail(t packet.Type, head int, c packet.ReasonCode, p *packet.Properties, v packet.Version) (l layout, err error) {
	l.remaining = head
	if v != packet.V5 {
		l.short = noTail
		return l, nil
	}
	if !c.ValidIn(t) {
		return l, invalid(t, c.String())
	}
	if l.props, err = measureProperties(p, t); err != nil {
		return l, err
	}
	switch {
	case l.props > 0 || t == packet.AUTH && c != packet.Success:
		// AUTH alone may not leave the length away behind a code.
		l.remaining += 1 + propertiesSize(l.props, v)
	case c != packet.Success:
		l.short = noProps
		l.remaining++
	default:
		l.short = noTail
	}
	return l, nil
}

func appendTail(dst []byte, c packet.ReasonCode, p *packet.Properties, l layout) []byte {
	switch l.short {
	case noTail:
		return dst
	case noProps:
		return append(dst, byte(c))
	}
	return appendProperties(append(dst, byte(c)), p, l.props)
}

func measureAck(a *packet.Ack, v packet.Version) (layout, error) {
	switch {
	case a.Kind < packet.PUBACK || a.Kind > packet.PUBCOMP:
		return layout{}, invalid(a.Kind, "is no acknowledgement")
	case a.ID == 0:
		return layout{}, invalid(a.Kind, "packet identifier 0")
	}
	return measureTail(a.Kind, 2, a.Code, a.Properties, v)
}

func appendAck(dst []byte, a *packet.Ack, l layout) []byte {
	return appendTail(appendID(dst, a.ID), a.Code, a.Properties, l)
}

// ShortAck is the size of an acknowledgement that says nothing but success, in
// bytes.
const ShortAck = 4

// AppendShortAck is Append for such an acknowledgement, which nearly all are; it
// reports false, and appends nothing, if a has more to say in version v.
func AppendShortAck(dst []byte, a *packet.Ack, v packet.Version) ([]byte, bool) {
	if a.ID == 0 || a.Kind < packet.PUBACK || a.Kind > packet.PUBCOMP || !v.Valid() ||
		v == packet.V5 && (a.Code != packet.Success || a.Properties != nil) {
		return dst, false
	}
	return append(dst, byte(a.Kind)<<4|fixedFlags(a.Kind), 2, byte(a.ID>>8), byte(a.ID)), true
}

func measureAuth(a *packet.Auth, v packet.Version) (layout, error) {
	if v != packet.V5 {
		return layout{}, invalid(packet.AUTH, "is 5.0 only")
	}
	l, err := measureTail(packet.AUTH, 0, a.Code, a.Properties, v)
	if err == nil && l.remaining > 0 && !a.Properties.Has(packet.PropAuthMethod) {
		err = invalid(packet.AUTH, "no method") // [v5 3.15.2.2.2]
	}
	return l, err
}
