// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"io"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"
)

// gather returns one whole data header or control frame, from in or from what
// earlier calls left over. It returns nil while bytes are missing; those there
// are kept. What can be refused by the bytes there are is refused at once.
func (d *Driver) gather(in []byte) (frame, rest []byte, end *CloseError) {
	if len(d.left) == 0 {
		n, end := d.frameSize(in)
		if end != nil {
			return nil, nil, end
		}
		if len(in) >= n {
			return in[:n], in[n:], nil
		}
		d.left = append([]byte(nil), in...)
		return nil, nil, nil
	}
	for {
		n, end := d.frameSize(d.left)
		if end != nil {
			return nil, nil, end
		}
		if missing := n - len(d.left); missing > 0 {
			if len(in) == 0 {
				return nil, nil, nil
			}
			take := min(missing, len(in))
			d.left, in = append(d.left, in[:take]...), in[take:]
			continue
		}
		frame, d.left = d.left, nil
		return frame, in, nil
	}
}

// frameSize is how many bytes of the frame that b begins with are needed before
// it can be worked on, as far as b tells.
func (d *Driver) frameSize(b []byte) (n int, end *CloseError) {
	if len(b) < 2 {
		return 2, nil
	}
	if text := d.faults(b[0], b[1]); text != "" {
		return 0, d.refuse(websocket.CloseProtocolError, LabelProtocol, text)
	}
	if len(b) >= 10 && b[1]&^maskBit == 127 && b[2]&0x80 != 0 { // [RFC 6455 5.2]: the most significant bit is 0
		return 0, d.refuse(websocket.CloseProtocolError, LabelProtocol, "frame length over 63 bits")
	}
	n = headerSize(b)
	if b[0]&0xf >= opClose {
		n += int(b[1] &^ maskBit)
	}
	return n, nil
}

// faults lists what is wrong with the first two bytes of a frame, in gorilla's
// words where it has some: it is asked for its opinion only on frames that
// pass, because it accepts RSV1 on every frame once compression is agreed on,
// and knows nothing of a message that is being collected.
func (d *Driver) faults(b0, b1 byte) string {
	op, fin := b0&0xf, b0&finBit != 0
	data := op == opText || op == opBinary
	if b0&(rsv1Bit|rsv2Bit|rsv3Bit) == 0 && b1&maskBit != 0 != d.client {
		if (data && !d.inMessage) || (op == opContinuation && d.inMessage) {
			return ""
		}
	}
	var list []string
	add := func(wrong bool, text string) {
		if wrong {
			list = append(list, text)
		}
	}
	add(b0&rsv1Bit != 0 && !(d.deflate && data), "RSV1 set") // [RFC 7692 6]: first frames only
	add(b0&rsv2Bit != 0, "RSV2 set")
	add(b0&rsv3Bit != 0, "RSV3 set")
	switch op {
	case opClose, opPing, opPong:
		add(b1&^maskBit > maxControl, "len > 125 for control")
		add(!fin, "FIN not set on control")
		add(op == opClose && b1&^maskBit == 1, "close frame with half a code") // [RFC 6455 5.5.1]; gorilla lets it pass
	case opText, opBinary:
		add(d.inMessage, "data before FIN")
	case opContinuation:
		add(!d.inMessage, "continuation after FIN")
	default:
		list = append(list, "bad opcode "+strconv.Itoa(int(op)))
	}
	add(b1&maskBit != 0 == d.client, "bad MASK")
	return strings.Join(list, ", ")
}

// control handles one whole control frame. They may come between the fragments
// of a message [RFC 6455 5.4].
func (d *Driver) control(h *header, frame []byte) *CloseError {
	switch h.op {
	case opPing:
		var data [maxControl]byte
		n := copy(data[:], frame[h.size:])
		maskBytes(h.key, data[:n])
		d.sh.out = d.appendControl(d.sh.out, opPong, data[:n])
	case opClose:
		// gorilla checks code and text, and answers; it always ends in an
		// error, so it never asks for more.
		size := len(d.sh.out)
		d.sh.src = frame
		err := d.readClose()
		d.traceWritten(d.sh.out[size:])
		return d.failed(err)
	}
	return nil
}

func (d *Driver) readClose() error {
	if d.payload == nil {
		_, _, err := d.sit().conn.NextReader()
		return err
	}
	_, err := d.payload.Read(nil)
	if err == io.EOF {
		return errDry
	}
	return err
}

// trace shows a header to the hook.
func (d *Driver) trace(out bool, h *header) {
	if d.Trace != nil {
		d.Trace(FrameEvent{Out: out, Fin: h.fin, RSV1: h.rsv1, Opcode: h.op, Masked: h.masked, Key: h.key, Length: h.length})
	}
}

// traceWritten shows the header of each frame in b.
func (d *Driver) traceWritten(b []byte) {
	for d.Trace != nil {
		h := parseHeader(b)
		if h.size == 0 {
			return
		}
		d.trace(true, &h)
		b = b[uint64(h.size)+h.length:]
	}
}
