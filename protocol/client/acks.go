// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"

	"emqttd/protocol/packet"
)

// receivedAck handles the four acknowledgements.
func (c *Client) receivedAck(l *link, m *packet.Ack) error {
	c.mu.Lock()
	var fin completions
	var err error
	switch m.Kind {
	case packet.PUBACK:
		fin, err = c.puback(l, m)
	case packet.PUBREC:
		fin, err = c.pubrec(l, m)
	case packet.PUBREL:
		err = c.pubrel(l, m)
	case packet.PUBCOMP:
		fin, err = c.pubcomp(l, m)
	}
	c.mu.Unlock()
	fin.call()
	return err
}

// acknowledge ends f with the server's last word. The quota grows with PUBACK,
// PUBCOMP, and PUBREC with a failure, but not above its beginning [v5 4.9].
func (c *Client) acknowledge(l *link, f *flight, m *packet.Ack) (completions, error) {
	if err := c.sess.remove(Outgoing, m.ID); err != nil {
		return nil, err
	}
	l.quota = min(l.quota+1, l.limits.ReceiveMaximum)
	r := Result{Code: m.Code, Properties: m.Properties}
	if m.Code.Failed() {
		r.Err = fmt.Errorf("client: publish: %w", m.Code)
	}
	var fin completions
	fin.add(c.land(f, r))
	return append(fin, c.pump(l)...), nil
}

// inFlight is the publish of that identifier, if it has been sent on this connection.
func (c *Client) inFlight(id packet.ID) *flight {
	f, _ := c.sess.busy[id].(*flight)
	if f == nil || f.list == &c.sess.queued {
		return nil
	}
	return f
}

func (c *Client) puback(l *link, m *packet.Ack) (completions, error) {
	f := c.inFlight(m.ID)
	switch {
	case f == nil:
		return nil, nil // late, or of nobody: nothing to free
	case f.packet.QoS != packet.QoS1:
		return nil, &ProtocolError{Fault: packet.FaultPacketIDUnknown, Type: packet.PUBACK}
	}
	return c.acknowledge(l, f, m)
}

// pubrec discards the message and keeps its identifier: from here on only
// PUBREL is sent [v3.1.1 MQTT-4.3.3-1, v5 MQTT-4.3.3-4].
func (c *Client) pubrec(l *link, m *packet.Ack) (completions, error) {
	f := c.inFlight(m.ID)
	rel := &packet.Ack{Kind: packet.PUBREL, ID: m.ID}
	switch {
	case f == nil:
		if l.version == packet.V5 {
			rel.Code = packet.PacketIDNotFound
		}
		return nil, l.answer(rel)
	case f.packet.QoS != packet.QoS2:
		return nil, &ProtocolError{Fault: packet.FaultPacketIDUnknown, Type: packet.PUBREC}
	case m.Code.Failed():
		return c.acknowledge(l, f, m)
	}
	if err := c.sess.put(Record{State: Released, ID: m.ID}); err != nil {
		return nil, err
	}
	f.packet.Topic, f.packet.Payload, f.packet.Properties = nil, nil, nil
	f.moveTo(&c.sess.released)
	return nil, l.answer(rel)
}

func (c *Client) pubcomp(l *link, m *packet.Ack) (completions, error) {
	f := c.inFlight(m.ID)
	switch {
	case f == nil:
		return nil, nil
	case f.list != &c.sess.released:
		return nil, &ProtocolError{Fault: packet.FaultPacketIDUnknown, Type: packet.PUBCOMP}
	}
	return c.acknowledge(l, f, m)
}

// answer appends what a packet of the server calls for. After our DISCONNECT
// there is no answering any more, and that is no error.
func (l *link) answer(p packet.Packet) error {
	if err := l.append(p); err != nil && !l.closing {
		return err
	}
	return nil
}
