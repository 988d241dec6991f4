// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"errors"
	"io"
	"net/http"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/listeners/ws"
	"emqttd/supervisor"
)

// open begins a connection on its loop: the outermost layer first.
func (c *Conn) open() {
	l := c.loop
	l.add(c)
	c.reading = true
	c.base.LastRead.Store(l.g.Now())
	c.layer = inProxy
	if c.listener.Proxy != ProxyOff || c.listener.TLS != nil || c.listener.Terms.Load().WS != nil {
		c.door = new(door)
	}
	if c.listener.Proxy == ProxyOff {
		c.unproxied()
		return
	}
	c.arm(c.listener.Terms.Load().ProxyTimeout)
}

// unproxied goes on to the layer inside the PROXY header.
func (c *Conn) unproxied() {
	if c.listener.TLS != nil || c.listener.Terms.Load().WS != nil {
		c.arm(c.loop.opts.Bounds.Load().HandshakeTimeout)
	}
	switch {
	case c.listener.TLS != nil:
		c.layer = inTLS
		if c.door.handsh = newHandshake(c); c.door.handsh == nil {
			c.end(metrics.CloseShutdown, nil)
		}
	default:
		c.decrypted()
	}
}

// decrypted goes on to the layer inside TLS.
func (c *Conn) decrypted() {
	if c.listener.Terms.Load().WS != nil {
		c.layer = inUpgrade
		return
	}
	c.startMQTT()
}

// startMQTT hands the connection to its actors.
func (c *Conn) startMQTT() {
	l := c.loop
	c.layer, c.door = inMQTT, nil
	c.disarm()
	c.base.Socket, c.base.LoopIndex = c, int16(l.index)
	l.opts.Actors(&c.base, c, l.g, c.listener)
	l.sup.Cell().Push(supervisor.Start(&c.base.Protocol, &c.base.Client, &c.base.Loop))
}

// input takes the bytes of one socket read through the layers. b is good until
// the loop reads again.
func (c *Conn) input(b []byte) {
	l := c.loop
	l.opts.Env.Metrics.BytesReceived.Add(int64(len(b)))
	c.base.LastRead.Store(l.g.Now())
	c.base.BytesIn += int64(len(b))
	if c.layer == inProxy {
		b = c.proxy(b)
	}
	if c.layer == inTLS && len(b) > 0 {
		c.handshake(b)
		return
	}
	if c.secure != nil {
		var err error
		var out []byte
		l.plain, out, err = c.secure.Feed(b, l.plain[:0], c.wireBytes())
		c.encrypted(out)
		c.application(l.plain)
		if err != nil {
			c.secureError(err)
		}
		return
	}
	c.application(b)
}

func (c *Conn) secureError(err error) {
	if c.layer == dead || c.layer == lingering {
		return
	}
	c.touch()
	c.loop.drain()
	if errors.Is(err, io.EOF) {
		err = nil
	}
	c.end(metrics.ClosePeer, err)
}

// application takes bytes inside TLS.
func (c *Conn) application(b []byte) {
	for len(b) > 0 {
		switch c.layer {
		case inUpgrade:
			b = c.upgrade(b)
		case inBody:
			c.body(b)
			return
		case inMQTT:
			c.mqtt(b)
			return
		default:
			return
		}
	}
}

// mqtt unframes what is framed and hands one chunk to the parser actor; the
// group runs until the chunk is used up.
func (c *Conn) mqtt(b []byte) {
	l := c.loop
	if c.closing {
		return
	}
	if c.ws == nil {
		c.tapped(true, b)
		c.base.Loop.Push(cast.NewData(b))
		c.use()
		return
	}
	if c.parting() != nil {
		return // a close frame was read: what follows it says nothing
	}
	c.tappedFrames(true, b)
	var err error
	ctl := l.frame[:0]
	l.chunk, ctl, err = c.ws.Feed(l.shared, b, l.chunk[:0], ctl)
	l.frame = ctl
	if len(l.chunk) > 0 {
		c.tapped(true, l.chunk)
		c.base.Loop.Push(cast.NewData(l.chunk))
	}
	if err != nil {
		c.part(err, ctl)
	} else if len(ctl) > 0 { // pongs
		c.wire(ctl)
	}
	c.use()
}

// use lets the actors use up what was read. Those that cannot run, because their
// supervisor has to be started or restarted by another thread, keep the buffers
// that their messages are in, and the loop takes new ones.
func (c *Conn) use() {
	l := c.loop
	l.drain()
	if c.waits() {
		l.read, l.plain, l.chunk = make([]byte, len(l.read)), nil, nil
	}
}

// waits reports whether an actor has not done what it was sent.
func (c *Conn) waits() bool {
	return c.base.Loop.Waits() || c.base.Client.Waits() || c.base.Protocol.Waits()
}

// parting is the end of the WebSocket: it waits until what came before it is
// answered, since nothing may follow a close frame [RFC 6455 5.5.1].
type parting struct {
	frames []byte // pongs and the close frame, not sent yet
	reason metrics.Close
	detail string
}

// part notes the end; the turn's flush performs it, which no crash of an actor
// in between takes away.
func (c *Conn) part(err error, frames []byte) {
	p := &parting{append([]byte(nil), frames...), metrics.ClosePeer, err.Error()}
	c.troubles().parting = p
	var ce *ws.CloseError
	if errors.As(err, &ce) && !ce.Peer {
		p.reason = metrics.CloseFault
		c.loop.opts.Log.Warn().Str("conn", c.base.Name()).Stringer("peer", c.base.Peer).Str("label", string(ce.Label)).
			Int("code", ce.Code).Msg("websocket closed")
	}
	c.touch()
}

// upgrade reads the HTTP request; it returns what lies behind.
func (c *Conn) upgrade(b []byte) []byte {
	l := c.loop
	in := b
	if len(c.door.held) > 0 {
		c.door.held = append(c.door.held, b...)
		in = c.door.held
	}
	if c.ws == nil {
		c.ws = new(ws.Driver)
	}
	res, out := c.listener.Terms.Load().WS.Upgrade(l.shared, c.ws, in, l.frame[:0])
	l.frame = out
	switch res.Outcome {
	case ws.NeedMore:
		if len(c.door.held) == 0 {
			c.door.held = append([]byte(nil), b...)
		}
		return nil
	case ws.Refused:
		c.listener.refused(c, res.Refusal)
		c.wire(out)
		c.ws, c.layer = nil, inHTTP
		c.finish(metrics.CloseHTTP, res.Refusal.Label)
		return nil
	case ws.PlainHTTP:
		c.ws, c.door.request = nil, res.Request
		c.layer = inBody
		c.door.held = nil
		return c.startBody(in[res.Consumed:])
	}
	c.wire(out)
	rest := in[res.Consumed:]
	c.door.held = nil
	c.startMQTT()
	return rest
}

// maxBody bounds the body of a plain HTTP request.
const maxBody = 1 << 20

func (c *Conn) startBody(rest []byte) []byte {
	r := c.door.request
	if r.ContentLength < 0 || r.ContentLength > maxBody || len(r.TransferEncoding) > 0 {
		c.Respond(http.StatusRequestEntityTooLarge, "Request Entity Too Large\nA body needs a Content-Length of at most 1 MiB.\n")
		return nil
	}
	if r.ContentLength == 0 {
		c.body(nil)
		return nil
	}
	return rest
}

func (c *Conn) body(b []byte) {
	c.door.held = append(c.door.held, b...)
	if int64(len(c.door.held)) < c.door.request.ContentLength {
		return
	}
	c.layer = inHTTP
	body := c.door.held[:c.door.request.ContentLength]
	c.door.held = nil
	c.listener.serve(c, c.door.request, body)
}
