// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

const (
	pipeRoom = 16 << 10 // bytes per read, a TLS record's worth
	pipeHead = 4 << 10  // in front of them, see receivedBytes
	pipeDial = 10 * time.Second
)

// pipes is the driver that works everywhere and under TLS: a goroutine that
// reads and one that writes per connection, and one channel on which they tell
// the loop. It costs several times what epoll costs.
type pipes struct {
	l      *loop
	events chan pipeEvent
	ended  chan struct{} // closed by shut
	wg     sync.WaitGroup
	timer  *time.Timer
}

// pipe is a connection's stream. The loop owns it, but for what has been handed
// to a goroutine: busy says that the writer has out, an event that the reader
// lent its buffer.
type pipe struct {
	cancel context.CancelFunc
	nc     net.Conn // nil until it is open
	out    []byte
	busy   bool
	work   chan []byte   // loop -> writer; closed by close
	again  chan struct{} // loop -> reader: the buffer is free
}

// pipeEvent is what a goroutine has to say; exactly one of the groups is set.
type pipeEvent struct {
	c *conn
	p *pipe // whose it was: c may have another one by now

	nc      net.Conn // open
	buf     []byte   // n bytes at pipeHead
	n       int
	written bool
	err     error
}

func newPipes(l *loop) *pipes {
	return &pipes{l: l, events: make(chan pipeEvent, 1024), ended: make(chan struct{}), timer: time.NewTimer(time.Hour)}
}

func (d *pipes) tell(e pipeEvent) bool {
	select {
	case d.events <- e:
		return true
	case <-d.ended:
		return false
	}
}

func (d *pipes) dial(c *conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), pipeDial)
	p := &pipe{cancel: cancel, work: make(chan []byte, 1), again: make(chan struct{}, 1)}
	c.pipe, c.state = p, dialling
	source := d.l.target.source(c.source)
	d.wg.Go(func() {
		defer cancel()
		dialer := &net.Dialer{}
		if source.IsValid() {
			dialer.LocalAddr = &net.TCPAddr{IP: source.AsSlice()}
		}
		nc, err := dialer.DialContext(ctx, "tcp", d.l.target.addr.String())
		if err == nil && d.l.target.tls != nil {
			secure := tls.Client(nc, d.l.target.tls)
			if err = secure.HandshakeContext(ctx); err != nil {
				_ = nc.Close() // the handshake's error says more
			}
			nc = secure
		}
		if !d.tell(pipeEvent{c: c, p: p, nc: nc, err: err}) && err == nil {
			_ = nc.Close()
		}
	})
	return nil
}

func (d *pipes) write(c *conn, b []byte) (int, error) {
	p := c.pipe
	if p.busy {
		return 0, nil
	}
	p.busy = true
	p.out = append(p.out[:0], b...)
	p.work <- p.out // has room: the writer is idle
	return len(b), nil
}

// mute keeps the reader's buffer: it waits for it until the connection is closed,
// and so does not see its end before a write fails.
func (d *pipes) mute(c *conn) { c.muted = true }

func (d *pipes) close(c *conn) {
	p := c.pipe
	c.pipe = nil
	p.cancel()
	close(p.work)
	close(p.again)
	if p.nc != nil {
		_ = p.nc.Close()
	}
}

func (d *pipes) shut() {
	close(d.ended)
	d.wg.Wait()
	for { // streams that opened in the last moment
		select {
		case e := <-d.events:
			if e.nc != nil && e.err == nil && e.c.pipe != e.p {
				_ = e.nc.Close()
			}
		default:
			return
		}
	}
}

func (d *pipes) wait(limit time.Duration) error {
	if limit <= 0 {
		d.drain()
		return nil
	}
	d.timer.Reset(limit)
	select {
	case e := <-d.events:
		d.handle(e)
		d.drain()
	case <-d.timer.C:
	}
	return nil
}

// drain handles what is there, but not what comes meanwhile without end.
func (d *pipes) drain() {
	for range cap(d.events) {
		select {
		case e := <-d.events:
			d.handle(e)
		default:
			return
		}
	}
}

func (d *pipes) handle(e pipeEvent) {
	if e.c.pipe != e.p { // closed since
		if e.nc != nil && e.err == nil {
			_ = e.nc.Close()
		}
		return
	}
	switch {
	case e.err != nil:
		e.c.fail(e.err)
	case e.nc != nil:
		e.p.nc = e.nc
		d.wg.Go(func() { d.read(e.c, e.p, e.nc) })
		d.wg.Go(func() { d.writer(e.c, e.p, e.nc) })
		e.c.opened()
	case e.written:
		e.p.busy = false
		if e.c.full {
			e.c.writable()
		}
	default:
		d.l.now = nanos()
		if err := e.c.received(e.buf, pipeHead, e.n); err != nil {
			e.c.fail(err)
		} else if e.c.pipe == e.p && !e.c.muted {
			e.p.again <- struct{}{}
		}
	}
}

func (d *pipes) read(c *conn, p *pipe, nc net.Conn) {
	buf := make([]byte, pipeHead+pipeRoom)
	for {
		n, err := nc.Read(buf[pipeHead:])
		if n > 0 {
			if !d.tell(pipeEvent{c: c, p: p, buf: buf, n: n}) {
				return
			}
			if _, ok := <-p.again; !ok {
				return
			}
		}
		if err != nil {
			d.tell(pipeEvent{c: c, p: p, err: err})
			return
		}
	}
}

func (d *pipes) writer(c *conn, p *pipe, nc net.Conn) {
	for b := range p.work {
		_, err := nc.Write(b)
		if !d.tell(pipeEvent{c: c, p: p, written: err == nil, err: err}) || err != nil {
			return
		}
	}
}
