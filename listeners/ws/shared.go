// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// readerSize is the size of the read buffer that gorilla reads through. It
// must exceed 256, or gorilla allocates one per connection; the rest changes
// nothing, since the buffer is empty again after each step.
const readerSize = 4 << 10

// Shared is what all connections of one loop take turns with, so that none of
// them owns a buffer. It is used by one goroutine at a time.
type Shared struct {
	reader *bufio.Reader // copied into each Driver: its buffer is shared, its state is not
	writer *bufio.Writer // gorilla wants one to write the 101 through
	src    []byte        // what the current step may read; the caller's memory
	out    []byte        // out-buffer of the current call
}

// NewShared makes the scratch memory of one loop.
func NewShared() *Shared {
	return &Shared{
		reader: bufio.NewReaderSize(nil, readerSize),
		writer: bufio.NewWriterSize(io.Discard, 512),
	}
}

// enter points the in-memory connection of d at this call's bytes. A Driver
// may come to another loop between calls: the reader is rebound then, which
// loses nothing, because it is empty between calls.
func (sh *Shared) enter(d *Driver, out []byte) {
	if d.sh != sh {
		d.sh = sh
		d.reader = *sh.reader
		d.reader.Reset((*pipe)(d))
	}
	sh.out = out
}

// leave forgets the caller's memory and returns the out-buffer.
func (sh *Shared) leave() (out []byte) {
	out, sh.src, sh.out = sh.out, nil, nil
	return out
}

// errDry is a step that wanted more bytes than it was given. It means that the
// scanner and gorilla disagree about a frame, and costs the connection.
var errDry = errors.New("ws: frame ran dry")

// pipe is the net.Conn gorilla believes in: reads come from the bytes of the
// current step, writes go to the out-buffer of the current call.
type pipe Driver

func (p *pipe) Read(b []byte) (int, error) {
	n := copy(b, p.sh.src)
	p.sh.src = p.sh.src[n:]
	if n == 0 {
		return 0, errDry
	}
	return n, nil
}

// Write never fails: gorilla keeps a write error for ever. The caller bounds
// the out-buffer by not reading a connection that does not drain.
func (p *pipe) Write(b []byte) (int, error) {
	p.sh.out = append(p.sh.out, b...)
	return len(b), nil
}

func (p *pipe) Close() error                     { return nil }
func (p *pipe) LocalAddr() net.Addr              { return nil }
func (p *pipe) RemoteAddr() net.Addr             { return nil }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// hijacker is the http.ResponseWriter that gorilla takes a connection from.
// Its header and body stay unused: every refusal is made before.
type hijacker Driver

func (h *hijacker) Header() http.Header         { return http.Header{} }
func (h *hijacker) WriteHeader(int)             {}
func (h *hijacker) Write(b []byte) (int, error) { return len(b), nil }

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return (*pipe)(h), bufio.NewReadWriter(&h.reader, h.sh.writer), nil
}
