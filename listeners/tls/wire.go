// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"net"
	"time"
)

// wire is the net.Conn that crypto/tls believes in.
type wire struct {
	hs        *Handshake // set while the handshake runs, on the pool's goroutine
	computing bool       // the handshake holds a token; that goroutine's own note
	src       []byte     // what the current Feed may read; the caller's memory
	out       []byte     // out-buffer of the current call
}

// wouldBlock tells crypto/tls that there is no more now. Temporary is what
// makes it come back with the record as it was; any other error stays.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "tls: no more bytes in this turn" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

func (w *wire) Read(b []byte) (int, error) {
	if w.hs != nil {
		return w.hs.read(b)
	}
	if len(w.src) == 0 {
		return 0, wouldBlock{}
	}
	n := copy(b, w.src)
	w.src = w.src[n:]
	return n, nil
}

// Write never fails: crypto/tls keeps any write error for ever. The caller
// bounds the out-buffer by not reading a connection that does not drain.
func (w *wire) Write(b []byte) (int, error) {
	if w.hs != nil {
		w.hs.write(b)
	} else {
		w.out = append(w.out, b...)
	}
	return len(b), nil
}

func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return nil }
func (w *wire) RemoteAddr() net.Addr             { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
