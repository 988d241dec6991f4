// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sync"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// debug prints every packet in mosquitto's words (-d).
type debug struct {
	mu      sync.Mutex // both directions print
	out     io.Writer
	version packet.Version
	id      string
	mid     packet.ID // last message number: mosquitto counts messages of QoS 0 too
}

func newDebug(out io.Writer, c *packet.Connect) *debug {
	return &debug{out: out, version: c.Version, id: c.ClientID}
}

func (d *debug) tap(e client.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c, ok := e.Packet.(*packet.Connack); ok && c.Properties.Has(packet.PropAssignedClientID) {
		d.id = c.Properties.AssignedClientID
	}
	switch {
	case e.Packet == nil:
		d.line("received bytes that are no packet: %v", e.Err)
	case e.Sent:
		d.sent(e.Packet)
	default:
		d.received(e.Packet)
	}
}

func (d *debug) line(format string, a ...any) {
	id := d.id
	if id == "" {
		id = "(null)"
	}
	_, _ = fmt.Fprintf(d.out, "Client %s "+format+"\n", append([]any{id}, a...)...)
}

func (d *debug) sent(p packet.Packet) {
	switch m := p.(type) {
	case *packet.Publish:
		d.mid = max(d.mid, m.ID)
		id := m.ID
		if id == 0 {
			d.mid++
			id = d.mid
		}
		d.publish("sending", m, id)
	case *packet.Ack:
		switch m.Kind {
		case packet.PUBACK, packet.PUBREC:
			d.line("sending %v (m%d, rc%d)", m.Kind, m.ID, m.Code)
		default:
			d.line("sending %v (m%d)", m.Kind, m.ID)
		}
	case *packet.Subscribe:
		for _, s := range m.Subscriptions {
			d.line("sending SUBSCRIBE (Mid: %d, Topic: %s, QoS: %d, Options: 0x%02x)", m.ID, s.Filter, s.QoS, optionBits(s))
		}
	case *packet.Unsubscribe:
		for _, f := range m.Filters {
			d.line("sending UNSUBSCRIBE (Mid: %d, Topic: %s)", m.ID, f)
		}
	default:
		d.line("sending %v", p.Type())
	}
}

// optionBits are the subscription options without the QoS [v5 3.8.3.1].
func optionBits(s packet.Subscription) (b byte) {
	if s.NoLocal {
		b |= 1 << 2
	}
	if s.RetainAsPublished {
		b |= 1 << 3
	}
	return b | s.RetainHandling<<4
}

func (d *debug) received(p packet.Packet) {
	switch m := p.(type) {
	case *packet.Connack:
		d.line("received CONNACK (%d)", d.connackCode(m))
	case *packet.Publish:
		d.publish("received", m, m.ID)
	case *packet.Ack:
		switch m.Kind {
		case packet.PUBACK, packet.PUBCOMP:
			d.line("received %v (Mid: %d, RC:%d)", m.Kind, m.ID, m.Code)
		default:
			d.line("received %v (Mid: %d)", m.Kind, m.ID)
		}
	case *packet.Disconnect:
		d.line("received DISCONNECT (%d)", m.Code)
	default:
		d.line("received %v", p.Type())
	}
}

// connackCode is the code as it was on the wire.
func (d *debug) connackCode(m *packet.Connack) uint8 {
	if d.version < packet.V5 {
		return m.Code.ReturnCode()
	}
	return uint8(m.Code)
}

func (d *debug) publish(way string, m *packet.Publish, id packet.ID) {
	name := string(m.Topic)
	if name == "" {
		name = "(null)"
	}
	d.line("%s PUBLISH (d%d, q%d, r%d, m%d, '%s', ... (%d bytes))", way, bit(m.Dup), m.QoS, bit(m.Retain), id, name, len(m.Payload))
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
