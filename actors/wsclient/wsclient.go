// SPDX-License-Identifier: Apache-2.0

// Package wsclient is the connection's client actor: what goes out to the
// socket goes through it, and what comes in passes it on the way to the protocol
// actor. It is emqttd_ws_client, and emqttd_client for TCP and TLS: after the
// upgrade a WebSocket message and a TCP segment are both a chunk of bytes, so one
// actor serves all transports.
//
// Only this actor appends to the out-buffer, whole packets. It keeps the topic
// aliases towards the client and watches the keep alive.
//
// Supervised by client_sup of its event loop (simple_one_for_one). A crash loses
// nothing: what is in the out-buffer is the loop's, what is decided and not yet
// appended is in the cell. In emqttd a crash of the ws_loop process took this one
// along through its link, without the will.
package wsclient

import (
	"sync/atomic"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/trace"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// Memory is what the client actor of one connection knows.
type Memory struct {
	conn      *cast.Conn
	state     state
	aliases   cell.Map[string, uint16] // broker -> client [v5 3.3.2.3.4]; len <= aliasMax
	keepAlive cell.TimerFired

	packetsOut, messagesOut atomic.Int64 // counted as the metrics are
}

type state struct {
	version   packet.Version
	closing   bool // a Shutdown was performed: nothing more is written
	aliasMax  uint16
	maxPacket uint32
	keepAlive time.Duration // 0: not watched
	clientID  string
	session   *cell.Cell
	heard     int64 // when the last whole packet came
	packets   int64 // received
	messages  int64 // of them, PUBLISHes
}

var slot = cell.NewSlot[state]()

// Init gives a connection its client actor.
func Init(kind *cell.Kind, conn *cast.Conn, owner cell.Owner, g *group.Group) {
	m := &Memory{conn: conn}
	cell.Init(&conn.Client, kind, "", g, owner)
	cell.InitTimer(&m.keepAlive, &conn.Client, 0)
	conn.ClientMemory = m
}

// Kind makes the actor kind.
func Kind(env *cast.Env) *cell.Kind {
	return &cell.Kind{Name: "ws_client", NameOf: func(c *cell.Cell) string { return cast.ConnOf(c).Name() + "/client" }, Module: "emqttd_ws_client", New: func(c *cell.Cell) cell.Stage {
		return &client{Memory: cast.ConnOf(c).ClientMemory.(*Memory), env: env}
	}}
}

type client struct {
	*Memory
	env *cast.Env
	rel packet.Ack // what pubrel writes: one for each would be garbage
}

// Receive implements cell.Stage.
func (c *client) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *cast.Received:
		c.received(ctx, msg)
	case *cast.Deliver:
		c.deliver(ctx, msg)
	case *cast.Send:
		c.send(ctx, msg)
	case *cast.Connected:
		c.connected(ctx, msg)
	case *cast.Shutdown:
		c.shutdown(ctx, msg)
	case *cast.Drained:
		if s := c.state.session; s != nil {
			ctx.Cast(s, &cast.Drained{})
		}
	case *cell.TimerFired:
		c.watch(ctx)
	case *cast.Faulty:
		ctx.Keep()
		ctx.Cast(&c.conn.Protocol, msg)
	case *cast.Closed:
		ctx.Keep()
		ctx.Clear(c.keepAlive.Timer())
		c.trace(ctx, trace.Event{Step: trace.Closed, Reason: msg.Reason.String()})
		ctx.Cast(&c.conn.Protocol, msg)
		ctx.End()
	case *cell.Poison:
		c.poison(ctx, msg)
	case *cell.Skip:
	default:
		c.env.Log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

// received passes the packets on: {received, Packet}.
func (c *client) received(ctx *cell.Context, r *cast.Received) {
	var packets [16]int64 // counted together: an effect per packet would cost more than the packet
	var messages [3]int64
	for _, p := range r.Packets {
		switch p := p.(type) {
		case *packet.Publish:
			packets[packet.PUBLISH]++
			messages[p.QoS]++
		case *packet.Ack:
			packets[p.Kind]++
		default:
			packets[p.Type()]++
		}
	}
	count(ctx, packets[:], c.env.Metrics.PacketsReceived[:])
	count(ctx, messages[:], c.env.Metrics.MessagesReceived[:])
	if c.env.Trace.On() {
		c.traceReceived(ctx, r)
	}
	s := slot.Edit(ctx, &c.state)
	s.heard = ctx.Now()
	s.packets += int64(len(r.Packets))
	s.messages += packets[packet.PUBLISH]
	ctx.Keep()
	ctx.Cast(&c.conn.Protocol, r)
}

// connected takes what CONNECT settled and starts the keep alive: {keepalive,
// start, Interval}.
func (c *client) connected(ctx *cell.Context, msg *cast.Connected) {
	s := slot.Edit(ctx, &c.state)
	s.version, s.maxPacket, s.aliasMax, s.clientID, s.session = msg.Version, msg.MaxPacket, msg.AliasMax, msg.ClientID, msg.Session
	s.keepAlive = time.Duration(msg.KeepAlive)
	if s.keepAlive > 0 {
		ctx.Arm(c.keepAlive.Timer(), ctx.Now()+msg.KeepAlive)
	}
}

// watch is the keep alive's timer. Packets only note when they came, so they touch
// no timer; what counts are whole packets, since a client that sends one byte a
// minute is not alive [v3.1.1 MQTT-3.1.2-24, v5 MQTT-3.1.2-22].
func (c *client) watch(ctx *cell.Context) {
	if c.state.closing || c.state.keepAlive == 0 {
		return
	}
	if c.conn.Unread.Load() { // what it says cannot be heard
		ctx.Arm(c.keepAlive.Timer(), ctx.Now()+int64(c.state.keepAlive))
		return
	}
	if due := max(c.state.heard, c.conn.Resumed.Load()) + int64(c.state.keepAlive); due > ctx.Now() {
		ctx.Arm(c.keepAlive.Timer(), due)
		return
	}
	ctx.Cast(&c.conn.Protocol, &cast.Silent{})
}

// send writes packets; an acknowledgement that is too large for the client goes
// without its reason string and user properties.
func (c *client) send(ctx *cell.Context, msg *cast.Send) {
	if slot.See(ctx, &c.state).closing {
		return
	}
	v := msg.Version
	if v == 0 {
		v = packet.V311
	}
	b := ctx.Bytes()
	var sent [16]int64
	for _, p := range msg.Packets {
		b = c.append(ctx, b, p, v, &sent)
	}
	trace := c.traced(ctx)
	for i := range msg.Acks {
		a := &msg.Acks[i]
		if short, ok := serializer.AppendShortAck(b, a, v); ok && !trace && (c.state.maxPacket == 0 || c.state.maxPacket >= serializer.ShortAck) {
			b = short
			sent[a.Kind]++
			continue
		}
		b = c.append(ctx, b, a, v, &sent)
	}
	count(ctx, sent[:], c.env.Metrics.PacketsSent[:])
	ctx.Count(&c.packetsOut, int64(msg.Len()))
	ctx.Write(c.conn.Socket, b)
}

// append appends one packet, unless the client does not take it.
func (c *client) append(ctx *cell.Context, b []byte, p packet.Packet, v packet.Version, sent *[16]int64) []byte {
	if c.state.maxPacket > 0 && !serializer.FitReason(p, v, c.state.maxPacket) {
		c.trace(ctx, trace.Event{Step: trace.Dropped, Reason: "larger than the client takes", Packet: p.Type().String()})
		return b // [v5 MQTT-3.1.2-24]: it must not be sent
	}
	if c.traced(ctx) {
		c.traceSent(ctx, p)
	}
	b, err := serializer.Append(b, p, v)
	if err != nil {
		panic("ws_client: " + p.Type().String() + ": " + err.Error())
	}
	sent[p.Type()]++
	return b
}

// count adds each n to its counter.
func count(ctx *cell.Context, n []int64, counters []metrics.Counter) {
	for i := range n {
		if n[i] > 0 {
			ctx.Count(&counters[i], n[i])
		}
	}
}

// deliver writes messages: {deliver, Msg}.
func (c *client) deliver(ctx *cell.Context, msg *cast.Deliver) {
	if c.state.closing {
		return
	}
	b := ctx.Bytes()
	var messages [3]int64
	var p packet.Publish
	for i := range msg.Deliveries {
		d := &msg.Deliveries[i]
		session.ToPublish(&p, d, c.state.version, ctx.Now())
		if c.state.aliasMax > 0 {
			c.alias(ctx, &p)
		}
		var err error
		if b, err = serializer.AppendPublish(b, &p, c.state.version); err != nil {
			panic("ws_client: PUBLISH: " + err.Error())
		}
		messages[d.QoS]++
		if msg.Traced && c.env.Trace.Wants(ctx.Now(), c.state.clientID, d.Message.From, d.Message.Topic, c.conn.Peer) {
			c.traceDelivery(ctx, d)
		}
	}
	for _, id := range msg.Pubrel {
		b = c.pubrel(ctx, b, id, packet.Success)
	}
	for _, id := range msg.PubrelBad {
		b = c.pubrel(ctx, b, id, packet.PacketIDNotFound)
	}
	c.measure(ctx, msg.Deliveries)
	count(ctx, messages[:], c.env.Metrics.MessagesSent[:])
	n, releases := int64(len(msg.Deliveries)), int64(len(msg.Pubrel)+len(msg.PubrelBad))
	ctx.Count(&c.env.Metrics.PacketsSent[packet.PUBLISH], n)
	if releases > 0 {
		ctx.Count(&c.env.Metrics.PacketsSent[packet.PUBREL], releases)
	}
	ctx.Count(&c.messagesOut, n)
	ctx.Count(&c.packetsOut, n+releases)
	ctx.Write(c.conn.Socket, b)
}

func (c *client) pubrel(ctx *cell.Context, b []byte, id packet.ID, code packet.ReasonCode) []byte {
	c.rel = packet.Ack{Kind: packet.PUBREL, ID: id, Code: code}
	if c.traced(ctx) {
		c.traceSent(ctx, &c.rel)
	}
	b, err := serializer.Append(b, &c.rel, c.state.version)
	if err != nil {
		panic("ws_client: PUBREL: " + err.Error())
	}
	return b
}

// measure takes down how late deliveries are, by the first of them, and counts
// the topics that an operator has asked for.
func (c *client) measure(ctx *cell.Context, all []cast.Delivery) {
	if len(all) == 0 {
		return
	}
	if first := all[0].Message; !all[0].Retain {
		if metrics.Sampled(ctx.Now()) {
			now := ctx.Group().Clock().Now() // the turn's own time stands still
			c.env.Metrics.Delivery.Count(ctx, time.Duration(now-first.At))
		}
		// What waited while the client was away is not its slowness.
		if late := time.Duration(ctx.Now() - max(first.At, c.conn.Opened)); c.env.Slow.Late(late) {
			c.env.Slow.Note(ctx, c.state.clientID, first.Topic, late)
		}
	}
	if c.env.Topics.On() {
		for i := range all {
			if t := c.env.Topics.Find(all[i].Message.Topic); t != nil {
				ctx.Count(&t.Sent[all[i].QoS], 1)
			}
		}
	}
}

// alias replaces a topic that the client knows by its alias, or tells it one
// while there are some left.
func (c *client) alias(ctx *cell.Context, p *packet.Publish) {
	n, known := c.aliases.Get(ctx, string(p.Topic))
	if !known {
		used := c.aliases.Seen(ctx)
		if used >= int(c.state.aliasMax) {
			return
		}
		n = uint16(used + 1)
		c.aliases.Put(ctx, string(p.Topic), n)
	}
	q := packet.Properties{}
	if p.Properties != nil {
		q = *p.Properties
	}
	q.Set(packet.PropTopicAlias).TopicAlias = n
	p.Properties = &q
	if known {
		p.Topic = nil
	}
}

// shutdown writes the last packet and closes the socket behind it: {stop,
// Reason}.
func (c *client) shutdown(ctx *cell.Context, msg *cast.Shutdown) {
	if slot.See(ctx, &c.state).closing {
		return
	}
	if msg.Packet != nil {
		c.send(ctx, cast.NewSend(msg.Version, msg.Packet))
	}
	slot.Edit(ctx, &c.state).closing = true
	ctx.Clear(c.keepAlive.Timer())
	ctx.Submit(c.conn.Socket, &cast.Control{Op: cast.CloseSocket, Reason: msg.Reason, Detail: msg.Detail})
}

// poison: packets from the socket are the protocol actor's to answer; a delivery
// that cannot be written is dropped and its session told nothing, since a QoS 1
// or 2 message will be sent again when the client comes back. The end of the
// connection comes all the same.
func (c *client) poison(ctx *cell.Context, p *cell.Poison) {
	switch m := p.Message.(type) {
	case *cast.Deliver:
		ctx.Count(&c.env.Metrics.Dropped[metrics.DropPoison], int64(len(m.Deliveries)))
	case *cast.Closed:
		ctx.Cast(&c.conn.Protocol, &cast.Closed{Reason: m.Reason, Err: m.Err})
		ctx.End()
		return
	case *cast.Shutdown:
		c.shutdown(ctx, m)
		return
	}
	ctx.Cast(&c.conn.Protocol, &cast.Kick{Code: packet.ImplementationSpecificError, Reason: metrics.ClosePoison})
}
