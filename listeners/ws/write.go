// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"crypto/rand"

	"github.com/gorilla/websocket"
)

// compressFrom is the size of a message, in bytes, below which deflate gains
// nothing worth its time.
const compressFrom = 256

// AppendMessage appends payload to out as one binary message and returns the
// extended slice. Put all packets that leave in a turn into one message. It is
// compressed if that was agreed on and the payload is worth it. Nothing is
// appended for an empty payload, or behind a close frame.
func (d *Driver) AppendMessage(out, payload []byte) []byte {
	if d.ended != nil {
		return out
	}
	return d.AppendLast(out, payload)
}

// AppendLast is AppendMessage before the close frame that Feed has returned, for
// the answers to what came before the peer's.
func (d *Driver) AppendLast(out, payload []byte) []byte {
	if len(payload) == 0 {
		return out
	}
	size := len(out)
	if d.deflate && len(payload) >= compressFrom {
		out = d.compress(out, payload)
	} else {
		out = d.appendFrame(out, opBinary, payload)
	}
	d.traceWritten(out[size:])
	return out
}

// compress has gorilla deflate payload. A panic in there must not cost more
// than the compression: what it wrote is dropped.
func (d *Driver) compress(out, payload []byte) (extended []byte) {
	sh, size := d.sh, len(out)
	defer func() {
		extended = sh.leave()
		if recover() != nil {
			extended = d.appendFrame(extended[:size], opBinary, payload)
		}
	}()
	sh.enter(d, out)
	if err := d.seat.conn.WriteMessage(websocket.BinaryMessage, payload); err != nil {
		sh.out = d.appendFrame(sh.out[:size], opBinary, payload)
	}
	return nil
}

// Sent tells the trace of a message of n bytes that the caller framed itself
// with PutHeader.
func (d *Driver) Sent(n int) {
	d.trace(true, &header{fin: true, op: opBinary, length: uint64(n)})
}

// appendControl appends one control frame; payload is at most 125 bytes.
func (d *Driver) appendControl(out []byte, op byte, payload []byte) []byte {
	size := len(out)
	out = d.appendFrame(out, op, payload)
	d.traceWritten(out[size:])
	return out
}

// appendFrame appends one unfragmented frame, masked if we are the client
// [RFC 6455 5.3].
func (d *Driver) appendFrame(out []byte, op byte, payload []byte) []byte {
	out = append(out, finBit|op)
	if !d.client {
		return append(appendLength(out, 0, len(payload)), payload...)
	}
	var key [4]byte
	rand.Read(key[:]) // never fails
	out = append(appendLength(out, maskBit, len(payload)), key[:]...)
	out = append(out, payload...)
	maskBytes(key, out[len(out)-len(payload):])
	return out
}
