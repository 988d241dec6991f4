// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"runtime/debug"
	"sync"
)

const (
	recordHeader    = 5 // bytes: type, version, length
	recordHandshake = 22
)

// Handshake is a connection from its first byte until TLS is agreed on. Its
// methods belong to the loop; the work is done on the pool's goroutine.
//
//	h := NewHandshake(server, pool, limit, wake)
//	on bytes from the socket:  err = h.Feed(in)
//	when woken, and after an error: out = h.Output(out), flush
//	                           if s, err, ok := h.Done(); ok ...
//	on the end of the stream:  h.End()
//	on deadline or close:      h.Cancel()
//
// The deadline is the caller's, and so is what is held: see Waiting.
type Handshake struct {
	server *Server
	pool   *Pool
	limit  int // bytes that it may take
	wake   func()
	wire   *wire
	conn   *tls.Conn // nil until the ClientHello is there

	mu    sync.Mutex // for what follows
	in    []byte     // fed, not yet read by crypto/tls
	out   []byte     // written by crypto/tls, not yet taken by Output
	taken int        // bytes, by crypto/tls
	hold  bool       // the caller feeds nothing more until it is woken
	eof   bool       // the peer sends nothing more
	done  bool
	err   error // how it ended, when done

	arrived chan struct{} // a token when in got more
	quit    chan struct{} // closed by Cancel
	ended   bool          // Cancel was called, or Feed failed: the loop's own note
}

// NewHandshake begins a connection whose handshake may take limit bytes: it needs 2
// KB, with client certificates rarely more than 16 KB. wake is called on another
// goroutine when there is output to flush, when what was fed is taken (see Waiting)
// or the handshake is done; it must not block, and posts to the loop.
func NewHandshake(server *Server, pool *Pool, limit int, wake func()) *Handshake {
	return &Handshake{server: server, pool: pool, limit: limit, wake: wake}
}

// Feed takes the bytes of one socket read; it copies what it keeps. An error,
// always an *Error, ends the connection: what does not speak TLS is refused
// with its first byte, and too many open handshakes with the whole ClientHello.
// Only a failed handshake is reported by Done instead.
func (h *Handshake) Feed(in []byte) error {
	if len(in) == 0 || h.ended {
		return nil
	}
	h.mu.Lock()
	h.in = append(h.in, in...)
	begun := h.in
	h.mu.Unlock()
	if h.conn != nil {
		h.signal()
		return nil
	}
	if begun[0] != recordHandshake {
		return h.notTLS(begun)
	}
	if !helloComplete(begun) {
		if len(begun) > h.limit {
			h.ended = true
			return errTooLarge
		}
		return nil
	}
	h.wire = &wire{hs: h}
	h.conn = tls.Server(h.wire, h.server.current.Load())
	h.arrived, h.quit = make(chan struct{}, 1), make(chan struct{})
	if !h.pool.start(h) {
		h.ended = true
		return errBusy
	}
	return nil
}

// End says that the peer sends nothing more. It reports whether the handshake goes
// on with what it was fed, and is done soon: its last message and all that the
// peer had to say may be there, and the pool not have come to it.
func (h *Handshake) End() bool {
	if h.conn == nil || h.ended {
		return false
	}
	h.mu.Lock()
	h.eof = true
	h.mu.Unlock()
	h.signal()
	return true
}

// helloComplete says whether b holds its first record whole, which nearly
// always is the ClientHello. A length no record can have is left to crypto/tls,
// which has the alert for it.
func helloComplete(b []byte) bool {
	const maxRecord = 16<<10 + 256
	if len(b) < recordHeader {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	return len(b) >= recordHeader+n || n > maxRecord
}

// notTLS words the refusal of a first byte that begins no TLS record.
func (h *Handshake) notTLS(b []byte) error {
	h.ended = true
	switch c := b[0]; {
	case c == 0x10:
		return &Error{Label: "plain_mqtt", Sentence: "the client speaks MQTT without TLS on a TLS port"}
	case c >= 'A' && c <= 'Z':
		const body = "Bad Request\nThis port speaks TLS: use https:// or wss:// here.\n"
		h.out = append(h.out, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"+body...)
		return &Error{Label: "plain_http", Sentence: "the client speaks HTTP without TLS on a TLS port"}
	}
	return &Error{Label: "not_tls", Sentence: "the first byte begins no TLS record"}
}

// Output appends what is due to the peer to out.
func (h *Handshake) Output(out []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	out, h.out = append(out, h.out...), nil
	return out
}

// Waiting reports whether more bytes wait to be taken than a handshake may take: a
// client need not wait for our last word before it says what the connection is for
// [RFC 8446 2], and may say it before the pool has come to its first. Then the
// caller feeds nothing more until it is woken, by which time they are taken or the
// handshake is done.
func (h *Handshake) Waiting() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = len(h.in) > h.limit && !h.done
	return h.hold
}

// Done says how the handshake ended, ok once it has. On success the Session
// takes over, and may hold bytes already: call its Feed at once, with nothing.
// On error, an *Error, the alert is in the output.
func (h *Handshake) Done() (s *Session, err error, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.done || h.err != nil {
		return nil, h.err, h.done
	}
	h.wire.hs = nil
	s = &Session{conn: h.conn, wire: h.wire, rest: h.in, info: newInfo(h.conn.ConnectionState())}
	h.in = nil
	return s, nil, true
}

// Cancel ends the handshake; wake is not called for it any more, except by a
// call that is under way already.
func (h *Handshake) Cancel() {
	if !h.ended && h.quit != nil {
		close(h.quit)
	}
	h.ended = true
}

// run is the pool's goroutine.
func (h *Handshake) run() (err error) {
	if !h.pool.compute(h.quit) {
		return errCanceled
	}
	h.wire.computing = true
	defer func() {
		if p := recover(); p != nil { // library boundary: costs this connection only
			err = &Error{Label: "panic", Sentence: "crypto/tls or a certificate callback panicked", Panic: p, Stack: debug.Stack()}
		}
		if h.wire.computing {
			h.pool.rest()
		}
	}()
	return classify(h.conn.Handshake())
}

func (h *Handshake) finish(err error) {
	h.mu.Lock()
	h.done, h.err = true, err
	h.mu.Unlock()
	h.notify()
}

func (h *Handshake) notify() {
	select {
	case <-h.quit:
	default:
		h.wake()
	}
}

func (h *Handshake) signal() {
	select {
	case h.arrived <- struct{}{}:
	default:
	}
}

// take moves fed bytes to b; wake: the caller has something to do while we wait.
// Whoever asks for more has used what was taken before, all of it for the handshake.
func (h *Handshake) take(b []byte) (n int, wake bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.taken > h.limit {
		return 0, false, errTooLarge
	}
	n = copy(b, h.in)
	h.taken += n
	if h.in = h.in[n:]; len(h.in) == 0 {
		h.in = nil
	}
	if n == 0 && h.eof {
		err = io.EOF
	}
	return n, len(h.out) > 0 || h.hold, err
}

// read is the net.Conn's Read while the handshake runs: it waits, and does not
// count as computing meanwhile. What has been written is flushed by then.
func (h *Handshake) read(b []byte) (int, error) {
	for {
		n, wake, err := h.take(b)
		if n > 0 || err != nil {
			return n, err
		}
		if wake {
			h.notify()
		}
		h.wire.computing = false
		h.pool.rest()
		select {
		case <-h.arrived:
		case <-h.quit:
			return 0, net.ErrClosed
		}
		if !h.pool.compute(h.quit) {
			return 0, net.ErrClosed
		}
		h.wire.computing = true
	}
}

func (h *Handshake) write(b []byte) {
	h.mu.Lock()
	h.out = append(h.out, b...)
	h.mu.Unlock()
}
