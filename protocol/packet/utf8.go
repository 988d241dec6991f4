// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// ValidText reports whether b may stand in a UTF-8 encoded string: well-formed,
// without surrogates [v3.1.1 MQTT-1.5.3-1, v5 MQTT-1.5.4-1] and without U+0000
// [v3.1.1 MQTT-1.5.3-2, v5 MQTT-1.5.4-2]. A byte order mark is text like any
// other [v3.1.1 MQTT-1.5.3-3, v5 MQTT-1.5.4-3]. The 65 535 byte limit is not
// looked at: on the wire it cannot be broken.
//
// Almost every topic is ASCII, so that is tried eight bytes at a time: a word
// without a high bit has a zero byte exactly when w-ones borrows into one.
func ValidText(b []byte) bool {
	if len(b) < 8 {
		for _, c := range b {
			if c-1 >= 0x7f { // 0x00 wraps round
				return validSlow(b)
			}
		}
		return true
	}
	for i := 0; i < len(b)-8; i += 8 {
		if !plain(b[i:]) {
			return validSlow(b[i:])
		}
	}
	// The last word may overlap the one before it: no loop over the tail.
	return plain(b[len(b)-8:]) || validSlow(b)
}

// plain reports whether the first eight bytes of b are ASCII without U+0000.
func plain(b []byte) bool {
	w := binary.LittleEndian.Uint64(b)
	return (w|(w-ones))&highs == 0
}

// validSlow judges what is left from the first word or byte that is not plain.
func validSlow(b []byte) bool {
	return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0
}
