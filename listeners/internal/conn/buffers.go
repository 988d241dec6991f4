// SPDX-License-Identifier: Apache-2.0

package conn

// buffers is what a connection is about to write. It has one while there is
// something; the loop keeps a few for whoever is next.
type buffers struct {
	out  []byte // wire bytes to be written
	off  int    // of out, written already
	turn []byte // MQTT bytes of this turn, to be framed and encrypted
}

// buffers is the connection's, made if it has none.
func (c *Conn) buffers() *buffers {
	if c.bufs == nil {
		c.bufs = c.loop.busyBuffers()
	}
	return c.bufs
}

// wireBytes is what is there to be written, for what appends to it itself and
// gives it to encrypted then.
func (c *Conn) wireBytes() []byte {
	if c.bufs == nil {
		return nil
	}
	return c.bufs.out
}

// encrypted takes wireBytes with something appended. It reports whether there was
// anything.
func (c *Conn) encrypted(out []byte) bool {
	more := len(out) > len(c.wireBytes())
	if more || c.bufs != nil {
		c.buffers().out = out
	}
	return more
}

func (w *buffers) append(l *Loop, b []byte) {
	if w.out == nil {
		w.out = l.buffer()
	}
	w.out = append(w.out, b...)
}

// settle gives back what is written. What a peer does not read goes to a buffer of
// its own size: a slow one holds no more than it owes.
func (w *buffers) settle(l *Loop) {
	left := len(w.out) - w.off
	switch {
	case left == 0:
		l.giveBack(w.out)
		w.out, w.off = nil, 0
	case w.off > 64<<10 || cap(w.out) > 64<<10 && cap(w.out) > 4*left:
		kept := append(make([]byte, 0, left), w.out[w.off:]...)
		l.giveBack(w.out)
		w.out, w.off = kept, 0
	}
}

// maxIdle is how many buffers without bytes the loop keeps: those of a turn that
// writes to many.
const maxIdle = 1024

// busyBuffers is one from those that the loop has kept, the one that was in use
// last, or a new one.
func (l *Loop) busyBuffers() *buffers {
	if n := len(l.idleBufs); n > 0 {
		w := l.idleBufs[n-1]
		l.idleBufs = l.idleBufs[:n-1]
		return w
	}
	return new(buffers)
}

// idleBuffers takes one that is empty again.
func (l *Loop) idleBuffers(w *buffers) {
	if len(l.idleBufs) < maxIdle {
		l.idleBufs = append(l.idleBufs, w)
	}
}
