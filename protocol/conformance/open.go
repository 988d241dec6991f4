// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"net"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// open dials; a connection of the same name is forgotten but not closed, as
// when a client comes back before its old connection is gone.
func (s *script) open(st *step) (*conn, error) {
	return s.add(st, s.dial)
}

func (s *script) add(st *step, dial Dialer) (*conn, error) {
	nc, err := dial(s.ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := s.newConn(st.conn, nc)
	for _, f := range st.args {
		if f.name == "version" {
			c.version = versions[f.value]
		}
	}
	s.conns[st.conn] = c
	s.order = append(s.order, c)
	return c, nil
}

func (s *script) newConn(name string, nc net.Conn) *conn {
	return &conn{
		name: name, nc: nc, version: s.st.Version, timeout: s.opts.Timeout,
		record: s.record,
	}
}

func (s *script) record(e Exchange) {
	if len(s.trace) < maxExchanges {
		s.trace = append(s.trace, e)
	}
}

// connect is open, CONNECT and an accepting CONNACK in one step.
func (s *script) connect(st *step) error {
	c, err := s.open(st)
	if err != nil {
		return err
	}
	want := event{what: "connack", fields: []field{{"code", "0"}}}
	send := step{line: st.line, text: st.text, body: st.text, op: opSend, verb: "connect"}
	for _, f := range st.args {
		if f.name == "present" {
			want.fields = append(want.fields, f)
		} else {
			send.args = append(send.args, f)
		}
	}
	if err := s.send(c, &send); err != nil {
		return err
	}
	return s.expectOne(c, []event{want}, s.opts.Timeout, "connack code=0")
}

// upgrade does a WebSocket handshake on a connection of its own.
func (s *script) upgrade(st *step) error {
	w := s.opts.WebSocket
	if w == nil {
		return &notApplicable{"no WebSocket address is given"}
	}
	c, err := s.add(st, w.Dial)
	if err != nil {
		return err
	}
	protocol := ""
	for _, f := range st.args {
		if f.name == "protocol" {
			protocol = f.value
		}
	}
	request := handshake(w, protocol)
	c.record(Exchange{Conn: c.name, Sent: true, Text: "HTTP upgrade", Bytes: clip(request)})
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.timeout))
	_, _ = c.nc.Write(request)
	c.ws = &wsState{}
	return nil
}

// encode returns the bytes of a message and how the trace calls it.
func (s *script) encode(c *conn, st *step) (string, []byte, error) {
	if st.verb == "raw" || st.verb == "text" {
		b, err := rawBytes(st.raw, s.vars)
		return st.verb, b, err
	}
	p, err := build(st.verb, st.args, s.vars, s.defaultConnect(c))
	if err != nil {
		return "", nil, err
	}
	if connect, ok := p.(*packet.Connect); ok {
		c.version, c.clientID = connect.Version, connect.ClientID
	}
	s.litter.note(c, p)
	b, err := serializer.Append(nil, p, c.version)
	return s.vars.expand(st.body), b, err
}

// defaultConnect is a CONNECT with what scripts leave out.
func (s *script) defaultConnect(c *conn) packet.Connect {
	def := packet.Connect{Version: c.version, CleanStart: true, KeepAlive: 60, ClientID: s.vars["id"] + c.name}
	if s.opts.Username != "" {
		def.Username, def.HasUsername = s.opts.Username, true
		def.Password, def.HasPassword = []byte(s.opts.Password), s.opts.Password != ""
	}
	return def
}
