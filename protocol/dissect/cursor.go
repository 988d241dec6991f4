// SPDX-License-Identifier: Apache-2.0

package dissect

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"emqttd/protocol/packet"
)

// cursor walks over the bytes of one packet and writes a field for what it
// passes. When a field is cut off, the rest of the bytes becomes one faulty
// field and the cursor stands at the end: every later step does nothing, so the
// steps of a packet are written down one after another.
type cursor struct {
	b       []byte
	at, end int // end: behind the part that is being read, the packet or its properties
	group   Group
	version packet.Version
	fields  []Field
}

// left is how many bytes the part still has.
func (c *cursor) left() int { return c.end - c.at }

// take makes a field of the next n bytes and returns them; nil when they are
// not all there. The field may be changed until the next take.
func (c *cursor) take(name string, kind Kind, n int) ([]byte, *Field) {
	if n > c.left() {
		c.giveUp(name + ", cut off")
		return nil, nil
	}
	if n == 0 {
		return nil, nil
	}
	c.fields = append(c.fields, Field{Group: c.group, Name: name, Offset: c.at, Length: n, Kind: kind})
	c.at += n
	return c.b[c.at-n : c.at], &c.fields[len(c.fields)-1]
}

// giveUp makes one faulty field of everything up to the end of the packet.
func (c *cursor) giveUp(name string) {
	c.end = len(c.b)
	if c.left() > 0 {
		c.fields = append(c.fields, Field{Group: Unread, Name: name, Offset: c.at, Length: c.left(), Kind: Faulty})
	}
	c.at = c.end
}

// number is an unsigned integer of n bytes, 1, 2 or 4.
func (c *cursor) number(name string, n int) (uint32, *Field) {
	b, f := c.take(name, Number, n)
	if f == nil {
		return 0, nil
	}
	var v uint32
	switch n {
	case 1:
		v = uint32(b[0])
	case 2:
		v = uint32(binary.BigEndian.Uint16(b))
	default:
		v = binary.BigEndian.Uint32(b)
	}
	f.Value = strconv.FormatUint(uint64(v), 10)
	return v, f
}

// noted is number with a note.
func (c *cursor) noted(name string, n int, note func(uint32) string) {
	if v, f := c.number(name, n); f != nil {
		f.Note = note(v)
	}
}

// varint is a variable byte integer [v5 1.5.5]; the remaining length of every
// version is one [v3.1.1 2.2.3].
func (c *cursor) varint(name string) (v int, ok bool) {
	n := 0
	for more := true; more; n++ {
		if n == c.left() || n == 4 {
			c.giveUp(name + ", cut off or too long")
			return 0, false
		}
		b := c.b[c.at+n]
		v |= int(b&0x7f) << (7 * n)
		more = b&0x80 != 0
	}
	_, f := c.take(name, Number, n)
	f.Value = strconv.Itoa(v)
	return v, true
}

// flags is a byte of flags; bits are given high to low.
func (c *cursor) flags(name string, bits ...Bit) (uint8, *Field) {
	b, f := c.take(name, Flags, 1)
	if f == nil {
		return 0, nil
	}
	f.Value = fmt.Sprintf("0x%02x", b[0])
	f.Bits = values(b[0], bits)
	return b[0], f
}

// values fills in what b says about each of bits.
func values(b uint8, bits []Bit) []Bit {
	for i := range bits {
		v, m := b&bits[i].Mask, bits[i].Mask
		for ; m&1 == 0; m >>= 1 {
			v >>= 1
		}
		bits[i].Value = v
	}
	return bits
}

// field is a two byte length and as many bytes: a string or binary data
// [v3.1.1 1.5.3, v5 1.5.4, 1.5.6]. Text of ill-formed UTF-8 is shown as binary.
func (c *cursor) field(name string, kind Kind) []byte {
	n, f := c.number(name+" length", 2)
	if f == nil {
		return nil
	}
	b, f := c.take(name, kind, int(n))
	if f == nil || kind != Text {
		return b
	}
	if packet.ValidText(b) {
		f.Value = string(b)
	} else {
		f.Kind, f.Note = Binary, "not well-formed UTF-8"
	}
	return b
}

// id is a packet identifier.
func (c *cursor) id() { c.number("packet identifier", 2) }

// rest is what fills the packet up to its end, named, or nothing.
func (c *cursor) rest(name string, kind Kind) { c.take(name, kind, c.left()) }
