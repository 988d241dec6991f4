// SPDX-License-Identifier: Apache-2.0

package serializer

import (
	"encoding/binary"
	"slices"

	"emqttd/protocol/packet"
)

// AppendPublish is Append for the packet that matters most.
func AppendPublish(dst []byte, p *packet.Publish, v packet.Version) ([]byte, error) {
	l, err := measurePublish(p, v)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, frameSize(l.remaining))
	dst = append(dst, publishByte(p))
	dst = appendVarint(dst, uint32(l.remaining))
	dst = appendField(dst, p.Topic)
	if p.QoS > packet.QoS0 {
		dst = appendID(dst, p.ID)
	}
	if v == packet.V5 {
		dst = appendProperties(dst, p.Properties, l.props)
	}
	return append(dst, p.Payload...), nil
}

func measurePublish(p *packet.Publish, v packet.Version) (l layout, err error) {
	switch {
	case !v.Valid():
		return l, invalid(packet.PUBLISH, "unknown version")
	case len(p.Topic) > maxField:
		return l, invalid(packet.PUBLISH, "topic too long")
	case p.QoS > packet.QoS2:
		return l, invalid(packet.PUBLISH, "qos 3") // [v3.1.1 MQTT-3.3.1-4, v5 MQTT-3.3.1-4]
	case p.QoS > packet.QoS0 && p.ID == 0:
		return l, invalid(packet.PUBLISH, "packet identifier 0") // [v3.1.1 MQTT-2.3.1-1, v5 MQTT-2.2.1-4]
	case p.QoS == packet.QoS0 && p.Dup && v != packet.V31:
		return l, invalid(packet.PUBLISH, "dup with qos 0") // [v3.1.1 MQTT-3.3.1-2, v5 MQTT-3.3.1-2]
	}
	l.remaining = 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > packet.QoS0 {
		l.remaining += 2
	}
	if v == packet.V5 {
		if l.props, err = measureProperties(p.Properties, packet.PUBLISH); err != nil {
			return l, err
		}
		if len(p.Topic) == 0 && !p.Properties.Has(packet.PropTopicAlias) {
			return l, invalid(packet.PUBLISH, "neither topic nor alias") // [v5 3.3.2.1]
		}
		l.remaining += propertiesSize(l.props, v)
	}
	if l.remaining > packet.MaxRemainingLength {
		return l, ErrTooLarge
	}
	return l, nil
}

func publishByte(p *packet.Publish) byte {
	b := byte(packet.PUBLISH)<<4 | byte(p.QoS)<<1
	if p.Dup {
		b |= 0x08
	}
	if p.Retain {
		b |= 0x01
	}
	return b
}

// PublishID is the offset of the packet identifier in an encoded PUBLISH of
// QoS 1 or 2, two bytes, big endian: one encoding serves many subscribers, each
// of which patches its own identifier into its copy. It is -1 when frame is
// anything else.
func PublishID(frame []byte) int {
	if len(frame) == 0 || frame[0]>>4 != byte(packet.PUBLISH) || frame[0]>>1&3 == 0 {
		return -1
	}
	n := 1 // offset of the topic, behind the remaining length
	for n < len(frame) && n < 5 && frame[n]&0x80 != 0 {
		n++
	}
	n++
	if n+2 > len(frame) {
		return -1
	}
	n += 2 + int(binary.BigEndian.Uint16(frame[n:]))
	if n+2 > len(frame) {
		return -1
	}
	return n
}
