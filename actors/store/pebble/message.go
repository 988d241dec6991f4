// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"
	"math"

	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// version is the first byte of every value that may change its form one day.
const version = 1

// Flags of a message; the lowest two bits are its QoS.
const (
	flagRetain     = 1 << 2
	flagProperties = 1 << 3
	flagExpiry     = 1 << 4
	flagTopic      = 1 << 5 // the topic stands in the value; else in the key
	flagsKnown     = 1<<6 - 1
)

// appendMessage appends the value of m: version, flags, deadline if there is
// one, time of acceptance, position, shard, publisher, topic, properties, and
// the payload to the end. Without its topic it is a retained message, whose key
// says it.
func appendMessage(dst []byte, m *message.Message, topic bool) []byte {
	flags := byte(m.QoS & 3)
	if m.Retain {
		flags |= flagRetain
	}
	if !m.Properties.Empty() {
		flags |= flagProperties
	}
	if m.Expiry != 0 {
		flags |= flagExpiry
	}
	if topic {
		flags |= flagTopic
	}
	dst = append(dst, version, flags)
	if m.Expiry != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(m.Expiry))
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.At))
	dst = binary.AppendUvarint(dst, m.ID.Seq)
	dst = binary.AppendUvarint(dst, uint64(m.ID.Shard))
	dst = appendText(dst, m.From)
	if topic {
		dst = appendText(dst, m.Topic)
	}
	if flags&flagProperties != 0 {
		dst = appendProperties(dst, m.Properties)
	}
	return append(dst, m.Payload...)
}

// message reads what appendMessage wrote, to the end of the value; topic is the
// one of the key, when the value has none.
func (d *decoder) message(topic string) *message.Message {
	d.want(d.byte() == version)
	flags := d.byte()
	d.want(flags&^flagsKnown == 0 && flags&3 <= byte(packet.QoS2))
	m := &message.Message{Topic: topic, QoS: packet.QoS(flags & 3), Retain: flags&flagRetain != 0}
	if flags&flagExpiry != 0 {
		m.Expiry = int64(d.uint64())
		d.want(m.Expiry != 0)
	}
	m.At = int64(d.uint64())
	m.ID.Seq = d.uvarint(math.MaxUint64)
	m.ID.Shard = uint16(d.uvarint(math.MaxUint16))
	m.From = d.text()
	if flags&flagTopic != 0 {
		m.Topic = d.text()
	}
	if flags&flagProperties != 0 {
		m.Properties = d.properties()
	}
	m.Payload = clone(d.take(uint64(len(d.b))))
	if d.bad {
		return nil
	}
	return m
}

// deadline is the expiry of a message without reading the rest of it; 0: none.
func (d *decoder) deadline() int64 {
	d.want(d.byte() == version)
	if d.byte()&flagExpiry == 0 {
		return 0
	}
	return int64(d.uint64())
}

// weigh is what a message is charged for, and its deadline, 0 for none, of a value
// with its topic, whose end it goes to without keeping any of it.
func (d *decoder) weigh() (size uint32, deadline int64) {
	d.want(d.byte() == version)
	flags := d.byte()
	d.want(flags&^flagsKnown == 0 && flags&flagTopic != 0)
	if flags&flagExpiry != 0 {
		deadline = int64(d.uint64())
	}
	d.uint64()
	d.uvarint(math.MaxUint64)
	d.uvarint(math.MaxUint16)
	d.take(d.uvarint(math.MaxUint32))
	topic := d.take(d.uvarint(math.MaxUint32))
	if flags&flagProperties != 0 {
		d.properties()
	}
	return uint32(message.SizeOf(len(topic), len(d.take(uint64(len(d.b)))))), deadline
}

// maxProperties bounds what a value may claim to hold: a packet has fewer bytes.
const maxProperties = 1 << 28

// appendProperties appends those present, ascending: how many identifiers, then
// each with its value by its kind; what may repeat comes with its number.
func appendProperties(dst []byte, p *packet.Properties) []byte {
	n := len(dst)
	dst = append(dst, 0)
	for id := range p.IDs() {
		dst[n]++
		dst = append(dst, byte(id))
		switch {
		case id == packet.PropUserProperty:
			dst = binary.AppendUvarint(dst, uint64(len(p.User)))
			for _, u := range p.User {
				dst = appendText(appendText(dst, u.Key), u.Value)
			}
		case id == packet.PropSubscriptionID:
			dst = binary.AppendUvarint(dst, uint64(len(p.SubscriptionIDs)))
			for _, v := range p.SubscriptionIDs {
				dst = binary.AppendUvarint(dst, uint64(v))
			}
		default:
			dst = appendProperty(dst, p, id)
		}
	}
	return dst
}

func appendProperty(dst []byte, p *packet.Properties, id packet.Property) []byte {
	if v := p.Byte(id); v != nil {
		return append(dst, *v)
	}
	if v := p.Uint16(id); v != nil {
		return binary.AppendUvarint(dst, uint64(*v))
	}
	if v := p.Uint32(id); v != nil {
		return binary.AppendUvarint(dst, uint64(*v))
	}
	if v := p.Text(id); v != nil {
		return appendText(dst, *v)
	}
	v := *p.Binary(id)
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}

func (d *decoder) properties() *packet.Properties {
	p := new(packet.Properties)
	last := packet.Property(0)
	for range d.byte() {
		id := packet.Property(d.byte())
		d.want(id > last)
		if d.bad {
			return nil
		}
		last = id
		switch id {
		case packet.PropUserProperty:
			for range d.many() {
				p.User = append(p.User, packet.UserProperty{Key: d.text(), Value: d.text()})
			}
		case packet.PropSubscriptionID:
			for range d.many() {
				p.SubscriptionIDs = append(p.SubscriptionIDs, d.uint32())
			}
		default:
			d.property(p, id)
		}
	}
	d.want(!p.Empty())
	return p
}

// many is how often something repeats: at least once, and each takes a byte.
func (d *decoder) many() uint64 {
	n := d.uvarint(maxProperties)
	d.want(n > 0 && n <= uint64(len(d.b)))
	if d.bad {
		return 0
	}
	return n
}

func (d *decoder) property(p *packet.Properties, id packet.Property) {
	if v := p.Byte(id); v != nil {
		*v = d.byte()
	} else if v := p.Uint16(id); v != nil {
		*v = uint16(d.uvarint(math.MaxUint16))
	} else if v := p.Uint32(id); v != nil {
		*v = d.uint32()
	} else if v := p.Text(id); v != nil {
		*v = d.text()
	} else if v := p.Binary(id); v != nil {
		*v = d.bytes()
	} else {
		d.want(false)
		return
	}
	p.Set(id)
}
