// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"encoding/binary"

	"emqttd/protocol/packet"
)

// decoder is a cursor over one whole body. The first fault sticks and empties
// the cursor: whatever is read after it is zero, so that the steps of a packet
// can be written down one after another and the fault looked at once.
type decoder struct {
	b       []byte // what is left of the body
	fault   packet.Fault
	version packet.Version // connect sets it
	level   uint8          // protocol level byte of CONNECT
	role    Role
}

// packet decodes the body of h. Its result is worthless when d.fault is set.
func (d *decoder) packet(h header, slab *Slab) packet.Packet {
	switch t := h.packetType(); t {
	case packet.PUBLISH:
		return d.publish(h.first&0x0f, slab.publish())
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return d.ack(t, slab.ack())
	case packet.PINGREQ:
		return pingreq
	case packet.PINGRESP:
		return pingresp
	case packet.CONNECT:
		return d.connect(h)
	case packet.CONNACK:
		return d.connack()
	case packet.SUBSCRIBE:
		return d.subscribe()
	case packet.SUBACK:
		return d.suback()
	case packet.UNSUBSCRIBE:
		return d.unsubscribe()
	case packet.UNSUBACK:
		return d.unsuback()
	case packet.DISCONNECT:
		return d.disconnect()
	}
	return d.auth() // RESERVED never gets past its first byte
}

// They hold nothing, so one of each serves everybody.
var (
	pingreq  = &packet.Pingreq{}
	pingresp = &packet.Pingresp{}
)

func (d *decoder) fail(f packet.Fault) {
	if d.fault == packet.FaultNone {
		d.fault = f
	}
	d.b = nil
}

// err is the fault as Parse returns it.
func (d *decoder) err(h header) error {
	return &Error{Fault: d.fault, Type: h.packetType(), Version: d.version, Level: d.level}
}

// end checks that nothing is left.
func (d *decoder) end() {
	if len(d.b) != 0 {
		d.fail(packet.FaultTrailing)
	}
}

func (d *decoder) u8() uint8 {
	if len(d.b) < 1 {
		d.fail(packet.FaultTruncated)
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) u16() uint16 {
	if len(d.b) < 2 {
		d.fail(packet.FaultTruncated)
		return 0
	}
	v := binary.BigEndian.Uint16(d.b)
	d.b = d.b[2:]
	return v
}

func (d *decoder) u32() uint32 {
	if len(d.b) < 4 {
		d.fail(packet.FaultTruncated)
		return 0
	}
	v := binary.BigEndian.Uint32(d.b)
	d.b = d.b[4:]
	return v
}

// varint is a variable byte integer, in its shortest form only
// [v5 MQTT-1.5.5-1].
func (d *decoder) varint() uint32 {
	var v uint32
	for i := range 4 {
		if i == len(d.b) {
			d.fail(packet.FaultTruncated)
			return 0
		}
		b := d.b[i]
		v |= uint32(b&0x7f) << (7 * i)
		if b&0x80 != 0 {
			continue
		}
		if b == 0 && i > 0 {
			break
		}
		d.b = d.b[i+1:]
		return v
	}
	d.fail(packet.FaultVarint)
	return 0
}

// id is a packet identifier, which is never 0 [v3.1.1 MQTT-2.3.1-1,
// v5 MQTT-2.2.1-3].
func (d *decoder) id() packet.ID {
	id := packet.ID(d.u16())
	if id == 0 {
		d.fail(packet.FaultPacketIDZero)
	}
	return id
}

// field is a two byte length and as many bytes; it aliases the body.
func (d *decoder) field() []byte {
	n := int(d.u16())
	if n > len(d.b) {
		d.fail(packet.FaultTruncated)
		return nil
	}
	f := d.b[:n:n]
	d.b = d.b[n:]
	return f
}

// text is a UTF-8 encoded string that aliases the body.
func (d *decoder) text() []byte {
	f := d.field()
	if !packet.ValidText(f) {
		d.fail(packet.FaultString)
		return nil
	}
	return f
}

// str is a UTF-8 encoded string, copied.
func (d *decoder) str() string { return string(d.text()) }

// binary is binary data, copied; never nil, so that empty is not absent.
func (d *decoder) binary() []byte {
	f := d.field()
	return append(make([]byte, 0, len(f)), f...)
}
