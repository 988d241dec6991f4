// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"time"

	"emqttd/protocol/packet"
)

// litter is what a script leaves in the broker: sessions that outlive their
// connection and retained messages. A run against a broker that others use
// takes it away again.
type litter struct {
	sessions map[string]packet.Version
	retained map[string]packet.Version
}

// note remembers what p, sent on c, may leave behind.
func (l *litter) note(c *conn, p packet.Packet) {
	if l.sessions == nil {
		l.sessions, l.retained = map[string]packet.Version{}, map[string]packet.Version{}
	}
	switch p := p.(type) {
	case *packet.Connect:
		if p.ClientID != "" && (p.Version == packet.V5 && p.Properties.Has(packet.PropSessionExpiry) ||
			p.Version != packet.V5 && !p.CleanStart) {
			l.sessions[p.ClientID] = p.Version
		}
		if p.Will != nil && p.Will.Retain {
			l.retained[p.Will.Topic] = p.Version
		}
	case *packet.Publish:
		if p.Retain && len(p.Payload) > 0 {
			l.retained[string(p.Topic)] = c.version
		}
	}
}

// cleanUp ends every connection and removes the litter. It is no part of the
// verdict: what cannot be removed stays.
func (s *script) cleanUp() {
	for _, c := range s.order {
		if c.connected && !c.ended {
			_ = c.sendPacket(&packet.Disconnect{})
		}
		_ = c.nc.Close()
	}
	trace := s.trace
	for id, v := range s.litter.sessions {
		s.visit(id, v, "")
	}
	for topic, v := range s.litter.retained {
		s.visit(s.vars["id"]+"zz", v, topic)
	}
	s.trace = trace
}

// visit connects once with a clean session, which discards the stored one, and
// clears topic unless it is empty.
func (s *script) visit(id string, v packet.Version, topic string) {
	nc, err := s.dial(s.ctx)
	if err != nil {
		return
	}
	defer func() { _ = nc.Close() }()
	c := s.newConn("cleanup", nc)
	c.version, c.timeout = v, min(s.opts.Timeout, time.Second)
	connect := s.defaultConnect(c)
	connect.ClientID = id
	if c.sendPacket(&connect) != nil {
		return
	}
	if _, ok := c.next(c.timeout); !ok || !c.connected {
		return
	}
	if topic != "" {
		_ = c.sendPacket(&packet.Publish{Retain: true, Topic: []byte(topic)})
	}
	s.bye(c)
}
