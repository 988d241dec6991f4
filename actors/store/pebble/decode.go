// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"
	"math"
)

// decoder reads a value from its beginning. After the first byte that is missing
// or wrong everything it gives is zero and bad is set; what it gives is a copy.
type decoder struct {
	b     []byte
	bad   bool
	names *names // nil: every string is new
}

// take is the next n bytes, in place.
func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// uvarint is a number in the shortest form that limit allows.
func (d *decoder) uvarint(limit uint64) uint64 {
	if d.bad {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit || n > 1 && d.b[n-1] == 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uint32() uint32 { return uint32(d.uvarint(math.MaxUint32)) }

// want marks the value bad unless ok.
func (d *decoder) want(ok bool) {
	if !ok {
		d.bad, d.b = true, nil
	}
}

func (d *decoder) text() string {
	return d.names.of(d.take(d.uvarint(math.MaxUint32)))
}

// bytes is a copy with no spare capacity; none for none.
func (d *decoder) bytes() []byte { return clone(d.take(d.uvarint(math.MaxUint32))) }

func clone(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// names gives one string for equal bytes as long as they meet in its table:
// messages of one start share topics and client ids, and their memory then.
type names [1024]string

func (n *names) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if n == nil {
		return string(b)
	}
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	slot := &n[h%uint32(len(n))]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}
