// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"time"

	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/actors/trace"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// publish is PUBLISH: checks, then QoS 0 and 1 here, QoS 2 by the session, which
// holds the awaiting-rel set (as emqttd_session:publish/2 divides them).
func (st *stage) publish(p *packet.Publish) {
	if !st.checkPublish(p) {
		return
	}
	if p.QoS != packet.QoS0 && !st.quota(p) {
		return
	}
	if p.QoS == packet.QoS1 && st.inUse(p.ID) {
		st.x.Count(&st.env.Metrics.Faults[packet.FaultPacketIDInUse], 1)
		st.reject(p, packet.PacketIDInUse)
		return
	}
	if !st.allowed(acl.Operation{Action: acl.Publish, Topic: st.topic, QoS: p.QoS, Retain: p.Retain}) {
		st.denied(p)
		return
	}
	st.limitRate(len(p.Topic) + len(p.Payload))
	if p.QoS == packet.QoS2 {
		st.flying.Add(st.x, p.ID)
		st.handOn(cast.Release{ID: p.ID, Message: st.message(p), Durability: st.level()})
		return
	}
	st.publish1(p)
}

// message is the message of a PUBLISH that was checked. One that nobody has to keep
// is of st.loan. Not at the second attempt: what joins a fan-out that is committed is
// not the decision's to hold.
func (st *stage) message(p *packet.Publish) *message.Message {
	if p.QoS == packet.QoS0 && !p.Retain && p.Properties.Empty() && st.lends {
		if st.loan == nil {
			st.loan = message.Borrow()
		}
		return st.loan.FromPublish(p, st.topic, st.s.clientID, st.x.Now())
	}
	return st.slab.FromPublish(p, st.topic, st.s.clientID, st.x.Now())
}

// publish1 dispatches a QoS 0 or 1 message; PUBACK follows at once when nobody
// needs it after a restart, else behind its commit.
func (st *stage) publish1(p *packet.Publish) {
	s := st.s
	m := st.message(p)
	if n, ok := st.pub.Join(st.x, m, st.loan); ok {
		st.fanned += n
		if st.traced() {
			st.trace(session.RoutedEvent(p.Topic, s.clientID, p.QoS, len(p.Payload), n, "with the one before"))
		}
		if p.QoS == packet.QoS1 {
			st.ack(0, p.ID, packet.Success)
		}
		st.leads = true
		return
	}
	out := st.pub.Publish(st.x, m, st.publishing())
	st.fanned += out.Matched
	st.leads = out.Matched > 0 && !out.Waits
	if p.QoS == packet.QoS0 {
		return
	}
	code := out.Code
	if !code.Failed() && out.Matched == 0 {
		code = packet.NoMatchingSubscribers
	}
	tag := uint64(0)
	if out.Waits {
		s.token++
		tag = s.token
	}
	st.ack(tag, p.ID, code)
}

// publishing is how a message of QoS 0 or 1 is published: at the level of memory
// its PUBACK waits for nothing but those before it.
func (st *stage) publishing() session.Publishing {
	how := session.Publishing{Loan: st.loan, MayRefuse: st.s.version >= packet.V5, Early: st.level() == cast.Memory}
	if !how.Early {
		how.Reply, how.Tag = &st.conn.Protocol, st.s.token+1
	}
	return how
}

// level is how durable the acknowledgement of the PUBLISH has to be. A publisher
// that stays with one topic has its rules looked at once.
func (st *stage) level() cast.Durability {
	l := st.gate.Levels
	if l == nil || len(l.Rules) == 0 {
		return st.s.durability
	}
	if st.levelOf != st.topic {
		st.levelOf, st.topicLevel = st.topic, l.OfTopic(st.s.clientID, st.s.user, st.topic)
	}
	return st.topicLevel
}

// ack queues a PUBACK: they leave in the order of their PUBLISHes
// [v3.1.1 MQTT-4.6.0-2, v5 MQTT-4.6.0-2].
func (st *stage) ack(tag uint64, id packet.ID, code packet.ReasonCode) {
	if tag == 0 && st.acks.Len(st.x) == 0 {
		st.puback(id, code)
		return
	}
	st.acks.Push(st.x, ack{tag, id, code})
	st.flushAcks()
}

func (st *stage) flushAcks() {
	for {
		a, ok := st.acks.Peek(st.x)
		if !ok || a.tag > st.s.committed {
			break
		}
		st.acks.Pop(st.x)
		st.puback(a.id, a.code)
	}
	if st.s.paused && st.s.phase == connected && !st.s.ratePaused && !st.s.behind && st.outstanding() < st.env.Limits().ReceiveMaximum {
		st.unpause()
	}
}

// durable goes on with what waited for a commit.
func (st *stage) durable(msg *store.Committed) {
	if msg.Err != nil {
		st.shut(packet.ServerUnavailable, metrics.CloseInternal, msg.Err.Error())
		return
	}
	st.s.committed = max(st.s.committed, msg.Tag)
	if st.s.phase == connected || st.s.phase == leaving {
		st.flushAcks()
		st.left()
	}
}

// outstanding is what counts against the client's Receive Maximum: QoS 1 without
// PUBACK, QoS 2 without PUBCOMP.
func (st *stage) outstanding() int { return st.acks.Len(st.x) + st.flying.Seen(st.x) }

// quota holds the client to the Receive Maximum [v5 MQTT-3.3.4-7 to -9]; before
// 5.0, where nobody told it, it is not read until it is below.
func (st *stage) quota(p *packet.Publish) bool {
	if p.QoS == packet.QoS2 {
		if st.flying.Has(st.x, p.ID) {
			return true
		}
	}
	if st.outstanding() < st.env.Limits().ReceiveMaximum {
		return true
	}
	if st.s.version == packet.V5 {
		st.fault(packet.FaultReceiveMaximum, metrics.CloseFault)
		return false
	}
	st.pause()
	return true
}

// inUse reports whether an identifier belongs to a QoS 2 message that is not
// released yet, and so is not free for anything else [v5 MQTT-2.2.1-3].
func (st *stage) inUse(id packet.ID) bool {
	if st.s.version < packet.V5 {
		return false
	}
	return st.flying.Has(st.x, id)
}

// checkPublish holds a PUBLISH to the rules; it ends the connection where one is
// broken.
func (st *stage) checkPublish(p *packet.Publish) bool {
	lim := st.env.Limits()
	if f := st.resolveAlias(p, lim); f != packet.FaultNone {
		st.fault(f, metrics.CloseFault)
		return false
	}
	if !st.checkTopic(p.Topic, lim) {
		st.fault(packet.FaultTopicName, metrics.CloseFault)
		return false
	}
	if uint8(p.QoS) > lim.MaxQoS {
		st.shut(packet.QoSNotSupported, metrics.CloseFault, "qos above the maximum")
		return false
	}
	if p.Retain && !lim.Retain {
		st.shut(packet.RetainNotSupported, metrics.CloseFault, "retain is not available")
		return false
	}
	if p.Properties == nil {
		return true
	}
	switch {
	case st.tooMuch(p.Properties).Failed():
		st.shut(packet.QuotaExceeded, metrics.CloseFault, "too many or too large properties")
		return false
	case !validResponse(p.Properties):
		st.fault(packet.FaultResponseTopic, metrics.CloseFault)
		return false
	case p.Properties.Has(packet.PropPayloadFormat) && p.Properties.PayloadFormat == 1 && !packet.ValidText(p.Payload):
		return st.badPayload(p)
	}
	return true
}

// checkTopic holds a topic name to the rules and makes it st.topic. A publisher
// that stays with one topic has it checked and copied once; its messages share the
// string.
func (st *stage) checkTopic(name []byte, lim *cast.Limits) bool {
	if st.topic == string(name) && st.topicOf == lim {
		return true
	}
	if topic.ValidName(name, lim.Topics) != nil {
		return false
	}
	st.topic, st.topicOf = string(name), lim
	return true
}

// badPayload answers a payload that is not the text it says it is
// [v5 3.3.2.3.2].
func (st *stage) badPayload(p *packet.Publish) bool {
	if p.QoS == packet.QoS0 {
		st.fault(packet.FaultPayloadFormat, metrics.CloseFault)
		return false
	}
	st.x.Count(&st.env.Metrics.Faults[packet.FaultPayloadFormat], 1)
	st.reject(p, packet.PayloadFormatInvalid)
	return false
}

// resolveAlias puts the topic in the place of its alias [v5 MQTT-3.3.2-8 -9, 3.3.2.3.4].
func (st *stage) resolveAlias(p *packet.Publish, lim *cast.Limits) packet.Fault {
	if !p.Properties.Has(packet.PropTopicAlias) {
		return packet.FaultNone
	}
	alias := p.Properties.TopicAlias
	if alias == 0 || int(alias) > lim.AliasIn {
		return packet.FaultTopicAlias
	}
	if len(p.Topic) > 0 {
		if topic.ValidName(p.Topic, lim.Topics) != nil {
			return packet.FaultTopicName
		}
		st.aliases.Put(st.x, alias, string(p.Topic))
		return packet.FaultNone
	}
	name, ok := st.aliases.Get(st.x, alias)
	if !ok {
		return packet.FaultTopicAlias
	}
	p.Topic = []byte(name)
	return packet.FaultNone
}

func (st *stage) allowed(op acl.Operation) bool {
	return st.gate.Rules == nil || st.gate.Rules.Check(st.subject(), op).Allowed()
}

// subject is who asks for it, good until it is called again. What it is made of is
// in the state: whole, it would be 64 bytes more for each connection.
func (st *stage) subject() *acl.Subject {
	st.who = acl.Subject{ClientID: st.s.clientID, Username: st.s.user, Addr: st.conn.Peer.Addr(), Superuser: st.s.superuser}
	return &st.who
}

// denied answers what the rules do not allow. Before 5.0 the message is
// acknowledged and dropped [v3.1.1 MQTT-3.3.5-2]: a client that got no answer
// would send it for ever.
func (st *stage) denied(p *packet.Publish) {
	st.x.Count(&st.env.Metrics.Dropped[metrics.DropDenied], 1)
	st.tracePublish(trace.Denied, "by the access rules", p)
	if e := st.env.Log.Info(); e.Enabled() {
		e.Str("actor", st.conn.Protocol.Name()).Str("client_id", brief(st.s.clientID)).Bytes("topic", p.Topic).Msg("publish denied")
	}
	st.reject(p, packet.NotAuthorized)
}

func (st *stage) reject(p *packet.Publish, code packet.ReasonCode) {
	st.tracePublish(trace.Refused, code.String(), p)
	if st.s.version < packet.V5 {
		code = packet.Success
	}
	switch p.QoS {
	case packet.QoS1:
		st.ack(0, p.ID, code)
	case packet.QoS2:
		// By the session, so that it leaves in its turn [v3.1.1 MQTT-4.6.0-3, v5 MQTT-4.6.0-3].
		st.flying.Add(st.x, p.ID)
		st.handOn(cast.Release{ID: p.ID, Refused: true, Code: code})
	}
}

// answer sends what the session has decided, and frees what the packet held of
// the receive maximum.
func (st *stage) answer(msg *cast.Answer) {
	if msg.Epoch != st.s.epoch || st.s.phase != connected && st.s.phase != leaving {
		return
	}
	for _, p := range msg.Packets {
		st.send(p)
		if _, ok := p.(*packet.Suback); ok {
			st.subscribed()
		}
	}
	if len(msg.Acks) > 0 {
		s := st.sending()
		s.Acks = append(s.Acks, msg.Acks...)
		for i := range msg.Acks {
			if a := &msg.Acks[i]; a.Kind == packet.PUBCOMP || a.Kind == packet.PUBREC && a.Code.Failed() {
				st.flying.Remove(st.x, a.ID)
			}
		}
	}
	if msg.Finished {
		st.s.answered = true
		st.left()
		return
	}
	st.flushAcks()
}

// bucket is a token bucket that may go below zero: what was read is taken, and
// the connection is not read until the debt is paid.
type bucket struct {
	tokens float64
	at     int64
}

// take removes n tokens and is how long to wait for the next ones.
func (b *bucket) take(now int64, n, rate, burst float64) time.Duration {
	if rate <= 0 {
		return 0
	}
	if burst <= 0 {
		burst = rate
	}
	if b.at == 0 {
		b.tokens = burst
	} else {
		b.tokens = min(burst, b.tokens+rate*float64(now-b.at)/float64(time.Second))
	}
	b.at = now
	b.tokens -= n
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / rate * float64(time.Second))
}

// rates are a client's buckets, of messages and of their bytes.
type rates struct{ messages, bytes bucket }

var ratesSlot = cell.NewSlot[rates]()

// limitRate charges the client's buckets, which are made when there is a limit, and
// stops reading it when one is empty.
func (st *stage) limitRate(size int) {
	lim := st.env.Limits()
	if lim.RateMessages == 0 && lim.RateBytes == 0 {
		return
	}
	if st.rates == nil {
		st.rates = new(rates) // full, and so no part of the decision
	}
	r := ratesSlot.Edit(st.x, st.rates)
	wait := max(r.messages.take(st.x.Now(), 1, float64(lim.RateMessages), float64(lim.RateMessagesBurst)),
		r.bytes.take(st.x.Now(), float64(size), float64(lim.RateBytes), float64(lim.RateBytesBurst)))
	if wait > 0 && !st.s.ratePaused {
		st.s.ratePaused = true
		st.pause()
		st.x.Set(timerRate, st.x.Now()+int64(wait))
	}
}
