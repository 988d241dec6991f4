// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// reason reads a reason code that a packet of type t may carry [v5 2.4].
func (d *decoder) reason(t packet.Type) packet.ReasonCode {
	c := packet.ReasonCode(d.u8())
	if !c.ValidIn(t) {
		d.fail(packet.FaultReasonCode)
	}
	return c
}

// ack decodes PUBACK, PUBREC, PUBREL and PUBCOMP. In 5.0 a body of two bytes
// means success, and one of three has no properties [v5 3.4.2.1, 3.4.2.2.1].
func (d *decoder) ack(t packet.Type, a *packet.Ack) *packet.Ack {
	a.Kind = t
	a.ID = d.id()
	if d.version == packet.V5 && len(d.b) > 0 {
		a.Code = d.reason(t)
		if len(d.b) > 0 {
			a.Properties = d.properties(t)
		}
	}
	d.end()
	return a
}

// connack decodes CONNACK.
func (d *decoder) connack() *packet.Connack {
	c := new(packet.Connack)
	flags := d.u8()
	// 3.1 has no flags here, and no meaning for the byte.
	if d.version != packet.V31 {
		if flags&^0x01 != 0 {
			d.fail(packet.FaultConnectFlags) // [v3.1.1 3.2.2.1, v5 MQTT-3.2.2-1]
		}
		c.SessionPresent = flags&0x01 != 0
	}
	if d.version == packet.V5 && !d.refusedByOlder() {
		c.Code = d.reason(packet.CONNACK)
		c.Properties = d.properties(packet.CONNACK)
		d.checkAuth(c.Properties)
	} else {
		code := d.u8()
		if code > 5 {
			d.fail(packet.FaultReasonCode) // [v3.1.1 3.2.2.3]
		}
		c.Code = packet.FromReturnCode(code)
	}
	d.end()
	return c
}

// refusedByOlder reports whether a server that does not know 5.0 answers in its
// own words, 20 02 00 01: that is all a client of 5.0 ever hears from it.
func (d *decoder) refusedByOlder() bool { return len(d.b) == 1 && d.b[0] == 1 }

// suback decodes SUBACK.
func (d *decoder) suback() *packet.Suback {
	s := &packet.Suback{ID: d.id()}
	s.Properties = d.properties(packet.SUBACK)
	s.Codes = d.reasons(packet.SUBACK)
	if d.version != packet.V5 {
		for _, c := range s.Codes {
			if c > packet.GrantedQoS2 && c != packet.UnspecifiedError {
				d.fail(packet.FaultReasonCode) // [v3.1.1 MQTT-3.9.3-2]
			}
		}
	}
	return s
}

// unsuback decodes UNSUBACK, which has codes in 5.0 only.
func (d *decoder) unsuback() *packet.Unsuback {
	u := &packet.Unsuback{ID: d.id()}
	if d.version == packet.V5 {
		u.Properties = d.properties(packet.UNSUBACK)
		u.Codes = d.reasons(packet.UNSUBACK)
	}
	return u
}

// reasons reads codes up to the end, at least one.
func (d *decoder) reasons(t packet.Type) []packet.ReasonCode {
	if len(d.b) == 0 {
		d.fail(packet.FaultTruncated)
	}
	cs := make([]packet.ReasonCode, 0, len(d.b))
	for len(d.b) > 0 {
		cs = append(cs, d.reason(t))
	}
	return cs
}

// disconnect decodes DISCONNECT. In 5.0 an empty body means a normal one, and a
// single byte has no properties [v5 3.14.2.1, 3.14.2.2.1].
func (d *decoder) disconnect() *packet.Disconnect {
	m := new(packet.Disconnect)
	if len(d.b) > 0 {
		m.Code = d.reason(packet.DISCONNECT)
	}
	if len(d.b) > 0 {
		m.Properties = d.properties(packet.DISCONNECT)
	}
	d.end()
	return m
}

// auth decodes AUTH. An empty body means success [v5 3.15.2.1]; any other says
// its method [v5 3.15.2.2.2].
func (d *decoder) auth() *packet.Auth {
	a := new(packet.Auth)
	if len(d.b) == 0 {
		return a
	}
	a.Code = d.reason(packet.AUTH)
	a.Properties = d.properties(packet.AUTH)
	if !a.Properties.Has(packet.PropAuthMethod) {
		d.fail(packet.FaultAuthMethodMissing)
	}
	d.end()
	return a
}
