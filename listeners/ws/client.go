// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// closeWait is how long Close tries to get its close frame out.
const closeWait = time.Second

// clientConn is what Dial returns: a Driver in the client's role on a blocking
// connection. Reading goes through Feed, so it survives its deadlines, which
// gorilla's own reading does not.
type clientConn struct {
	raw      net.Conn
	stop     func() bool // ends the watch on Dial's context
	upgraded bool

	reading sync.Mutex
	sh      Shared
	d       Driver
	buf     []byte // what raw.Read gave; buf[r:w] is not fed yet
	r, w    int
	decoded []byte // payload not read yet; its memory is reused
	rest    []byte // tail of decoded
	readErr error  // the connection ended; returned when rest is empty

	writing  sync.Mutex
	frame    []byte // the frame being written; its memory is reused
	writeErr error  // set when a write failed or a close frame went out
}

func (c *clientConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	for len(c.rest) == 0 && len(p) > 0 {
		if c.readErr != nil {
			return 0, c.readErr
		}
		if c.r == c.w {
			if err := c.fill(); err != nil {
				return 0, err
			}
		}
		c.feed()
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// fill reads from the connection below. A deadline leaves everything as it was.
func (c *clientConn) fill() error {
	n, err := c.raw.Read(c.buf)
	c.r, c.w = 0, n
	if n > 0 {
		return nil
	}
	if t, ok := err.(net.Error); !ok || !t.Timeout() {
		c.readErr = err
	}
	return err
}

// feed decodes what fill got and answers pings and the close frame.
func (c *clientConn) feed() {
	var out []byte
	var err error
	c.decoded, out, err = c.d.Feed(&c.sh, c.buf[c.r:c.w], c.decoded[:0], nil)
	c.r, c.rest = c.w, c.decoded
	if len(out) > 0 {
		c.writing.Lock()
		if c.writeErr == nil {
			_, c.writeErr = c.raw.Write(out)
		}
		if c.writeErr == nil && err != nil {
			c.writeErr = net.ErrClosed // a close frame is out
		}
		c.writing.Unlock()
	}
	if end, ok := err.(*CloseError); ok {
		c.readErr = end
		if end.Peer && (end.Code == websocket.CloseNormalClosure || end.Code == websocket.CloseGoingAway || end.Code == websocket.CloseNoStatusReceived) {
			c.readErr = io.EOF
		}
	}
}

func (c *clientConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.writeErr != nil || len(p) == 0 {
		return 0, c.writeErr
	}
	c.frame = c.d.appendFrame(c.frame[:0], opBinary, p)
	_, c.writeErr = c.raw.Write(c.frame)
	if cap(c.frame) > 64<<10 {
		c.frame = nil
	}
	if c.writeErr != nil {
		return 0, c.writeErr
	}
	return len(p), nil
}

// Close sends a close frame, unless a Write is stuck, and closes.
func (c *clientConn) Close() error {
	if c.writing.TryLock() {
		if c.writeErr == nil {
			c.writeErr = net.ErrClosed
			c.raw.SetWriteDeadline(time.Now().Add(closeWait))
			c.raw.Write(c.d.appendFrame(nil, opClose, []byte{websocket.CloseNormalClosure >> 8, websocket.CloseNormalClosure & 0xff}))
		}
		c.writing.Unlock()
	}
	return c.raw.Close()
}

func (c *clientConn) LocalAddr() net.Addr                { return c.raw.LocalAddr() }
func (c *clientConn) RemoteAddr() net.Addr               { return c.raw.RemoteAddr() }
func (c *clientConn) SetDeadline(t time.Time) error      { return c.raw.SetDeadline(t) }
func (c *clientConn) SetReadDeadline(t time.Time) error  { return c.raw.SetReadDeadline(t) }
func (c *clientConn) SetWriteDeadline(t time.Time) error { return c.raw.SetWriteDeadline(t) }

// clientPipe is the net.Conn gorilla believes in: the connection below during
// the upgrade, the bytes of the current step afterwards.
type clientPipe clientConn

// Read gives the upgrade's response byte by byte, so that gorilla's reader
// cannot run ahead into the frames behind it.
func (p *clientPipe) Read(b []byte) (int, error) {
	c := (*clientConn)(p)
	if c.upgraded {
		return c.d.seat.Read(b)
	}
	if c.r == c.w {
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	b[0] = c.buf[c.r]
	c.r++
	return 1, nil
}

func (p *clientPipe) Write(b []byte) (int, error) {
	c := (*clientConn)(p)
	if c.upgraded {
		return c.d.seat.Write(b)
	}
	return c.raw.Write(b)
}

func (p *clientPipe) Close() error                  { return p.raw.Close() }
func (p *clientPipe) LocalAddr() net.Addr           { return p.raw.LocalAddr() }
func (p *clientPipe) RemoteAddr() net.Addr          { return p.raw.RemoteAddr() }
func (p *clientPipe) SetDeadline(t time.Time) error { return (*clientConn)(p).SetDeadline(t) }
func (p *clientPipe) SetReadDeadline(t time.Time) error {
	return (*clientConn)(p).SetReadDeadline(t)
}

// SetWriteDeadline is for the upgrade only: gorilla sets one for each close
// frame it appends, which would be left behind on the connection.
func (p *clientPipe) SetWriteDeadline(t time.Time) error {
	if p.upgraded {
		return nil
	}
	return p.raw.SetWriteDeadline(t)
}
