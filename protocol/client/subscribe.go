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
	codes  int // how many reason codes the answer must have, or anyCodes
	done   func(packet.Packet, error)
}

const anyCodes = -1

// Subscribe sends one SUBSCRIBE and returns its SUBACK. A filter that the
// server refused is no error: look at the codes, which are in the order of the
// subscriptions [v3.1.1 MQTT-3.9.3-1, v5 MQTT-3.9.3-1]. props may be nil.
//
// A handler uses SubscribeAsync: the SUBACK may stand behind more messages than
// the client reads while the handler waits.
func (c *Client) Subscribe(ctx context.Context, props *packet.Properties, subs ...packet.Subscription) (*packet.Suback, error) {
	got := make(chan answer[*packet.Suback], 1)
	err := c.SubscribeAsync(props, func(a *packet.Suback, err error) { got <- answer[*packet.Suback]{a, err} }, subs...)
	if err != nil {
		return nil, err
	}
	return await(ctx, got)
}

// SubscribeAsync sends one SUBSCRIBE and calls done, once, with its SUBACK or
// with the reason why there will be none. When it returns an error, done is not
// called. done runs on a goroutine of the Client and must not wait.
func (c *Client) SubscribeAsync(props *packet.Properties, done func(*packet.Suback, error), subs ...packet.Subscription) error {
	q := &request{answer: packet.SUBACK, codes: len(subs), done: func(p packet.Packet, err error) {
		a, _ := p.(*packet.Suback)
		done(a, wrap("subscribe", err))
	}}
	return wrap("subscribe", c.ask(q, func(id packet.ID) packet.Packet {
		return &packet.Subscribe{ID: id, Subscriptions: subs, Properties: props}
	}))
}

// Unsubscribe sends one UNSUBSCRIBE and returns its UNSUBACK, which has codes
// in 5.0 only. props may be nil.
func (c *Client) Unsubscribe(ctx context.Context, props *packet.Properties, filters ...string) (*packet.Unsuback, error) {
	got := make(chan answer[*packet.Unsuback], 1)
	err := c.UnsubscribeAsync(props, func(a *packet.Unsuback, err error) { got <- answer[*packet.Unsuback]{a, err} }, filters...)
	if err != nil {
		return nil, err
	}
	return await(ctx, got)
}

// UnsubscribeAsync is to Unsubscribe what SubscribeAsync is to Subscribe.
func (c *Client) UnsubscribeAsync(props *packet.Properties, done func(*packet.Unsuback, error), filters ...string) error {
	codes := anyCodes
	if c.cfg.Connect.Version == packet.V5 {
		codes = len(filters)
	}
	q := &request{answer: packet.UNSUBACK, codes: codes, done: func(p packet.Packet, err error) {
		a, _ := p.(*packet.Unsuback)
		done(a, wrap("unsubscribe", err))
	}}
	return wrap("unsubscribe", c.ask(q, func(id packet.ID) packet.Packet {
		return &packet.Unsubscribe{ID: id, Filters: filters, Properties: props}
	}))
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("client: %s: %w", what, err)
}

type answer[P packet.Packet] struct {
	p   P
	err error
}

// await gives up with ctx; the identifier stays in use until the answer comes.
func await[P packet.Packet](ctx context.Context, got <-chan answer[P]) (P, error) {
	select {
	case a := <-got:
		return a.p, a.err
	case <-ctx.Done():
		var none P
		return none, ctx.Err()
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
	case q.codes != anyCodes && codesOf(p) != q.codes:
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
