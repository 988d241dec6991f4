// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"

	"emqttd/protocol/packet"
)

// Message is an application message, published or received.
type Message struct {
	Topic      string
	Payload    []byte
	QoS        packet.QoS
	Retain     bool
	Properties *packet.Properties // 5.0

	// Of received messages only.
	Dup bool
	ID  packet.ID // 0 with QoS 0

	link  *link
	in    *inbound // QoS 2
	acked bool
}

// event is what the dispatcher is told: one of the three.
type event struct {
	msg  *Message
	up   *packet.Connack
	down error
}

// dispatch calls the handlers, one at a time.
func (c *Client) dispatch(r *run) {
	for e := range r.events {
		switch {
		case e.msg != nil && c.isStopped(r):
			c.unhandled(e.msg)
		case e.msg != nil:
			c.handle(e.msg)
		case e.up != nil:
			if c.cfg.OnConnect != nil {
				c.cfg.OnConnect(e.up)
			}
		case c.cfg.OnDisconnect != nil:
			c.cfg.OnDisconnect(e.down)
		}
	}
}

func (c *Client) handle(m *Message) {
	c.cfg.Handler(m)
	if c.cfg.ManualAck {
		return
	}
	if err := m.Ack(); err != nil && !errors.Is(err, ErrStale) {
		m.link.fail(err)
	}
}

// unhandled forgets a message that no handler will see, so that the server's
// next attempt counts as the first.
func (c *Client) unhandled(m *Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.in != nil && !m.in.acked && c.sess.inbound[m.ID] == m.in {
		delete(c.sess.inbound, m.ID)
	}
}

// tell waits until the dispatcher has room: that is what stops the reader from
// reading more than QueueSize ahead.
func (c *Client) tell(r *run, e event) {
	if r.events == nil {
		return
	}
	select {
	case r.events <- e:
		return
	default:
	}
	if e.msg != nil {
		c.stall(e.msg.link, true)
		defer c.stall(e.msg.link, false)
	}
	select {
	case r.events <- e:
	case <-r.halt:
		if e.msg != nil {
			c.unhandled(e.msg)
		}
	}
}

func (c *Client) stall(l *link, on bool) {
	c.mu.Lock()
	l.stalled = on
	l.heard()
	c.mu.Unlock()
}

// receivedPublish takes a message to the dispatcher, or acknowledges it when
// there is no Handler.
func (c *Client) receivedPublish(l *link, p *packet.Publish) error {
	c.mu.Lock()
	r := c.run
	m, err := c.admit(l, p)
	c.mu.Unlock()
	if err != nil || m == nil {
		return err
	}
	if c.cfg.Handler == nil {
		return m.Ack()
	}
	c.tell(r, event{msg: m})
	return nil
}

// admit makes a message of p; nil: it was received before.
func (c *Client) admit(l *link, p *packet.Publish) (*Message, error) {
	topic, err := l.fullTopic(p)
	if err != nil {
		return nil, err
	}
	m := &Message{
		Topic: topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Properties: p.Properties,
		Dup: p.Dup, ID: p.ID, link: l,
	}
	if p.QoS == packet.QoS0 {
		return m, nil
	}
	known := p.QoS == packet.QoS2 && c.sess.inbound[p.ID] != nil
	if known && c.sess.inbound[p.ID].link == l {
		return nil, c.redelivered(l, c.sess.inbound[p.ID])
	}
	if l.unacked >= l.recvMax { // [v5 MQTT-3.3.4-9]
		return nil, &ProtocolError{Fault: packet.FaultReceiveMaximum, Type: packet.PUBLISH}
	}
	l.unacked++
	if known {
		return nil, c.redelivered(l, c.sess.inbound[p.ID])
	}
	if p.QoS == packet.QoS2 {
		m.in = &inbound{id: p.ID, link: l}
		c.sess.inbound[p.ID] = m.in
	}
	return m, nil
}

// redelivered meets the same QoS 2 message again: it is not handled twice
// [v3.1.1 MQTT-4.3.3-2, v5 MQTT-4.3.3-10]. PUBREC follows at once, or when the
// handler is done with it.
func (c *Client) redelivered(l *link, in *inbound) error {
	in.link = l
	if !in.acked {
		return nil
	}
	return l.answer(&packet.Ack{Kind: packet.PUBREC, ID: in.id})
}

// fullTopic resolves topic aliases [v5 MQTT-3.3.2-8 to -12].
func (l *link) fullTopic(p *packet.Publish) (string, error) {
	if !p.Properties.Has(packet.PropTopicAlias) {
		return string(p.Topic), nil
	}
	alias := int(p.Properties.TopicAlias)
	if alias < 1 || alias > len(l.aliasIn) {
		return "", &ProtocolError{Fault: packet.FaultTopicAlias, Type: packet.PUBLISH}
	}
	if len(p.Topic) > 0 {
		l.aliasIn[alias-1] = string(p.Topic)
	}
	topic := l.aliasIn[alias-1]
	if topic == "" {
		return "", &ProtocolError{Fault: packet.FaultTopicAlias, Type: packet.PUBLISH}
	}
	return topic, nil
}

// Ack acknowledges a received message; only the first call counts, and QoS 0
// needs none. It returns ErrStale when the message's connection is gone and the
// server will send it again; a QoS 2 message will then not be handled twice.
func (m *Message) Ack() error { return m.acknowledge(packet.Success, nil) }

// Reject acknowledges a received message with a failure: the server will not
// send it again. Before 5.0 that cannot be said, and Reject returns an error and
// does nothing.
func (m *Message) Reject(code packet.ReasonCode, props *packet.Properties) error {
	if m.link == nil || m.link.version < packet.V5 || !code.Failed() {
		return fmt.Errorf("client: reject with %v: %w", code, errors.ErrUnsupported)
	}
	return m.acknowledge(code, props)
}

func (m *Message) acknowledge(code packet.ReasonCode, props *packet.Properties) error {
	if m.link == nil || m.QoS == packet.QoS0 {
		return nil
	}
	c := m.link.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.acked {
		return nil
	}
	m.acked = true
	if m.QoS == packet.QoS2 {
		return c.ackQoS2(m, code, props)
	}
	l := m.link
	if c.link != l {
		return ErrStale
	}
	l.unacked--
	return l.answer(&packet.Ack{Kind: packet.PUBACK, ID: m.ID, Code: code, Properties: props})
}

func (c *Client) ackQoS2(m *Message, code packet.ReasonCode, props *packet.Properties) error {
	in := m.in
	if c.sess.inbound[m.ID] != in {
		return ErrStale // the session was lost meanwhile
	}
	if code.Failed() { // the identifier is free again [v5 4.3.3]
		delete(c.sess.inbound, m.ID)
	} else {
		if err := c.sess.put(Record{State: Received, ID: m.ID}); err != nil {
			return err
		}
		in.acked = true
	}
	l := in.link
	if c.link != l || l == nil {
		return ErrStale
	}
	if code.Failed() {
		l.unacked--
	}
	return l.answer(&packet.Ack{Kind: packet.PUBREC, ID: m.ID, Code: code, Properties: props})
}

// pubrel ends a QoS 2 message received [v3.1.1 MQTT-4.3.3-2, v5 MQTT-4.3.3-11].
func (c *Client) pubrel(l *link, m *packet.Ack) error {
	comp := &packet.Ack{Kind: packet.PUBCOMP, ID: m.ID}
	in := c.sess.inbound[m.ID]
	if in == nil {
		if l.version == packet.V5 {
			comp.Code = packet.PacketIDNotFound // [v5 3.7.2.1]
		}
		return l.answer(comp)
	}
	delete(c.sess.inbound, m.ID)
	if in.link == l {
		l.unacked--
	}
	if err := c.sess.remove(Incoming, m.ID); err != nil {
		return err
	}
	return l.answer(comp)
}
