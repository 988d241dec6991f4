// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"fmt"
	"net/http"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
)

// wire appends bytes that need no frame: HTTP, and frames themselves.
func (c *Conn) wire(b []byte) {
	c.tappedFrames(false, b)
	if c.secure != nil {
		out, err := c.secure.AppendEncrypted(c.wireBytes(), b)
		c.encrypted(out)
		if err != nil {
			c.fail(metrics.CloseInternal, err.Error())
		}
	} else {
		c.buffers().append(c.loop, b)
	}
	c.touch()
}

// flush frames and encrypts what the turn has brought, and writes.
func (c *Conn) flush() {
	c.wrap()
	if p := c.parting(); p != nil && !c.paused { // paused: there are packets to be handled yet
		c.finish(p.reason, p.detail)
	}
	if !c.blocked {
		c.write()
	}
	if c.layer == dead {
		return
	}
	c.pressure()
	if c.closing && c.bufs == nil {
		c.linger()
		return
	}
	c.interest()
}

// wrap makes one WebSocket message, and as few TLS records as it takes, of the
// turn's MQTT bytes.
func (c *Conn) wrap() {
	if c.bufs == nil || len(c.bufs.turn) == 0 {
		return
	}
	turn := c.bufs.turn
	b := turn
	if c.ws != nil {
		if c.parting() == nil {
			c.loop.frame = c.ws.AppendMessage(c.loop.frame[:0], b)
		} else { // its close frame is not written yet
			c.loop.frame = c.ws.AppendLast(c.loop.frame[:0], b)
		}
		b = c.loop.frame
	}
	c.loop.giveBack(turn)
	c.bufs.turn = nil
	if len(b) > 0 {
		c.wire(b)
		c.dirty = false
		c.loop.undirty(c)
	}
}

// undirty takes back the touch that wire made for a connection that is being
// flushed.
func (l *Loop) undirty(c *Conn) {
	if n := len(l.dirty); n > 0 && l.dirty[n-1] == c {
		l.dirty = l.dirty[:n-1]
	}
}

func (c *Conn) write() {
	w := c.bufs
	if w == nil {
		return
	}
	for w.off < len(w.out) {
		n, err := c.sock.write(w.out[w.off:])
		c.loop.opts.Env.Metrics.BytesSent.Add(int64(n))
		w.off += n
		c.base.BytesOut += int64(n)
		if err != nil {
			c.end(metrics.ClosePeer, err)
			return
		}
		if n == 0 {
			c.blocked = true
			c.arm(c.loop.opts.Bounds.Load().WriteTimeout)
			break
		}
	}
	w.settle(c.loop)
	c.base.Pending.Store(int64(len(w.out) - w.off + len(w.turn)))
	if w.out == nil && len(w.turn) == 0 {
		c.loop.giveBack(w.turn)
		w.turn, c.bufs = nil, nil
		c.loop.idleBuffers(w)
	}
}

// writable is told that the socket takes bytes again.
func (c *Conn) writable() {
	if !c.blocked {
		return
	}
	c.blocked = false
	if c.layer == inMQTT && c.deadline != nil {
		c.deadline.Clear() // and kept: it will be blocked again
	}
	c.touch()
}

// pressure stops and resumes reading by the out-buffer's marks, and tells who
// waits for it to drain.
func (c *Conn) pressure() {
	lim := c.loop.opts.Env.Limits()
	n := c.base.Pending.Load()
	switch {
	case n >= lim.OutHigh:
		c.full = true
	case n <= lim.OutLow:
		c.full = false
		if c.notify && c.layer == inMQTT {
			c.notify = false
			c.base.Client.Push(&cast.Drained{})
		}
	}
}

// finish closes the connection once everything is written.
func (c *Conn) finish(reason metrics.Close, detail string) {
	if c.closing || c.layer == dead || c.layer == lingering {
		return
	}
	c.wrap()
	if p := c.parting(); p != nil {
		c.wire(p.frames)
	}
	if c.layer == dead {
		return // nothing could be encrypted any more
	}
	if c.ws != nil && !c.ws.Closed() {
		c.loop.frame = c.ws.AppendClose(c.loop.frame[:0], wsCode(reason), "")
		c.wire(c.loop.frame)
	}
	if c.secure != nil {
		c.encrypted(c.secure.AppendClose(c.wireBytes()))
	}
	c.closing, c.reason = true, reason
	c.because(detail)
	if c.blocked { // else the turn's end writes, and arms if that is not enough
		c.arm(c.loop.opts.Bounds.Load().WriteTimeout)
	}
	c.touch()
}

// wsCode is the close code of a reason [RFC 6455 7.4.1].
func wsCode(reason metrics.Close) int {
	switch reason {
	case metrics.CloseFault, metrics.CloseRefused:
		return 1002
	case metrics.CloseShutdown:
		return 1001
	case metrics.CloseInternal, metrics.ClosePoison:
		return 1011
	}
	return 1000
}

// fail closes the connection because of a fault that its actors cannot answer.
func (c *Conn) fail(reason metrics.Close, detail string) {
	c.because(detail)
	c.end(reason, nil)
}

// lingerTime is how long a closed connection may take to read our last words.
// A socket closed with unread bytes in it sends RST, which takes them away.
const lingerTime = 2 * time.Second

// linger ends our half and waits for the peer's. It does not wait behind a
// DISCONNECT: the client must not send anything after it [v3.1.1 MQTT-3.14.4-2, v5
// MQTT-3.14.4-2], and a socket with nothing unread in it closes without a RST.
// WebSocket and TLS have last words of their own, which the peer may answer.
func (c *Conn) linger() {
	if c.layer == lingering {
		return
	}
	c.tell(c.reason, nil)
	c.layer = lingering
	if c.over {
		c.drop()
		return
	}
	if c.reason == metrics.CloseNormal && c.reading && c.ws == nil && c.secure == nil {
		c.sock.settle()
		c.drop()
		return
	}
	c.loop.uncount(c)
	c.sock.shutdown()
	c.interest()
	c.arm(lingerTime)
}

// gone is told that the peer has closed (nil), or what broke the connection. What
// came before is handled first: by the actors since Closed travels behind it, in a
// TLS handshake once the pool has come to it.
func (c *Conn) gone(err error) {
	if c.layer == inTLS && c.door.handsh != nil && !c.closing && c.door.handsh.End() {
		c.over = true
		c.sock.deaf()
		return
	}
	c.end(metrics.ClosePeer, err)
}

// end closes the connection at once: it is gone, or cannot be talked to.
func (c *Conn) end(reason metrics.Close, err error) {
	if c.layer == dead {
		return
	}
	if c.layer != lingering {
		if c.closing {
			reason = c.reason
		}
		c.tell(reason, err)
	}
	c.drop()
}

// tell says to the actors, or to the log if there are none, that the connection
// is over.
func (c *Conn) tell(reason metrics.Close, err error) {
	l := c.loop
	l.opts.Env.Metrics.Closed[reason].Add(1)
	if e := l.opts.Log.Debug(); e.Enabled() {
		e.Str("conn", c.base.Name()).Stringer("peer", c.base.Peer).Stringer("reason", reason).Str("detail", c.why()).
			AnErr("error", err).Msg("connection closed")
	}
	if d := c.door; d != nil && d.handsh != nil {
		d.handsh.Cancel()
		d.handsh = nil
	}
	for _, t := range c.base.Taps() {
		t.Closed(reason)
	}
	if c.layer == inMQTT {
		c.base.Loop.Push(&cast.Closed{Reason: reason, Err: err})
	}
}

// drop lets the socket go.
func (c *Conn) drop() {
	if c.layer == dead {
		return
	}
	if c.layer != lingering {
		if c.layer == inMQTT {
			c.base.Loop.Push(&cast.Closed{Reason: metrics.CloseShutdown})
		}
	}
	c.layer = dead
	c.disarm()
	c.sock.close()
	if w := c.bufs; w != nil {
		c.loop.giveBack(w.out)
		c.loop.giveBack(w.turn)
		c.bufs = nil // and not handed on: a write may be under way that found the peer gone
	}
	c.door = nil
	c.base.Pending.Store(0)
	c.loop.remove(c)
}

// Respond answers a plain HTTP request with text and closes. On the loop.
func (c *Conn) Respond(status int, text string) {
	if c.layer == dead || c.layer == lingering {
		return
	}
	c.layer = inHTTP
	c.wire(fmt.Appendf(c.loop.frame[:0], "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(text), text))
	c.finish(metrics.CloseHTTP, "")
}
