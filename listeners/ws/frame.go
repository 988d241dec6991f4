// SPDX-License-Identifier: Apache-2.0

package ws

import "encoding/binary"

const (
	finBit  = 0x80
	rsv1Bit = 0x40
	rsv2Bit = 0x20
	rsv3Bit = 0x10
	maskBit = 0x80

	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	maxHeader  = 14  // bytes: 2, extended length 8, mask 4
	maxControl = 125 // bytes of payload [RFC 6455 5.5]
)

// header is a frame header as read. Its size is 0 while bytes are missing.
type header struct {
	fin, rsv1, masked bool
	op                byte
	size              int    // bytes of the header itself
	length            uint64 // bytes of payload
	key               [4]byte
	shortest          bool // length in the fewest bytes
}

func (h *header) control() bool { return h.op >= opClose }

// headerSize returns how many bytes the header that starts with b needs; b has
// at least 2.
func headerSize(b []byte) int {
	n := 2
	switch b[1] &^ maskBit {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b[1]&maskBit != 0 {
		n += 4
	}
	return n
}

// parseHeader reads the header at the start of b.
func parseHeader(b []byte) (h header) {
	if len(b) < 2 || len(b) < headerSize(b) {
		return h
	}
	h.fin, h.rsv1, h.op = b[0]&finBit != 0, b[0]&rsv1Bit != 0, b[0]&0xf
	h.masked = b[1]&maskBit != 0
	h.length, h.size, h.shortest = uint64(b[1]&^maskBit), 2, true
	switch h.length {
	case 126:
		h.length, h.size = uint64(binary.BigEndian.Uint16(b[2:])), 4
		h.shortest = h.length > 125
	case 127:
		h.length, h.size = binary.BigEndian.Uint64(b[2:]), 10
		h.shortest = h.length > 0xffff
	}
	if h.masked {
		h.size += copy(h.key[:], b[h.size:])
	}
	return h
}

// HeaderSize is the number of bytes PutHeader writes for n bytes of payload.
func HeaderSize(n int) int {
	switch {
	case n <= 125:
		return 2
	case n <= 0xffff:
		return 4
	}
	return 10
}

// PutHeader writes the header of a server's binary frame with n bytes of
// payload to the start of b and returns its size, HeaderSize(n). A writer that
// keeps 10 bytes of headroom frames a whole turn in place with it. It knows
// nothing of any connection: the caller must not write behind a close frame,
// see Driver.Closed.
func PutHeader(b []byte, n int) int {
	return len(appendLength(append(b[:0], finBit|opBinary), 0, n))
}

// appendLength appends the second byte of a header, with the mask bit given,
// and the extended length.
func appendLength(b []byte, mask byte, n int) []byte {
	switch HeaderSize(n) {
	case 2:
		return append(b, mask|byte(n))
	case 4:
		return binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
}

// maskBytes applies key to b in place.
func maskBytes(key [4]byte, b []byte) {
	var k [8]byte
	copy(k[copy(k[:], key[:]):], key[:])
	wide := binary.NativeEndian.Uint64(k[:])
	for len(b) >= 8 {
		binary.NativeEndian.PutUint64(b, binary.NativeEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= k[i]
	}
}

// FrameEvent shows a frame header to a trace: the dashboard draws it.
type FrameEvent struct {
	Out    bool // written by us
	Fin    bool
	RSV1   bool // compressed, on the first frame of a message
	Opcode byte
	Masked bool
	Key    [4]byte
	Length uint64 // bytes of payload
}
