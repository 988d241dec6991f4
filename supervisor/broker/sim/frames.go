// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// frames is the client's side of a WebSocket [RFC 6455]: whatever a client is
// free to do with frames, chance decides. The broker's side is the real one.
type frames struct {
	open bool   // the answer to the upgrade was read
	in   []byte // of an unfinished head or frame
}

// request is the upgrade.
const request = "GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

const (
	finBit       = 0x80
	continuation = 0x0
	binaryFrame  = 0x2
	pingFrame    = 0x9
)

// wrap makes frames of a packet: one message, in as many frames as chance wants,
// now and then with a ping between them.
func (*frames) wrap(b []byte, rng *rand.Rand) []byte {
	var out []byte
	op := byte(binaryFrame)
	for {
		n := len(b)
		if rng.IntN(4) == 0 {
			n = rng.IntN(len(b) + 1)
		}
		last := n == len(b)
		first := op
		if last {
			first |= finBit
		}
		out = frame(out, first, b[:n], rng.Uint32())
		if last {
			return out
		}
		b, op = b[n:], continuation
		if rng.IntN(8) == 0 {
			out = frame(out, pingFrame|finBit, []byte("ping"), rng.Uint32())
		}
	}
}

// frame appends one masked frame.
func frame(out []byte, first byte, b []byte, mask uint32) []byte {
	out = append(out, first)
	switch {
	case len(b) < 126:
		out = append(out, 0x80|byte(len(b)))
	case len(b) < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(len(b)))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 0x80|127), uint64(len(b)))
	}
	key := binary.BigEndian.AppendUint32(nil, mask)
	out = append(out, key...)
	for i, c := range b {
		out = append(out, c^key[i%4])
	}
	return out
}

// unwrap is the payload in what was read; pongs and close frames have none that
// counts.
func (f *frames) unwrap(b []byte) []byte {
	f.in = append(f.in, b...)
	if !f.open {
		_, rest, found := bytes.Cut(f.in, []byte("\r\n\r\n"))
		if !found {
			return nil
		}
		f.open, f.in = true, rest
	}
	var out []byte
	for {
		op, payload, n := split(f.in)
		if n == 0 {
			return out
		}
		if op == binaryFrame || op == continuation {
			out = append(out, payload...)
		}
		f.in = f.in[n:]
	}
}

// split takes the first frame off b; n is 0 while it is not whole.
func split(b []byte) (op byte, payload []byte, n int) {
	if len(b) < 2 {
		return 0, nil, 0
	}
	size, head := uint64(b[1]&0x7F), 2
	switch {
	case size == 126 && len(b) >= 4:
		size, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case size == 127 && len(b) >= 10:
		size, head = binary.BigEndian.Uint64(b[2:]), 10
	case size >= 126:
		return 0, nil, 0
	}
	if uint64(len(b)-head) < size {
		return 0, nil, 0
	}
	n = head + int(size)
	return b[0] & 0x0F, b[head:n], n
}
