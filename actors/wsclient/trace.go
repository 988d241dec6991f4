// SPDX-License-Identifier: Apache-2.0

package wsclient

import (
	"emqttd/actors/cast"
	"emqttd/actors/trace"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// trace notes what the client actor has done; it costs a look when nothing is
// traced.
func (c *client) trace(ctx *cell.Context, e trace.Event) {
	if !c.env.Trace.On() {
		return
	}
	e.Addr = c.conn.Peer
	if e.Client == "" {
		e.Client = c.state.clientID
	}
	c.env.Trace.Note(ctx, e)
}

// traced reports whether what the client is sent beside messages is traced.
func (c *client) traced(ctx *cell.Context) bool {
	t := c.env.Trace
	return t.On() && t.Near(ctx.Now(), c.state.clientID, c.conn.Peer)
}

// traceReceived notes the packets of one read, each in its own event, behind one
// for the actor that made packets of the bytes; or of a client that is not traced,
// the messages whose topic is.
func (c *client) traceReceived(ctx *cell.Context, r *cast.Received) {
	t, id := c.env.Trace, c.state.clientID
	if id != "" && !t.Near(ctx.Now(), id, c.conn.Peer) {
		if t.Topics() {
			c.traceTopics(ctx, r)
		}
		return
	}
	if p, ok := r.Packets[0].(*packet.Connect); ok && id == "" {
		c.trace(ctx, parsed(c.conn, len(r.Packets), p.ClientID))
	} else {
		c.trace(ctx, parsed(c.conn, len(r.Packets), ""))
	}
	for _, p := range r.Packets {
		c.traceIn(ctx, p)
	}
}

func (c *client) traceTopics(ctx *cell.Context, r *cast.Received) {
	last, wanted := "", false
	for _, p := range r.Packets {
		p, ok := p.(*packet.Publish)
		if !ok {
			continue
		}
		if string(p.Topic) != last {
			last = trace.View(p.Topic)
			wanted = c.env.Trace.About(last)
		}
		if wanted {
			c.traceIn(ctx, p)
		}
	}
}

func (c *client) traceIn(ctx *cell.Context, p packet.Packet) {
	e := of(p)
	e.Step = trace.Received
	c.trace(ctx, e)
}

func parsed(conn *cast.Conn, packets int, clientID string) trace.Event {
	return trace.Event{Step: trace.Parsed, Actor: conn.Loop.Name(), Kind: conn.Loop.Kind().Name, Count: packets, Client: clientID}
}

func (c *client) traceSent(ctx *cell.Context, p packet.Packet) {
	e := of(p)
	e.Step = trace.Sent
	c.trace(ctx, e)
}

func (c *client) traceDelivery(ctx *cell.Context, d *cast.Delivery) {
	m := d.Message
	e := trace.Event{Step: trace.Sent, Packet: packet.PUBLISH.String(), From: m.From, Topic: m.Topic, Bytes: len(m.Payload),
		QoS: int(d.QoS), ID: d.ID}
	if d.Dup {
		e.Reason = "sent again"
	}
	c.trace(ctx, e)
}

// of is what an event shows of a packet: no payload, no password.
func of(p packet.Packet) trace.Event {
	e := trace.Event{Packet: p.Type().String()}
	switch p := p.(type) {
	case *packet.Connect:
		e.Client = p.ClientID
	case *packet.Publish:
		e.Topic, e.QoS, e.ID, e.Bytes = trace.View(p.Topic), int(p.QoS), p.ID, len(p.Payload)
	case *packet.Ack:
		e.ID = p.ID
		if p.Code.Failed() {
			e.Reason = p.Code.String()
		}
	case *packet.Subscribe:
		e.ID, e.Count = p.ID, len(p.Subscriptions)
	case *packet.Suback:
		e.ID, e.Count = p.ID, len(p.Codes)
	case *packet.Unsubscribe:
		e.ID, e.Count = p.ID, len(p.Filters)
	case *packet.Unsuback:
		e.ID = p.ID
	case *packet.Connack:
		e.Reason = p.Code.String()
	case *packet.Disconnect:
		e.Reason = p.Code.String()
	}
	return e
}
