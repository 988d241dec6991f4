// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"

	"emqttd/protocol/packet"
)

// request is a SUBSCRIBE or UNSUBSCRIBE waiting for its answer.
type request struct {
	answer packet.Type
	codes  int // how many reason codes the answer must have; -1: any
	done   func(packet.Packet, error)
}

// Subscribe sends one SUBSCRIBE and returns its SUBACK. A filter that the
// server refused is no error: look at the codes, which are in the order of the
// subscriptions [v3.1.1 MQTT-3.9.3-1, v5 MQTT-3.9.3-1]. props may be nil.
func (c *Client) Subscribe(ctx context.Context, props *packet.Properties, subs ...packet.Subscription) (*packet.Suback, error) {
	p := &packet.Subscribe{Subscriptions: subs, Properties: props}
	a, err := c.request(ctx, packet.SUBACK, len(subs), func(id packet.ID) packet.Packet { p.ID = id; return p })
	if err != nil {
		return nil, fmt.Errorf("client: subscribe: %w", err)
	}
	return a.(*packet.Suback), nil
}

// Unsubscribe sends one UNSUBSCRIBE and returns its UNSUBACK, which has codes
// in 5.0 only. props may be nil.
func (c *Client) Unsubscribe(ctx context.Context, props *packet.Properties, filters ...string) (*packet.Unsuback, error) {
	p := &packet.Unsubscribe{Filters: filters, Properties: props}
	codes := -1
	if c.cfg.Connect.Version == packet.V5 {
		codes = len(filters)
	}
	a, err := c.request(ctx, packet.UNSUBACK, codes, func(id packet.ID) packet.Packet { p.ID = id; return p })
	if err != nil {
		return nil, fmt.Errorf("client: unsubscribe: %w", err)
	}
	return a.(*packet.Unsuback), nil
}

type answer struct {
	p   packet.Packet
	err error
}

func (c *Client) request(ctx context.Context, kind packet.Type, codes int, build func(packet.ID) packet.Packet) (packet.Packet, error) {
	got := make(chan answer, 1)
	q := &request{answer: kind, codes: codes, done: func(p packet.Packet, err error) { got <- answer{p, err} }}
	if err := c.ask(q, build); err != nil {
		return nil, err
	}
	select {
	case a := <-got:
		return a.p, a.err
	case <-ctx.Done():
		return nil, ctx.Err() // the identifier stays in use until the answer comes
	}
}

func (c *Client) ask(q *request, build func(packet.ID) packet.Packet) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.link
	if l == nil || l.closing {
		return ErrNotConnected
	}
	id := c.sess.newID(q)
	if id == 0 {
		return ErrBusy
	}
	if err := l.append(build(id)); err != nil {
		delete(c.sess.busy, id)
		return err
	}
	l.requests[id] = q
	return nil
}

// answered completes the request that p answers.
func (c *Client) answered(l *link, id packet.ID, p packet.Packet) error {
	c.mu.Lock()
	q := l.requests[id]
	if q != nil {
		delete(l.requests, id)
		delete(c.sess.busy, id)
	}
	c.mu.Unlock()
	switch {
	case q == nil:
		return nil // late, or of nobody: nothing to free
	case q.answer != p.Type():
		err := &ProtocolError{Fault: packet.FaultPacketIDUnknown, Type: p.Type()}
		q.done(nil, err)
		return err
	case q.codes >= 0 && codesOf(p) != q.codes:
		err := &ProtocolError{Fault: packet.FaultTruncated, Type: p.Type()}
		q.done(nil, err)
		return err
	}
	q.done(p, nil)
	return nil
}

func codesOf(p packet.Packet) int {
	switch m := p.(type) {
	case *packet.Suback:
		return len(m.Codes)
	case *packet.Unsuback:
		return len(m.Codes)
	}
	return 0
}
