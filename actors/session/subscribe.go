// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"emqttd/actors/cast"
	"emqttd/actors/store"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// pendingSubscribe is a SUBSCRIBE or UNSUBSCRIBE on its way: the answer leaves
// when every route is effective and the store has it. It is immutable: each part
// that is done makes a new one.
type pendingSubscribe struct {
	left    int
	epoch   uint64
	answer  packet.Packet
	lookups []lookup
}

// lookup is a filter whose retained messages are owed to the client.
type lookup struct {
	sub    *subscription
	cursor topic.Cursor
	max    uint64 // positions above arrive live
	token  uint64
}

// subscribe adds subscriptions: {subscribe, TopicTable, AckFun}.
func (st *stage) subscribe(msg *cast.Subscribe) {
	if msg.Epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	ack := &packet.Suback{ID: msg.Packet.ID, Codes: slices.Clone(msg.Codes)}
	token := st.tag()
	p := &pendingSubscribe{epoch: st.s.epoch, answer: ack}
	var ops []store.Op
	for i, want := range msg.Packet.Subscriptions {
		if ack.Codes[i].Failed() {
			continue
		}
		code, look, op := st.subscribeOne(token, want, msg.Packet.Properties)
		ack.Codes[i] = code
		if code.Failed() {
			continue
		}
		p.left++
		if look != nil {
			p.lookups = append(p.lookups, *look)
		}
		ops = append(ops, op)
	}
	if st.durable() && len(ops) > 0 {
		st.x.Submit(st.pub.Log, &store.Commit{Ops: ops, Reply: st.cell, Tag: token})
		st.waiting.Put(st.x, token, committing{kind: thenRouted})
		p.left++
	}
	st.pend(token, p)
}

// subscribeOne makes or replaces one subscription [v3.1.1 MQTT-3.8.4-3, v5
// MQTT-3.8.4-3 -4].
func (st *stage) subscribeOne(token uint64, want packet.Subscription, props *packet.Properties) (packet.ReasonCode, *lookup, store.Op) {
	lim := st.env.Limits()
	old, had := st.subs.Get(st.x, want.Filter)
	if !had && st.subs.Seen(st.x) >= lim.MaxSubscriptions {
		return packet.QuotaExceeded, nil, store.Op{}
	}
	sub := &subscription{match: want.Filter}
	sub.Subscription = &cast.Subscription{Session: st.cell, Number: st.number, ClientID: st.clientID, Filter: want.Filter,
		QoS: min(want.QoS, packet.QoS(lim.MaxQoS)), NoLocal: want.NoLocal, AsPub: want.RetainAsPublished, Durable: st.durable()}
	if props.Has(packet.PropSubscriptionID) {
		sub.SubIDs = props.SubscriptionIDs
	}
	if share, shared, _ := topic.ParseShare(want.Filter); shared {
		sub.match, sub.group, sub.Share = share.Filter, share.Group, &st.member
		st.member.Session = st.cell
	}
	r := &cast.Route{Filter: sub.match, Group: sub.group, New: sub.Subscription, Reply: st.cell, Token: token}
	if had {
		r.Old = old.Subscription
	}
	var look *lookup
	if sub.group == "" && lim.Retain && (want.RetainHandling == 0 || want.RetainHandling == 1 && !had) {
		// Retained messages up to the position at which the route becomes
		// effective are looked up; it is known then.
		sub.Lookup = true
		look = &lookup{sub: sub, token: token}
		r.Position = st.pub.Log
	}
	st.subs.Put(st.x, want.Filter, sub)
	st.x.Cast(st.env.Pick(st.env.Router, sub.match), r)
	op := store.Op{Kind: store.PutFilter, Session: st.number, Filter: &store.Filter{Text: want.Filter, QoS: sub.QoS,
		NoLocal: sub.NoLocal, AsPub: sub.AsPub, RetainHandling: want.RetainHandling}}
	if len(sub.SubIDs) > 0 {
		op.Filter.SubID = sub.SubIDs[0]
	}
	return packet.ReasonCode(sub.QoS), look, op
}

// unsubscribe removes subscriptions: {unsubscribe, Topics}. What is in flight is
// finished [v3.1.1 MQTT-3.10.4-3, v5 MQTT-3.10.4-3].
func (st *stage) unsubscribe(msg *cast.Unsubscribe) {
	if msg.Epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	ack := &packet.Unsuback{ID: msg.Packet.ID}
	token := st.tag()
	p := &pendingSubscribe{epoch: st.s.epoch, answer: ack}
	var ops []store.Op
	for _, filter := range msg.Packet.Filters {
		sub, had := st.subs.Get(st.x, filter)
		if !had {
			ack.Codes = append(ack.Codes, packet.NoSubscriptionExisted)
			continue
		}
		ack.Codes = append(ack.Codes, packet.Success)
		st.subs.Delete(st.x, filter)
		st.unroute(sub, token)
		p.left++
		ops = append(ops, store.Op{Kind: store.DelFilter, Session: st.number, Filter: &store.Filter{Text: filter}})
	}
	if st.durable() && len(ops) > 0 {
		st.x.Submit(st.pub.Log, &store.Commit{Ops: ops, Reply: st.cell, Tag: token})
		st.waiting.Put(st.x, token, committing{kind: thenRouted})
		p.left++
	}
	st.pend(token, p)
}

func (st *stage) unroute(sub *subscription, token uint64) {
	r := &cast.Route{Filter: sub.match, Group: sub.group, Old: sub.Subscription, Reply: st.cell, Token: token}
	st.x.Cast(st.env.Pick(st.env.Router, sub.match), r)
}

// unrouteAll removes all subscriptions; nobody waits for it but the end of the
// session.
func (st *stage) unrouteAll() {
	for filter, sub := range st.subs.All {
		if _, still := st.subs.Get(st.x, filter); !still {
			continue
		}
		st.subs.Delete(st.x, filter)
		st.unroute(sub, ending)
		st.s.destroying++
	}
}

// ending is the token of routes that are removed because the session ends.
const ending = 0

// pend answers at once when nothing is left to wait for.
func (st *stage) pend(token uint64, p *pendingSubscribe) {
	if p.left == 0 {
		st.finishSubscribe(p)
		return
	}
	st.asked.Put(st.x, token, p)
}

// routed is told that a route is effective.
func (st *stage) routed(msg *cast.Routed) {
	if msg.Token == ending {
		st.s.destroying--
		st.end()
		return
	}
	if msg.Failed {
		if p, ok := st.asked.Get(st.x, msg.Token); ok && p.epoch == st.s.epoch {
			st.kick(packet.ImplementationSpecificError, 0)
		}
	}
	st.part(msg.Token)
}

// part counts one part of a SUBSCRIBE or UNSUBSCRIBE as done.
func (st *stage) part(token uint64) {
	p, ok := st.asked.Get(st.x, token)
	if !ok {
		return
	}
	q := *p
	q.left--
	if q.left > 0 {
		st.asked.Put(st.x, token, &q)
		return
	}
	st.asked.Delete(st.x, token)
	st.finishSubscribe(&q)
}

func (st *stage) finishSubscribe(p *pendingSubscribe) {
	if p.epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	st.x.Cast(&st.s.conn.Protocol, &cast.Answer{Epoch: p.epoch, Packet: p.answer})
	for _, l := range p.lookups {
		l.max = l.sub.Start.Load()
		st.lookups.Push(st.x, l)
	}
}

// lookup asks for the next batch of retained messages once the queue is empty:
// a slow reader gets all of them, and no more than a batch waits.
func (st *stage) lookup() {
	if st.s.looking || st.s.congested || st.queue.Len(st.x) > 0 {
		return
	}
	for {
		l, ok := st.lookups.Peek(st.x)
		if !ok {
			for seq := range st.early.All {
				st.early.Delete(st.x, seq)
			}
			return
		}
		if now, still := st.subs.Get(st.x, l.sub.Filter); !still || now != l.sub {
			st.lookups.Pop(st.x) // unsubscribed or replaced meanwhile
			continue
		}
		st.s.looking = true
		st.x.Cast(st.env.Retainer, &cast.Match{Filter: l.sub.match, Cursor: l.cursor,
			Max: st.env.Limits().RetainedBatch, Reply: st.cell, Token: l.token})
		return
	}
}

// matched delivers a batch of retained messages, with the retain flag set
// [v3.1.1 MQTT-3.3.1-8, v5 MQTT-3.3.1-8].
func (st *stage) matched(msg *cast.Matched) {
	l, ok := st.lookups.Peek(st.x)
	if !ok || !st.s.looking || l.token != msg.Token {
		return
	}
	st.s.looking = false
	for _, m := range msg.Messages {
		if m.ID.Seq > l.max {
			continue // published after the subscription: it came live
		}
		if _, live := st.early.Get(st.x, m.ID.Seq); live || l.sub.NoLocal && m.From == st.clientID {
			continue
		}
		st.offer(item{msg: m, qos: min(m.QoS, l.sub.QoS), retain: true, subIDs: l.sub.SubIDs})
	}
	// The one at the front is replaced by what is left of it: the queue has no
	// other way to change an element.
	st.lookups.Pop(st.x)
	if msg.Done {
		return
	}
	rest := make([]lookup, 0, st.lookups.Len(st.x))
	for {
		next, ok := st.lookups.Peek(st.x)
		if !ok {
			break
		}
		st.lookups.Pop(st.x)
		rest = append(rest, next)
	}
	l.cursor = msg.Cursor
	st.lookups.Push(st.x, l)
	for _, next := range rest {
		st.lookups.Push(st.x, next)
	}
}
