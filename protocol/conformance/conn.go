// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// maxFrame bounds a packet of the broker, and with it what is buffered.
const maxFrame = 16 << 20

// conn is one connection of a script. It reads only when a step waits, on the
// script's own goroutine.
type conn struct {
	name      string
	nc        net.Conn
	version   packet.Version
	clientID  string     // of the last CONNECT
	connected bool       // CONNACK with code 0 has been seen
	in        []byte     // received, not yet a whole packet
	out       []byte     // queued by "+"
	pending   []received // read ahead by a fence, in order of arrival
	ended     bool       // the socket is closed or its bytes are garbage
	ws        *wsState   // nil on a plain connection
	record    func(Exchange)
	timeout   time.Duration
}

// send writes b behind what is queued. A write error is no verdict: the broker
// may have closed already, which is for the next step to see.
func (c *conn) send(text string, b []byte, opcode byte) {
	c.queue(text, b)
	b, c.out = c.out, nil
	if c.ws != nil {
		b = appendMasked(nil, opcode, b)
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.timeout))
	_, _ = c.nc.Write(b)
}

// queue keeps b for the next send.
func (c *conn) queue(text string, b []byte) {
	c.record(Exchange{Conn: c.name, Sent: true, Text: text, Bytes: clip(b)})
	c.out = append(c.out, b...)
}

func (c *conn) sendPacket(p packet.Packet) error {
	b, err := serializer.Append(nil, p, c.version)
	if err != nil {
		return fmt.Errorf("encode %s: %w", p.Type(), err)
	}
	c.send(p.Type().String(), b, opBinary)
	return nil
}

// next returns what comes next, waiting at most d; ok is false when nothing did.
func (c *conn) next(d time.Duration) (r received, ok bool) {
	if len(c.pending) > 0 {
		r, c.pending = c.pending[0], c.pending[1:]
		return r, true
	}
	return c.read(time.Now().Add(d))
}

// unread puts r back before everything else.
func (c *conn) unread(r received) { c.pending = append([]received{r}, c.pending...) }

// read takes the next packet, or the end, from the socket.
func (c *conn) read(deadline time.Time) (received, bool) {
	_ = c.nc.SetReadDeadline(deadline)
	buf := make([]byte, 32<<10)
	for {
		if r, ok := c.cut(); ok {
			c.note(r)
			return r, true
		}
		if c.ended {
			return received{closed: true}, true
		}
		n, err := c.nc.Read(buf)
		if fault := c.take(buf[:n]); fault != nil {
			r := c.garbage(fault)
			c.note(r)
			return r, true
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return received{}, false
		}
		if err != nil && n == 0 { // end of file or a reset: the broker closed
			c.ended = true
			if _, whole := c.peek(); !whole {
				c.note(received{closed: true})
			}
		}
	}
}

// take appends raw input, through the WebSocket layer where there is one.
func (c *conn) take(b []byte) error {
	if c.ws != nil {
		return c.ws.take(c, b)
	}
	c.in = append(c.in, b...)
	return nil
}

func (c *conn) garbage(fault error) received {
	c.ended = true
	r := received{fault: fault, frame: c.in}
	c.in = nil
	return r
}

// cut takes one whole packet from the front of what was read.
func (c *conn) cut() (received, bool) {
	if c.ws != nil && c.ws.answer != nil {
		r := received{upgraded: c.ws.answer, frame: c.ws.answer.raw}
		c.ws.answer = nil
		return r, true
	}
	n, whole := c.peek()
	switch {
	case n < 0:
		return c.garbage(fmt.Errorf("remaining length longer than four bytes or than %d", maxFrame)), true
	case !whole:
		return received{}, false
	}
	frame := c.in[:n:n]
	c.in = c.in[n:]
	_, pkt, _, err := parser.New(parser.Options{Role: parser.Client, Version: c.version}).Parse(frame, nil)
	if err == nil && pkt == nil {
		err = errors.New("the packet needs more than its remaining length")
	}
	if err != nil {
		c.ended, c.in = true, nil
		return received{fault: err, frame: frame}, true
	}
	if ack, ok := pkt.(*packet.Connack); ok && ack.Code == packet.Success {
		c.connected = true
	}
	return received{pkt: pkt, frame: frame}, true
}

// peek is the length of the packet at the front, -1 when it can be none, and
// whether all of it is there.
func (c *conn) peek() (n int, whole bool) {
	length, shift := 0, 0
	for i := 1; i < len(c.in); i++ {
		length |= int(c.in[i]&0x7f) << shift
		if c.in[i] < 0x80 {
			n = 1 + i + length
			if n > maxFrame {
				return -1, false
			}
			return n, len(c.in) >= n
		}
		if shift += 7; i == 4 {
			return -1, false
		}
	}
	return 0, false
}

func (c *conn) note(r received) {
	c.record(Exchange{Conn: c.name, Text: r.String(), Bytes: clip(r.frame)})
}

func clip(b []byte) []byte { return b[:min(len(b), maxTrace)] }

// fence makes sure that all that the broker sent before now has been read: it
// sends PINGREQ and keeps whatever comes before PINGRESP. On a connection that
// has ended it does nothing.
func (c *conn) fence() error {
	if !c.connected || c.ended {
		return nil
	}
	c.send("PINGREQ (fence)", []byte{0xc0, 0x00}, opBinary)
	deadline := time.Now().Add(c.timeout)
	for {
		r, ok := c.read(deadline)
		if !ok {
			return &failure{"pingresp, to show that nothing else came", "nothing"}
		}
		if _, ping := r.pkt.(*packet.Pingresp); ping {
			return nil
		}
		if c.pending = append(c.pending, r); len(c.pending) > maxExchanges {
			return &failure{"pingresp, to show that nothing else came", "other packets without end"}
		}
		if r.closed || r.fault != nil {
			return nil
		}
	}
}
