// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// seat is a connection of gorilla's with the reader it reads through, 570 bytes
// together. Between two messages gorilla knows nothing of a connection: so a
// Driver has a seat only while a message is on its way, and an idle connection has
// none. Those that nobody sits on are the loop's.
//
// One that has agreed on permessage-deflate keeps its seat, since gorilla's
// connections differ by that, and so does a client.
//
// A seat is the net.Conn that gorilla believes in: reads come from the bytes of the
// current step, writes go to the out-buffer of the current call.
type seat struct {
	d      *Driver // who sits; nil: nobody
	conn   *websocket.Conn
	reader bufio.Reader // gorilla's; its buffer is the loop's; empty between calls
}

// maxSeats is how many seats the loop keeps that nobody sits on: only messages that
// arrive in parts need more than one at a time.
const maxSeats = 64

// sit is d's seat.
func (d *Driver) sit() *seat {
	if d.seat == nil {
		sh := d.sh
		if n := len(sh.seats); n > 0 {
			d.seat, sh.seats = sh.seats[n-1], sh.seats[:n-1]
		} else {
			d.seat = newSeat(sh)
		}
		d.seat.d = d
	}
	return d.seat
}

// rise gives the seat back, if no message is on its way. After an error gorilla
// would go on to return it: that seat is nobody's any more.
func (d *Driver) rise() {
	s := d.seat
	switch {
	case s == nil || d.deflate || d.client || d.ended == nil && (d.inMessage || d.need > 0):
		return
	case d.ended == nil && len(d.sh.seats) < maxSeats:
		d.sh.seats = append(d.sh.seats, s)
	}
	s.d, d.seat = nil, nil
}

// bind makes the seat read through the buffer of a loop.
func (s *seat) bind(sh *Shared) {
	s.reader = *sh.reader
	s.reader.Reset(s)
}

// newSeat makes a seat without a handshake: gorilla is told one that nobody hears
// of, since it has no other way to make a server's connection.
func newSeat(sh *Shared) *seat {
	s := &seat{d: &Driver{sh: new(Shared)}}
	s.bind(sh)
	if err := s.upgrade(sh, &anyUpgrader, &anyRequest); err != nil {
		panic("ws: a seat: " + err.Error())
	}
	return s
}

var (
	anyUpgrader = websocket.Upgrader{WriteBufferPool: &sync.Pool{}, CheckOrigin: originChecked}
	anyRequest  = http.Request{Method: http.MethodGet, Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}}
)

// upgrade has gorilla write its 101 and make the connection.
func (s *seat) upgrade(sh *Shared, u *websocket.Upgrader, r *http.Request) (err error) {
	s.conn, err = u.Upgrade(&hijacker{s, sh.writer}, r, nil)
	sh.writer.Reset(nil) // it held on to s
	return err
}

func (s *seat) Read(b []byte) (int, error) {
	sh := s.d.sh
	n := copy(b, sh.src)
	sh.src = sh.src[n:]
	if n == 0 {
		return 0, errDry
	}
	return n, nil
}

// Write never fails: gorilla keeps a write error for ever. The caller bounds
// the out-buffer by not reading a connection that does not drain.
func (s *seat) Write(b []byte) (int, error) {
	s.d.sh.out = append(s.d.sh.out, b...)
	return len(b), nil
}

func (s *seat) Close() error                     { return nil }
func (s *seat) LocalAddr() net.Addr              { return nil }
func (s *seat) RemoteAddr() net.Addr             { return nil }
func (s *seat) SetDeadline(time.Time) error      { return nil }
func (s *seat) SetReadDeadline(time.Time) error  { return nil }
func (s *seat) SetWriteDeadline(time.Time) error { return nil }

// hijacker is the http.ResponseWriter that gorilla takes a connection from.
// Its header and body stay unused: every refusal is made before.
type hijacker struct {
	s      *seat
	writer *bufio.Writer
}

func (h *hijacker) Header() http.Header         { return http.Header{} }
func (h *hijacker) WriteHeader(int)             {}
func (h *hijacker) Write(b []byte) (int, error) { return len(b), nil }

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.s, bufio.NewReadWriter(&h.s.reader, h.writer), nil
}
