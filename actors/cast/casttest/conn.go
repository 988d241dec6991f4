// SPDX-License-Identifier: Apache-2.0

// Package casttest holds a connection without a socket: for tests of the actors
// of a connection.
package casttest

import (
	"net/netip"
	"testing"

	"emqttd/actors/cast"
	"emqttd/supervisor/cell"
)

// Conn is a connection whose out-buffer and controls can be looked at. It owns
// its actors as the loop does (cast.Owned).
type Conn struct {
	cast.Conn
	Written  []byte          // what the client actor appended
	Controls []*cast.Control // what was asked of the socket
	Crashes  int
	Aborted  bool
}

// New makes the connection ws:8083/7, whose peer is 127.0.0.1:50000.
func New(testing.TB) *Conn {
	c := &Conn{Conn: cast.Conn{Serial: 7, Peer: netip.MustParseAddrPort("127.0.0.1:50000"),
		Listener: &cast.Listener{Name: "ws:8083", Transport: "ws", Loopback: true, AllowAnonymous: true}}}
	c.Socket = (*socket)(c)
	return c
}

// Owner is what the connection's cells belong to.
func (c *Conn) Owner() cast.Owned { return owner{c} }

type owner struct{ c *Conn }

// Conn implements cast.Owned.
func (o owner) Conn() *cast.Conn { return &o.c.Conn }

// Crashed implements cell.Owner.
func (o owner) Crashed(*cell.Crash) { o.c.Crashes++ }

// Abort implements cell.Owner.
func (o owner) Abort(*cell.Cell, *cell.Crash) { o.c.Aborted = true }

type socket Conn

// Append implements cell.Sink.
func (c *socket) Append(b []byte) { c.Written = append(c.Written, b...) }

// Accept implements cell.Acceptor.
func (c *socket) Accept(m cell.Message) { c.Controls = append(c.Controls, m.(*cast.Control)) }

// Take is what was written since the last call.
func (c *Conn) Take() []byte {
	b := c.Written
	c.Written = nil
	return b
}
