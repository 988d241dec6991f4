// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"io"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// role is what a connection is for. All calls come from the loop's goroutine;
// what is passed to them lies in the read buffer and is good until they return.
type role interface {
	connected(c *conn)
	published(c *conn, p *publish)
	acked(c *conn, id uint16, code packet.ReasonCode) // PUBACK, PUBCOMP, or a PUBREC that failed
	subscribed(c *conn, codes []byte)
	closed(c *conn, err error)
}

// conn is one MQTT connection to the broker.
type conn struct {
	l       *loop
	role    role
	version packet.Version
	hello   []byte // CONNECT, as it goes out
	source  int    // number of the local address, see target.source; 0: the system's choice

	state   connState
	recvMax int // the broker's Receive Maximum [v5 3.2.2.3.3]

	in    []byte // a packet that is not whole yet
	out   []byte // not yet written
	sent  int    // bytes of out, or of ws.framed, that are written
	dirty bool   // in l.dirty: has something to write when the turn ends
	full  bool   // the driver takes nothing until it says writable
	muted bool   // nothing is read any more
	ws    *webSocket
	raw   func([]byte) error // takes what comes in instead; nil: an MQTT client

	fd, slot int   // of the epoll driver
	pipe     *pipe // of the other
}

type connState uint8

const (
	idle     connState = iota // not dialled, or closed and may be again
	dialling                  // until the stream is open
	greeting                  // WebSocket upgrade or CONNECT is out
	ready                     // CONNACK accepted
)

// maxPacket bounds what a packet of the broker may take while it is not whole.
const maxPacket = 64 << 20

// opened: the stream is there.
func (c *conn) opened() {
	c.state = greeting
	if c.ws == nil {
		c.send(c.hello)
		return
	}
	c.ws.framed = c.ws.request(c.ws.framed[:0], c.l.target.hostPort, c.l.target.path)
	c.touch()
}

// received takes the n bytes at buf[from:]; buf[:from] may be overwritten.
func (c *conn) received(buf []byte, from, n int) error {
	if c.raw != nil {
		return c.raw(buf[from : from+n])
	}
	if c.ws != nil {
		return c.receivedFrames(buf, from, n)
	}
	return c.receivedBytes(buf, from, n)
}

func (c *conn) receivedFrames(buf []byte, from, n int) error {
	if !c.ws.open {
		c.in = append(c.in, buf[from:from+n]...)
		used, err := c.ws.answer(c.in)
		if err != nil || used == 0 {
			return err
		}
		n = copy(buf[from:], c.in[used:]) // no more than came now: the head ended in it
		c.in = c.in[:0]
		c.send(c.hello)
	}
	n, err := c.ws.unframe(buf[from : from+n])
	if len(c.ws.framed) > 0 {
		c.touch()
	}
	return errors.Join(c.receivedBytes(buf, from, n), err)
}

// receivedBytes handles all whole packets and keeps the rest. The beginning of
// a packet that was kept is put in front of its end, in the same buffer.
func (c *conn) receivedBytes(buf []byte, from, n int) error {
	b := buf[from : from+n]
	if kept := len(c.in); kept > 0 {
		if kept <= from {
			b = buf[from-kept : from+n]
			copy(b, c.in)
		} else {
			c.in = append(c.in, b...)
			b = c.in
		}
	}
	for {
		size, header, err := packetSize(b)
		if err != nil {
			return err
		}
		if size > maxPacket {
			return fmt.Errorf("the broker sends a packet of %d bytes", size)
		}
		if size == 0 || size > len(b) {
			break
		}
		if err := c.packet(b[:size], header); err != nil {
			return err
		}
		b = b[size:]
		if c.state == idle {
			return nil // closed by what it was
		}
	}
	c.in = append(c.in[:0], b...)
	return nil
}

func (c *conn) packet(b []byte, header int) error {
	kind := packet.Type(b[0] >> 4)
	if (kind == packet.CONNACK) != (c.state == greeting) && kind != packet.DISCONNECT {
		return fmt.Errorf("the broker sent %v at the wrong time", kind)
	}
	switch kind {
	case packet.PUBLISH:
		return c.publish(b, header)
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return c.ack(kind, b, header)
	case packet.SUBACK:
		_, codes, err := readSuback(b, header, c.version)
		if err == nil {
			c.role.subscribed(c, codes)
		}
		return err
	case packet.CONNACK:
		return c.connack(b)
	case packet.PINGRESP:
		c.l.pongs++
		return nil
	}
	return fmt.Errorf("the broker sent %v % x", kind, b[:min(len(b), 16)])
}

func (c *conn) publish(b []byte, header int) error {
	p := &c.l.message
	if err := readPublish(p, b, header, c.version); err != nil {
		return err
	}
	switch p.qos {
	case 1:
		c.out = appendAck(c.out, packet.PUBACK, p.id)
		c.touch()
	case 2:
		c.out = appendAck(c.out, packet.PUBREC, p.id)
		c.touch()
	}
	c.role.published(c, p)
	return nil
}

func (c *conn) ack(kind packet.Type, b []byte, header int) error {
	id, code, err := readAck(b, header)
	if err != nil {
		return err
	}
	switch {
	case kind == packet.PUBREL:
		c.out = appendAck(c.out, packet.PUBCOMP, id)
		c.touch()
	case kind == packet.PUBREC && !code.Failed():
		c.out = appendAck(c.out, packet.PUBREL, id)
		c.touch()
	default:
		c.role.acked(c, id, code)
	}
	return nil
}

func (c *conn) connack(b []byte) error {
	_, pkt, _, err := parser.New(parser.Options{Role: parser.Client, Version: c.version}).Parse(b, new(parser.Slab))
	if err != nil {
		return err
	}
	m, ok := pkt.(*packet.Connack)
	if !ok {
		return errMalformed
	}
	if m.Code.Failed() {
		return fmt.Errorf("the broker refused CONNECT: %w", m.Code)
	}
	c.recvMax = 65_535
	if m.Properties.Has(packet.PropReceiveMaximum) {
		c.recvMax = int(m.Properties.ReceiveMaximum)
	}
	c.state = ready
	c.role.connected(c)
	return nil
}

// send appends b to what goes out when the turn ends.
func (c *conn) send(b []byte) {
	c.out = append(c.out, b...)
	c.touch()
}

// subscribe sends one SUBSCRIBE.
func (c *conn) subscribe(id packet.ID, qos int, filters ...string) error {
	m := &packet.Subscribe{ID: id}
	for _, f := range filters {
		m.Subscriptions = append(m.Subscriptions, packet.Subscription{Filter: f, QoS: packet.QoS(qos)})
	}
	b, err := serializer.Append(nil, m, c.version)
	if err != nil {
		return err
	}
	c.send(b)
	return nil
}

func (c *conn) touch() {
	if !c.dirty {
		c.dirty = true
		c.l.dirty = append(c.l.dirty, c)
	}
}

// backlog is how many bytes wait to be written.
func (c *conn) backlog() int {
	n := len(c.out)
	if c.ws != nil {
		n += len(c.ws.framed)
	}
	return n - c.sent
}

// flush writes what there is, and remembers what the driver did not take.
func (c *conn) flush() error {
	c.dirty = false
	if c.full || c.state == idle {
		return nil
	}
	if c.ws == nil {
		rest, err := c.write(c.out)
		c.out = rest
		return err
	}
	if c.ws.open && c.sent == 0 && len(c.out) > 0 {
		// All packets of a turn share one message [v3.1.1 MQTT-6.0.0-2, v5 MQTT-6.0.0-2].
		c.ws.framed = c.ws.frame(c.ws.framed, opBinary, c.out)
		c.out = c.out[:0]
	}
	rest, err := c.write(c.ws.framed)
	c.ws.framed = rest
	if err == nil && len(rest) == 0 && len(c.out) > 0 && c.ws.open {
		c.touch() // what waited behind a frame that was cut
	}
	return err
}

// write returns buf while something of it is left, and its room for the next
// turn once it is spent.
func (c *conn) write(buf []byte) ([]byte, error) {
	if c.sent == len(buf) {
		return buf, nil
	}
	n, err := c.l.driver.write(c, buf[c.sent:])
	if err != nil {
		return buf, err
	}
	if c.sent += n; c.sent < len(buf) {
		c.full = true
		return buf, nil
	}
	c.sent = 0
	return buf[:0], nil
}

// writable: the driver takes bytes again.
func (c *conn) writable() {
	c.full = false
	c.touch()
	c.l.onWritable(c)
}

// close ends the connection at once; the role is not told.
func (c *conn) close() {
	if c.state != idle {
		c.l.driver.close(c)
		c.reset()
	}
}

// fail ends it and tells the role why.
func (c *conn) fail(err error) {
	if c.state == idle {
		return
	}
	c.close()
	if errors.Is(err, io.EOF) {
		err = errors.New("the broker closed the connection")
	}
	c.role.closed(c, err)
}

func (c *conn) reset() {
	c.state, c.full, c.muted, c.sent = idle, false, false, 0
	c.in, c.out = nil, nil
	if c.ws != nil {
		c.ws = newWebSocket(c.ws.rng.Uint64())
	}
}
