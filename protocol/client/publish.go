// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"

	"emqttd/protocol/packet"
)

// errTooLarge: the packet would exceed the server's Maximum Packet Size.
var errTooLarge = fmt.Errorf("client: %w", packet.PacketTooLarge)

// Result is how a publish ended.
type Result struct {
	Code       packet.ReasonCode  // of PUBACK, PUBREC or PUBCOMP; Success before 5.0 and for QoS 0
	Properties *packet.Properties // of the same
	// Err is nil when the server has taken the message: of QoS 0, when it is in
	// the hands of the writer. A failing Code is an Err too.
	Err error
}

// Publish publishes m and waits for the server to take it: until PUBACK for
// QoS 1, PUBCOMP for QoS 2. Its error is Result.Err or that of ctx. When ctx
// ends after m was sent, the exchange goes on without the caller.
func (c *Client) Publish(ctx context.Context, m *Message) (Result, error) {
	ended := make(chan Result, 1)
	if err := c.PublishAsync(ctx, m, func(r Result) { ended <- r }); err != nil {
		return Result{Err: err}, err
	}
	select {
	case r := <-ended:
		return r, r.Err
	case <-ctx.Done():
		return Result{Err: ctx.Err()}, ctx.Err()
	}
}

// PublishAsync publishes m and calls done, once, when Publish would return. It
// waits only for its turn: a place in the window (QoS 1 and 2) or in the output
// (QoS 0). When it returns an error, done is not called and nothing was sent.
//
// done runs on a goroutine of the Client and must not wait. Payload and
// Properties are not to be changed before it.
func (c *Client) PublishAsync(ctx context.Context, m *Message, done func(Result)) error {
	p := packet.Publish{
		QoS: m.QoS, Retain: m.Retain, Topic: []byte(m.Topic), Payload: m.Payload, Properties: m.Properties,
	}
	if p.QoS > packet.QoS2 {
		return fmt.Errorf("client: publish: %w", packet.FaultQoS3)
	}
	if len(p.Topic) == 0 && !p.Properties.Has(packet.PropTopicAlias) { // [v3.1.1 MQTT-4.7.3-1, v5 3.3.2.1]
		return fmt.Errorf("client: publish: %w", packet.FaultTopicMissing)
	}
	if p.QoS == packet.QoS0 {
		return c.publishNow(ctx, &p, done)
	}
	if err := c.takeSlot(ctx); err != nil {
		return err
	}
	return c.depart(&flight{packet: p, done: done})
}

// publishNow appends a QoS 0 message to the output as soon as there is room.
func (c *Client) publishNow(ctx context.Context, p *packet.Publish, done func(Result)) error {
	c.mu.Lock()
	for {
		l := c.link
		if l == nil {
			c.mu.Unlock()
			return ErrNotConnected
		}
		if len(l.out) < c.cfg.OutBytes {
			err := l.publish(p)
			c.mu.Unlock()
			if err == nil && done != nil {
				done(Result{})
			}
			return err
		}
		room := l.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-l.down:
			return l.err
		case <-ctx.Done():
			return ctx.Err()
		}
		c.mu.Lock()
	}
}

// takeSlot waits for a place in the window.
func (c *Client) takeSlot(ctx context.Context) error {
	c.mu.Lock()
	r := c.run
	if r == nil || r.over {
		c.mu.Unlock()
		return ErrNotConnected
	}
	wait := c.slot.enter()
	c.mu.Unlock()
	if wait == nil {
		return nil
	}
	var err error
	select {
	case <-wait:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-r.offline:
		err = ErrNotConnected
	}
	c.mu.Lock()
	c.slot.giveUp(wait)
	c.mu.Unlock()
	return err
}

// depart adds f, which holds a slot, to the session.
func (c *Client) depart(f *flight) error {
	c.mu.Lock()
	err := c.enqueue(f)
	if err != nil {
		c.slot.leave()
		c.mu.Unlock()
		return err
	}
	var fin completions
	if c.link != nil {
		fin = c.pump(c.link)
	}
	c.mu.Unlock()
	fin.call()
	return nil
}

func (c *Client) enqueue(f *flight) error {
	if c.run == nil || c.run.stopped || c.run.over {
		return ErrNotConnected
	}
	if c.link != nil {
		if err := c.link.limits.check(&f.packet); err != nil {
			return err
		}
	}
	id := c.sess.newID(f)
	if id == 0 {
		return ErrBusy
	}
	f.packet.ID = id
	c.sess.queued.pushBack(f)
	return nil
}

// pump sends queued publishes while the server's quota and the output have
// room [v5 MQTT-3.3.4-7, MQTT-4.9.0-1]. What cannot be sent at all is completed
// with its error.
func (c *Client) pump(l *link) (fin completions) {
	for f := c.sess.queued.head; f != nil; f = c.sess.queued.head {
		if l.quota <= 0 || l.closing || len(l.out) >= c.cfg.OutBytes {
			return fin
		}
		p := f.packet
		p.Dup = f.wasSent // [v3.1.1 MQTT-3.3.1-1, v5 MQTT-3.3.1-1]
		var err error
		if !f.wasSent {
			err = c.sess.put(Record{State: Published, ID: p.ID, Publish: &f.packet})
		}
		if err == nil {
			err = l.publish(&p)
		}
		if err != nil {
			err = errors.Join(err, c.sess.remove(Outgoing, p.ID))
			fin.add(c.land(f, Result{Err: err}))
			continue
		}
		f.wasSent = true
		f.moveTo(&c.sess.sent)
		l.quota--
	}
	return fin
}

// publish encodes p with a topic alias if there is one for its topic. The
// packet given is never changed: aliases end with the connection
// [v5 MQTT-3.3.2-7].
func (l *link) publish(p *packet.Publish) error {
	if err := l.limits.check(p); err != nil {
		return err
	}
	if l.aliasMax == 0 || p.Properties.Has(packet.PropTopicAlias) {
		return l.append(p)
	}
	alias, known := l.aliasOut[string(p.Topic)]
	if !known && len(l.aliasOut) >= int(l.aliasMax) {
		return l.append(p)
	}
	short, props := *p, packet.Properties{}
	if p.Properties != nil {
		props = *p.Properties
	}
	if known {
		short.Topic = nil
	} else {
		alias = uint16(len(l.aliasOut) + 1)
	}
	props.Set(packet.PropTopicAlias).TopicAlias = alias
	short.Properties = &props
	if err := l.append(&short); err != nil {
		return err
	}
	if !known {
		if l.aliasOut == nil {
			l.aliasOut = make(map[string]uint16)
		}
		l.aliasOut[string(p.Topic)] = alias
	}
	return nil
}

// land takes f out of the session; the callback is to be called without the mutex.
func (c *Client) land(f *flight, r Result) func() {
	if f.list != nil {
		f.leave()
	}
	delete(c.sess.busy, f.packet.ID)
	c.slot.leave()
	if f.done == nil {
		return nil
	}
	return func() { f.done(r) }
}
