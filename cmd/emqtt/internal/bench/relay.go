// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// relay is the floor under every broker: it answers CONNECT and SUBSCRIBE, and
// from its first PUBLISH on, what a connection sends is copied to the
// subscribers of that topic, cut at the ends of packets (so that publishers may
// share a subscriber) and not looked at otherwise. QoS 0 and exact topics only.
type relay struct {
	l      *loop
	topics map[string]*relayTopic
}

type relayTopic struct {
	subscribers []*conn
	publishers  int
}

// relayConn is the role of one connection.
type relayConn struct {
	r     *relay
	c     *conn
	p     parser.Parser
	slab  parser.Slab
	topic *relayTopic // that it publishes to; nil: not yet
	rest  []byte      // the beginning of a packet
}

// Listener receives the address that a server listens on.
type Listener func(addr netip.AddrPort)

// Relay serves on addr, which has to be on loopback, until ctx ends or the time
// is up.
func Relay(ctx context.Context, addr string, limit time.Duration, ready Listener) error {
	l := newServer()
	r := &relay{l: l, topics: map[string]*relayTopic{}}
	if err := l.serve(ctx, addr, limit, r.accepted, ready); err != nil {
		return fmt.Errorf("bench: relay: %w", err)
	}
	return nil
}

// newServer is a loop that accepts connections instead of making them.
func newServer() *loop {
	return &loop{target: &target{scheme: "mqtt"}, atEnd: func(int64) {}, onWritable: func(*conn) {}}
}

// serve runs a server on addr, which has to be on loopback, until ctx ends or
// the time is up.
func (l *loop) serve(ctx context.Context, addr string, limit time.Duration, accepted func() *conn, ready Listener) error {
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return err
	}
	at := netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
	if !at.Addr().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address, and this server knows no access control", addr)
	}
	serve, err := l.listen(at, accepted)
	if err != nil {
		return err
	}
	defer l.driver.shut()
	ready(serve)
	for end := time.Now().Add(limit); ctx.Err() == nil && time.Now().Before(end); {
		if err := l.turn(100 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// accepted makes a connection of an accepted socket.
func (r *relay) accepted() *conn {
	c := &conn{l: r.l, state: ready}
	h := &relayConn{r: r, c: c, p: parser.New(parser.Options{Role: parser.Server})}
	c.role, c.raw = h, h.received
	return c
}

// received takes the bytes of one read.
func (h *relayConn) received(b []byte) error {
	for len(b) > 0 && h.topic == nil {
		var err error
		if b, err = h.control(b); err != nil {
			return err
		}
	}
	if len(b) > 0 {
		return h.forward(b)
	}
	return nil
}

var errRelay = errors.New("the relay knows CONNECT, SUBSCRIBE, PINGREQ and QoS 0 PUBLISH")

// control answers one packet; a PUBLISH is left where it is.
func (h *relayConn) control(b []byte) ([]byte, error) {
	next, pkt, rest, err := h.p.Parse(b, &h.slab)
	if err != nil {
		return nil, err
	}
	whole := b
	if h.rest = append(h.rest, b[:len(b)-len(rest)]...); len(h.rest) > len(b)-len(rest) {
		whole = append(h.rest, rest...)
	}
	h.p = next
	if pkt == nil {
		return nil, nil
	}
	h.rest = h.rest[:0:0]
	v := h.p.Version()
	var answer packet.Packet
	switch m := pkt.(type) {
	case *packet.Connect:
		answer = &packet.Connack{}
	case *packet.Subscribe:
		codes := make([]packet.ReasonCode, len(m.Subscriptions))
		for i, s := range m.Subscriptions {
			t := h.r.topic(s.Filter)
			t.subscribers = append(t.subscribers, h.c)
			codes[i] = packet.Success
		}
		answer = &packet.Suback{ID: m.ID, Codes: codes}
	case *packet.Pingreq:
		answer = &packet.Pingresp{}
	case *packet.Publish:
		if m.QoS != packet.QoS0 {
			return nil, errRelay
		}
		h.topic = h.r.topic(string(m.Topic))
		h.topic.publishers++
		return whole, nil
	default:
		return nil, errRelay
	}
	if h.c.out, err = serializer.Append(h.c.out, answer, v); err != nil {
		return nil, err
	}
	h.c.touch()
	return rest, nil
}

func (r *relay) topic(name string) *relayTopic {
	t := r.topics[name]
	if t == nil {
		t = &relayTopic{}
		r.topics[name] = t
	}
	return t
}

// relayRoom bounds what waits for one subscriber. One that takes less is closed.
const relayRoom = 64 << 20

var errRelaySlow = errors.New("a subscriber of the relay is too slow")

// forward copies whole packets to the subscribers and keeps the beginning of
// the next: another publisher's may come in between.
func (h *relayConn) forward(b []byte) error {
	n := 0
	if kept := len(h.rest); kept > 0 {
		var head [10]byte // the fixed header, whichever side of the cut it is
		have := copy(head[:], h.rest[:min(kept, 5)])
		have += copy(head[have:], b[:min(len(b), 5)])
		size, _, err := packetSize(head[:have])
		if err != nil {
			return err
		}
		if size == 0 || size-kept > len(b) {
			if kept+len(b) > relayRoom {
				return errRelay
			}
			h.rest = append(h.rest, b...)
			return nil
		}
		n = size - kept
	}
	n += wholePackets(b[n:])
	for _, s := range h.topic.subscribers {
		if s.state != ready {
			continue
		}
		if s.backlog() > relayRoom {
			return errRelaySlow
		}
		s.out = append(s.out, h.rest...)
		s.send(b[:n])
	}
	h.rest = append(h.rest[:0], b[n:]...)
	return nil
}

// wholePackets is how many bytes the complete packets at the front of b have.
func wholePackets(b []byte) int {
	n := 0
	for {
		size, _, err := packetSize(b[n:])
		if err != nil || size == 0 || n+size > len(b) {
			return n
		}
		n += size
	}
}

func (h *relayConn) closed(*conn, error) {
	if h.topic != nil {
		h.topic.publishers--
	}
	for name, t := range h.r.topics {
		for i := 0; i < len(t.subscribers); i++ {
			if t.subscribers[i] == h.c {
				t.subscribers = append(t.subscribers[:i], t.subscribers[i+1:]...)
				i--
			}
		}
		if len(t.subscribers) == 0 && t.publishers == 0 {
			delete(h.r.topics, name)
		}
	}
}

func (h *relayConn) connected(*conn)                        {}
func (h *relayConn) published(*conn, *publish)              {}
func (h *relayConn) acked(*conn, uint16, packet.ReasonCode) {}
func (h *relayConn) subscribed(*conn, []byte)               {}
