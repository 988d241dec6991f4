// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// Options say how a Conn reads and who watches it.
type Options struct {
	// Version is what both sides speak. 0: it is taken from the first CONNECT
	// that passes in either direction; until then 3.1.1 is assumed.
	Version packet.Version
	// Server makes the Conn the server's end: it parses what clients send. Tests
	// script servers with it.
	Server bool
	// MaxPacketSize is the longest packet that Receive accepts, in bytes; 0: the
	// protocol's maximum.
	MaxPacketSize uint32
	// ReadBuffer is how many bytes are read at once; 0: 4096.
	ReadBuffer int
	// WriteTimeout bounds each write; 0: none.
	WriteTimeout time.Duration
	// Tap sees every packet that is sent or received. It may be called from two
	// goroutines at once, one for each direction.
	Tap func(Event)
}

// Event is one packet, or what was received instead of one.
type Event struct {
	Sent   bool
	Packet packet.Packet // nil: raw bytes, or bytes that are no packet
	Bytes  []byte        // as on the wire; valid during the call
	Err    error         // received bytes that are no packet: why
}

// Conn is one end of an MQTT connection: packets instead of bytes. It sends
// what it is given, in any order. Sending and receiving may go on at the same
// time; only one goroutine receives.
type Conn struct {
	nc      net.Conn
	opts    Options
	version atomic.Uint32

	writing sync.Mutex
	scratch []byte // encoded packet of Send, kept for the next

	parser parser.Parser
	buf    []byte // storage of one read
	unread []byte // part of buf not yet parsed
	taken  int    // bytes of the unfinished packet
	wire   []byte // those bytes, kept only for Tap
	broken error  // read error or fault, returned again by every later Receive
}

// New is a Conn over nc, which from then on belongs to it.
func New(nc net.Conn, o Options) *Conn {
	if o.ReadBuffer == 0 {
		o.ReadBuffer = 4096
	}
	c := &Conn{nc: nc, opts: o}
	c.version.Store(uint32(o.Version))
	c.resetParser()
	return c
}

func (c *Conn) resetParser() {
	o := parser.Options{Role: parser.Client, MaxPacketSize: c.opts.MaxPacketSize, Version: c.Version()}
	if c.opts.Server {
		o.Role = parser.Server
	}
	c.parser = parser.New(o)
}

// Version is what is spoken; 0: not known yet.
func (c *Conn) Version() packet.Version { return packet.Version(c.version.Load()) }

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Close closes the connection below.
func (c *Conn) Close() error { return c.nc.Close() }

// Send writes one packet. It returns the serializer's error, with nothing
// written, when p cannot be said in the version spoken.
func (c *Conn) Send(p packet.Packet) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	b, err := c.encode(c.scratch[:0], p)
	if err != nil {
		return err
	}
	if cap(b) <= 64<<10 {
		c.scratch = b
	}
	return c.write(b)
}

// SendRaw writes b as it is.
func (c *Conn) SendRaw(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.opts.Tap != nil {
		c.opts.Tap(Event{Sent: true, Bytes: b})
	}
	return c.write(b)
}

// encode appends p to dst and shows it to the tap.
func (c *Conn) encode(dst []byte, p packet.Packet) ([]byte, error) {
	if m, ok := p.(*packet.Connect); ok && c.Version() == 0 {
		c.version.Store(uint32(m.Version))
	}
	v := c.Version()
	if v == 0 {
		v = packet.V311
	}
	out, err := serializer.Append(dst, p, v)
	if err == nil && c.opts.Tap != nil {
		c.opts.Tap(Event{Sent: true, Packet: p, Bytes: out[len(dst):]})
	}
	return out, err
}

func (c *Conn) write(b []byte) error {
	if c.opts.WriteTimeout > 0 {
		if err := c.nc.SetWriteDeadline(time.Now().Add(c.opts.WriteTimeout)); err != nil {
			return err
		}
	}
	_, err := c.nc.Write(b)
	return err
}

// Receive returns the next packet, which owns its memory. Its errors: that of
// ctx (the Conn stays usable, unless the connection below cannot read on after
// a deadline); io.EOF between two packets and io.ErrUnexpectedEOF within one; a
// *parser.Error; any other of the connection below.
func (c *Conn) Receive(ctx context.Context) (packet.Packet, error) {
	for c.broken == nil {
		if p := c.parse(); p != nil {
			return p, nil
		}
		if c.broken != nil {
			break
		}
		if err := c.fill(ctx); err != nil {
			return nil, err
		}
	}
	return nil, c.broken
}

// parse takes one packet from what has been read; nil: more is needed, or broken.
func (c *Conn) parse() packet.Packet {
	if !c.opts.Server && c.taken == 0 && c.Version() != 0 && c.parser.Version() != c.Version() {
		c.resetParser() // a CONNECT was sent since
	}
	if len(c.unread) == 0 {
		return nil
	}
	next, p, rest, err := c.parser.Parse(c.unread, nil)
	if err != nil {
		c.refuse(err)
		return nil
	}
	n := len(c.unread) - len(rest)
	if c.opts.Tap != nil {
		c.wire = append(c.wire, c.unread[:n]...)
	}
	c.parser, c.unread, c.taken = next, rest, c.taken+n
	if p == nil {
		return nil
	}
	c.own(p)
	c.taken = 0
	if c.opts.Server && c.Version() == 0 {
		c.version.Store(uint32(next.Version()))
	}
	if c.opts.Tap != nil {
		c.opts.Tap(Event{Packet: p, Bytes: c.wire})
		c.wire = c.wire[:0]
	}
	return p
}

func (c *Conn) refuse(err error) {
	c.broken = err
	if c.opts.Tap != nil {
		c.opts.Tap(Event{Bytes: append(c.wire, c.unread...), Err: err})
	}
}

// own copies what aliases the read buffer. A body longer than that buffer was
// gathered by the parser and already belongs to the packet.
func (c *Conn) own(p packet.Packet) {
	m, ok := p.(*packet.Publish)
	if !ok || c.taken > len(c.buf)+maxFixedHeader {
		return
	}
	b := make([]byte, len(m.Topic)+len(m.Payload))
	n := copy(b, m.Topic)
	copy(b[n:], m.Payload)
	m.Topic, m.Payload = b[:n:n], b[n:]
}

const maxFixedHeader = 5 // bytes

// fill reads once. Only an error of ctx is returned; the others break the Conn.
func (c *Conn) fill(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.buf == nil {
		c.buf = make([]byte, c.opts.ReadBuffer)
	}
	n, err := c.read(ctx)
	c.unread = c.buf[:n]
	switch {
	case n > 0 || err == nil:
		return nil // an error that came with bytes comes again
	case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return ctx.Err()
	case errors.Is(err, io.EOF) && c.taken > 0:
		c.broken = io.ErrUnexpectedEOF
	default:
		c.broken = err
	}
	return nil
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// read reads once into buf and gives up when ctx does.
func (c *Conn) read(ctx context.Context) (int, error) {
	if ctx.Done() == nil {
		return c.nc.Read(c.buf)
	}
	moved := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.nc.SetReadDeadline(longAgo) // a closed connection ends the read as well
		close(moved)
	})
	n, err := c.nc.Read(c.buf)
	if !stop() {
		<-moved
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	return n, err
}
