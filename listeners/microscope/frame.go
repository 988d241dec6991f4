// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcodes [RFC 6455 5.2].
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

var opNames = map[uint8]string{opContinuation: "continuation", opText: "text", opBinary: "binary",
	opClose: "close", opPing: "ping", opPong: "pong"}

// Frame is a WebSocket frame as it went over the wire.
type Frame struct {
	Out    bool   `json:"out"`    // client -> server
	Offset uint64 `json:"offset"` // of its first byte in what was sent that way, the upgrade included
	Header []byte `json:"header"` // as on the wire
	Fin    bool   `json:"fin"`
	RSV    uint8  `json:"rsv"` // three bits, RSV1 the highest
	Opcode uint8  `json:"opcode"`
	Name   string `json:"name"` // of the opcode
	Masked bool   `json:"masked"`
	// Bare says that there is no frame: these are the bytes of one read or write
	// of a connection without WebSocket.
	Bare    bool   `json:"bare,omitempty"`
	Key     []byte `json:"key,omitempty"`
	Payload []byte `json:"payload"` // unmasked
	// Stream is where the payload begins among the MQTT bytes of its direction;
	// -1 for control frames.
	Stream int64 `json:"stream"`
	// More is where in a packet the payload ends, as any parser sees it.
	More *Continuation `json:"more,omitempty"`
	// Fault says what is wrong with the frame.
	Fault string `json:"fault,omitempty"`
}

// Continuation is what a parser waits for: emqttd's {more, fun}.
type Continuation struct {
	Stage    string `json:"stage"`    // fixed header, remaining length, body
	Buffered int    `json:"buffered"` // bytes of the unfinished packet
	Want     int    `json:"want"`     // bytes wanted before the next step, at least
}

// wire is the frame as bytes.
func (f *Frame) wire() []byte {
	b := append([]byte(nil), f.Header...)
	return append(b, f.masked()...)
}

// masked is the payload as on the wire.
func (f *Frame) masked() []byte {
	out := append([]byte(nil), f.Payload...)
	if f.Masked {
		mask(f.Key, out)
	}
	return out
}

// mask applies a key of four bytes [RFC 6455 5.3].
func mask(key, b []byte) {
	for i := range b {
		b[i] ^= key[i&3]
	}
}

// newFrame is a client's frame.
func newFrame(first uint8, key [4]byte, payload []byte) *Frame {
	f := &Frame{Out: true, Masked: true, Key: key[:], Payload: payload, Header: []byte{first}}
	switch n := len(payload); {
	case n <= 125:
		f.Header = append(f.Header, 0x80|byte(n))
	case n <= 0xffff:
		f.Header = binary.BigEndian.AppendUint16(append(f.Header, 0x80|126), uint16(n))
	default:
		f.Header = binary.BigEndian.AppendUint64(append(f.Header, 0x80|127), uint64(n))
	}
	f.Header = append(f.Header, key[:]...)
	f.first(first)
	return f
}

func (f *Frame) first(b uint8) {
	f.Fin, f.RSV, f.Opcode = b&0x80 != 0, b>>4&7, b&0x0f
	f.Name = opNames[f.Opcode]
	if f.Name == "" {
		f.Name = "reserved"
	}
}

func (f *Frame) control() bool { return f.Opcode >= opClose }

var errFrameTooLarge = errors.New("frame too large")

// readFrame reads the frame at the start of b and says how many bytes it took;
// 0 while bytes are missing. Its payload is a copy.
func readFrame(b []byte, max int) (*Frame, int, error) {
	if len(b) < 2 {
		return nil, 0, nil
	}
	size, length := 2, uint64(b[1]&0x7f)
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	masked := b[1]&0x80 != 0
	if masked {
		size += 4
	}
	if len(b) < size {
		return nil, 0, nil
	}
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		length = binary.BigEndian.Uint64(b[2:])
	}
	if length > uint64(max) {
		return nil, 0, fmt.Errorf("%w: %d bytes, the microscope takes %d", errFrameTooLarge, length, max)
	}
	whole := size + int(length)
	if len(b) < whole {
		return nil, 0, nil
	}
	f := &Frame{Header: append([]byte(nil), b[:size]...), Masked: masked, Payload: append([]byte{}, b[size:whole]...)}
	f.first(b[0])
	if masked {
		f.Key = f.Header[size-4:]
		mask(f.Key, f.Payload)
	}
	f.Fault = f.judge()
	return f, whole, nil
}

// judge says what a server's frame does wrong, in a sentence.
func (f *Frame) judge() string {
	switch {
	case f.Masked:
		return "A server must not mask its frames [RFC 6455 5.1]."
	case f.RSV != 0:
		return "A reserved bit is set, and no extension was agreed upon [RFC 6455 5.2]."
	case f.Name == "reserved":
		return "The opcode is reserved [RFC 6455 5.2]."
	case f.control() && (!f.Fin || len(f.Payload) > 125):
		return "A control frame is never fragmented and holds at most 125 bytes [RFC 6455 5.5]."
	case f.Opcode == opText:
		return "MQTT travels in binary frames, not in text [v3.1.1 MQTT-6.0.0-1, v5 MQTT-6.0.0-1]."
	}
	return ""
}
