// SPDX-License-Identifier: Apache-2.0

package dissect

import (
	"fmt"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// One takes one packet apart. b holds it whole, fixed header included, or as
// much of it as there is; v is the version of the connection, 0 before CONNECT.
// The result aliases b.
func One(b []byte, v packet.Version, role parser.Role) Packet {
	p := parser.New(parser.Options{Role: role, Version: v})
	_, _, rest, err := p.Parse(b, nil)
	if err == nil && len(rest) > 0 {
		b = b[:len(b)-len(rest)]
	}
	return layOut(b, v, err)
}

// layOut makes the fields of b, whose verdict is err.
func layOut(b []byte, v packet.Version, err error) Packet {
	c := &cursor{b: b, end: len(b), group: FixedHeader, version: v}
	out := Packet{Version: v, Bytes: b, Err: err}
	if len(b) == 0 {
		return out
	}
	out.Type = packet.Type(b[0] >> 4)
	c.firstByte(out.Type)
	c.remainingLength()
	c.group = VariableHeader
	c.body(out.Type, b[0]&0x0f)
	if c.at < len(b) {
		c.giveUp("bytes behind the last field")
	}
	out.Fields, out.Version = c.fields, c.version
	return out
}

func (c *cursor) firstByte(t packet.Type) {
	if t == packet.PUBLISH {
		c.flags("type and flags", Bit{Mask: 0xf0, Name: "type", Note: t.String()}, Bit{Mask: 0x08, Name: "dup"},
			Bit{Mask: 0x06, Name: "qos", Note: qosNote(c.b[0] >> 1 & 3)}, Bit{Mask: 0x01, Name: "retain"})
		return
	}
	c.flags("type and flags", Bit{Mask: 0xf0, Name: "type", Note: t.String()}, Bit{Mask: 0x0f, Name: "flags", Note: "reserved"})
}

func (c *cursor) remainingLength() {
	n, ok := c.varint("remaining length")
	if !ok {
		return
	}
	f := &c.fields[len(c.fields)-1]
	f.Note = "bytes behind this field"
	if n > c.left() {
		f.Note = fmt.Sprintf("bytes behind this field; %d of them are missing", n-c.left())
	} else {
		c.end = c.at + n
	}
}

// body is everything behind the fixed header.
func (c *cursor) body(t packet.Type, flags uint8) {
	switch t {
	case packet.CONNECT:
		c.connect()
	case packet.CONNACK:
		c.connack()
	case packet.PUBLISH:
		c.publish(flags)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		c.ack(t)
	case packet.SUBSCRIBE:
		c.subscribe()
	case packet.SUBACK:
		c.codes(t, true)
	case packet.UNSUBSCRIBE:
		c.unsubscribe()
	case packet.UNSUBACK:
		c.codes(t, c.version == packet.V5)
	case packet.DISCONNECT, packet.AUTH:
		c.outcome(t)
	}
}

func (c *cursor) publish(flags uint8) {
	c.field("topic name", Text)
	if flags&0x06 != 0 {
		c.id()
	}
	c.properties(packet.PUBLISH)
	c.group = Payload
	c.rest("application message", Data)
}

// ack is PUBACK, PUBREC, PUBREL or PUBCOMP; 5.0 leaves out what says nothing
// [v5 3.4.2.1].
func (c *cursor) ack(t packet.Type) {
	c.id()
	if c.version == packet.V5 {
		c.outcome(t)
	}
}

// outcome is a reason code with properties, either of which may be left out.
func (c *cursor) outcome(t packet.Type) {
	if c.left() == 0 || c.version != packet.V5 {
		return
	}
	c.noted("reason code", 1, reasonNote)
	if c.left() > 0 {
		c.properties(t)
	}
}

func (c *cursor) connack() {
	if c.version == packet.V31 { // it has no flags here (MQTT 3.1, section 3.2)
		c.flags("reserved", Bit{Mask: 0xff, Name: "reserved"})
	} else {
		c.flags("connect acknowledge flags", Bit{Mask: 0xfe, Name: "reserved"}, Bit{Mask: 0x01, Name: "session present"})
	}
	// A server that does not know 5.0 refuses in its own words [v3.1.1 3.2.2.3].
	if c.version == packet.V5 && !(c.left() == 1 && c.b[c.at] == 1) {
		c.noted("reason code", 1, reasonNote)
		c.properties(packet.CONNACK)
		return
	}
	c.noted("return code", 1, returnNote)
}

// codes is SUBACK and UNSUBACK; below 5.0 the latter has no codes.
func (c *cursor) codes(t packet.Type, any bool) {
	c.id()
	c.properties(t)
	c.group = Payload
	for any && c.left() > 0 {
		c.noted("reason code", 1, grantNote(t))
	}
}

func reasonNote(v uint32) string { return packet.ReasonCode(v).String() }

// grantNote tells the success of a SUBACK, which grants QoS 0, from others.
func grantNote(t packet.Type) func(uint32) string {
	return func(v uint32) string {
		if v == 0 && t == packet.SUBACK {
			return "granted qos 0"
		}
		return reasonNote(v)
	}
}

var returnNotes = [...]string{"connection accepted", "unacceptable protocol version", "identifier rejected",
	"server unavailable", "bad user name or password", "not authorized"}

func returnNote(v uint32) string {
	if int(v) < len(returnNotes) {
		return returnNotes[v]
	}
	return "reserved"
}

func qosNote(v uint8) string {
	return [...]string{"at most once", "at least once", "exactly once", "not allowed"}[v&3]
}
