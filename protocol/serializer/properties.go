// SPDX-License-Identifier: Apache-2.0

package serializer

import (
	"encoding/binary"
	"fmt"

	"emqttd/protocol/packet"
)

// measureProperties is the size of the properties of a packet of type place, or
// of the will, in bytes, without their length. It checks that each belongs there
// and has a legal value.
func measureProperties(p *packet.Properties, place packet.Type) (n int, err error) {
	if p.Empty() {
		return 0, nil
	}
	for id := range p.IDs() {
		info := id.Info()
		if info == nil || !info.In(place) {
			return 0, fmt.Errorf("%w: %v: %v (0x%02x) does not belong there", ErrInvalid, place, id, uint8(id))
		}
		size, ok := propertySize(p, id, info)
		if !ok || id == packet.PropSubscriptionID && place == packet.SUBSCRIBE && len(p.SubscriptionIDs) > 1 {
			return 0, fmt.Errorf("%w: %v: %v out of range", ErrInvalid, place, id)
		}
		n += size
	}
	// Authentication data says nothing without its method [v5 3.1.2.11.10].
	if p.Has(packet.PropAuthData) && !p.Has(packet.PropAuthMethod) {
		return 0, invalid(place, "authentication data without a method")
	}
	return n, nil
}

// propertySize is the size of one property, identifier included, over all its
// repetitions; not ok when a value is out of its range.
func propertySize(p *packet.Properties, id packet.Property, info *packet.PropertyInfo) (n int, ok bool) {
	inRange := func(v uint32) bool { return v >= info.Min && v <= info.Max }
	switch info.Kind {
	case packet.KindByte:
		return 1 + 1, inRange(uint32(*p.Byte(id)))
	case packet.KindUint16:
		return 1 + 2, inRange(uint32(*p.Uint16(id)))
	case packet.KindUint32:
		return 1 + 4, inRange(*p.Uint32(id))
	case packet.KindVarint:
		for _, v := range p.SubscriptionIDs {
			if !inRange(v) {
				return 0, false
			}
			n += 1 + varintSize(int(v))
		}
		return n, true
	case packet.KindText:
		s := *p.Text(id)
		return 1 + 2 + len(s), len(s) <= maxField
	case packet.KindBinary:
		b := *p.Binary(id)
		return 1 + 2 + len(b), len(b) <= maxField
	}
	for _, u := range p.User { // KindPair
		if len(u.Key) > maxField || len(u.Value) > maxField {
			return 0, false
		}
		n += 1 + 2 + len(u.Key) + 2 + len(u.Value)
	}
	return n, true
}

// propertiesSize is what properties of n bytes take with their length; none
// below 5.0.
func propertiesSize(n int, v packet.Version) int {
	if v != packet.V5 {
		return 0
	}
	return varintSize(n) + n
}

// appendProperties appends properties that measureProperties has measured as n
// bytes, in ascending order of their identifiers, user properties in their own.
func appendProperties(dst []byte, p *packet.Properties, n int) []byte {
	dst = appendVarint(dst, uint32(n))
	if n == 0 {
		return dst
	}
	for id := range p.IDs() {
		dst = appendProperty(dst, p, id)
	}
	return dst
}

func appendProperty(dst []byte, p *packet.Properties, id packet.Property) []byte {
	b := byte(id)
	switch id.Info().Kind {
	case packet.KindByte:
		return append(dst, b, *p.Byte(id))
	case packet.KindUint16:
		return binary.BigEndian.AppendUint16(append(dst, b), *p.Uint16(id))
	case packet.KindUint32:
		return binary.BigEndian.AppendUint32(append(dst, b), *p.Uint32(id))
	case packet.KindVarint:
		for _, v := range p.SubscriptionIDs {
			dst = appendVarint(append(dst, b), v)
		}
		return dst
	case packet.KindText:
		return appendField(append(dst, b), *p.Text(id))
	case packet.KindBinary:
		return appendField(append(dst, b), *p.Binary(id))
	}
	for _, u := range p.User { // KindPair
		dst = appendField(append(dst, b), u.Key)
		dst = appendField(dst, u.Value)
	}
	return dst
}
