// SPDX-License-Identifier: Apache-2.0

package dissect

import "emqttd/protocol/packet"

// properties are those of a packet of type place; below 5.0 there are none.
func (c *cursor) properties(place packet.Type) { c.propertiesOf(place, Properties) }

// propertiesOf reads the properties of a place, each as an identifier and its
// value, under the group given.
func (c *cursor) propertiesOf(place packet.Type, group Group) {
	// Behind a cut the cursor stands at the end: there are none to read.
	if c.version != packet.V5 || c.cut() {
		return
	}
	outer := c.group
	defer func() { c.group = outer }()
	c.group = group
	n, ok := c.varint("property length")
	if !ok {
		return
	}
	if n > c.left() {
		c.giveUp("properties, cut off")
		return
	}
	behind := c.end
	c.end = c.at + n
	for c.left() > 0 {
		if !c.property(place) {
			return // the cursor has given up, to the end of the packet
		}
	}
	if !c.cut() {
		c.end = behind
	}
}

// cut reports whether the cursor has given up.
func (c *cursor) cut() bool {
	return len(c.fields) > 0 && c.fields[len(c.fields)-1].Kind == Faulty
}

// property reads one property; false when what follows it cannot be told apart.
func (c *cursor) property(place packet.Type) bool {
	id := packet.Property(c.b[c.at])
	info := id.Info()
	if info == nil {
		c.giveUp("unknown property")
		return false
	}
	_, f := c.take("property", Number, 1)
	f.Value, f.Note = hexByte(uint8(id)), info.Name
	if !info.In(place) {
		f.Note += ", not allowed here"
	}
	c.value(id, info)
	return !c.cut()
}

func (c *cursor) value(id packet.Property, info *packet.PropertyInfo) {
	switch info.Kind {
	case packet.KindByte:
		c.number(info.Name, 1)
	case packet.KindUint16:
		c.number(info.Name, 2)
	case packet.KindUint32:
		c.number(info.Name, 4)
	case packet.KindVarint:
		c.varint(info.Name)
	case packet.KindText:
		c.field(info.Name, Text)
	case packet.KindBinary:
		kind := Binary
		if id == packet.PropAuthData {
			kind = Secret
		}
		c.field(info.Name, kind)
	case packet.KindPair:
		c.field(info.Name+" name", Text)
		c.field(info.Name+" value", Text)
	}
}

func hexByte(b uint8) string {
	const digits = "0123456789abcdef"
	return "0x" + string([]byte{digits[b>>4], digits[b&15]})
}
