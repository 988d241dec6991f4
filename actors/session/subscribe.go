// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/actors/trace"
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

	tell  func([]packet.ReasonCode) // of an operator's change, who gets codes in the client's stead
	codes []packet.ReasonCode
}

// lookup is a filter whose retained messages are owed to the client.
type lookup struct {
	sub    *subscription
	cursor topic.Cursor
	max    uint64 // positions above arrive live
	token  uint64 // of the SUBSCRIBE: what came live before it is owed again
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
			st.traceFilter(trace.Refused, want.Filter, ack.Codes[i])
			continue
		}
		code, look, op := st.subscribeOne(token, want, msg.Packet.Properties)
		ack.Codes[i] = code
		st.traceFilter(trace.Subscribed, want.Filter, code)
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
		st.follow(token, committing{kind: thenRouted})
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
		st.traceFilter(trace.Unsubscribed, filter, packet.Success)
		st.subs.Delete(st.x, filter)
		st.unroute(sub, token)
		st.purge(sub)
		p.left++
		ops = append(ops, store.Op{Kind: store.DelFilter, Session: st.number, Filter: &store.Filter{Text: filter}})
	}
	if st.durable() && len(ops) > 0 {
		st.x.Submit(st.pub.Log, &store.Commit{Ops: ops, Reply: st.cell, Tag: token})
		st.follow(token, committing{kind: thenRouted})
		p.left++
	}
	st.pend(token, p)
}

// purgeSteps bounds the matches that an UNSUBSCRIBE may cost.
const purgeSteps = 1 << 14

// purge drops what waits for a subscription that is gone and for no other. Where
// that would take too long it stays and is delivered, as the standard allows
// [v3.1.1 3.10.4, v5 3.10.4].
func (st *stage) purge(gone *subscription) {
	n := st.queue.Len(st.x)
	if n*(1+st.subs.Seen(st.x)) > purgeSteps {
		return
	}
	for range n {
		it, _ := st.dequeue()
		if topic.Match(gone.match, it.msg.Topic) && !st.wanted(it.msg.Topic) {
			st.refuse(it, metrics.DropUnsubscribed)
			continue
		}
		st.push(it)
	}
}

// wanted reports whether a subscription matches the topic.
func (st *stage) wanted(name string) bool {
	for filter := range st.subs.All {
		if sub, still := st.subs.Get(st.x, filter); still && topic.Match(sub.match, name) {
			return true
		}
	}
	return false
}

func (st *stage) unroute(sub *subscription, token uint64) {
	r := &cast.Route{Filter: sub.match, Group: sub.group, Old: sub.Subscription, Reply: st.cell, Token: token}
	st.x.Cast(st.env.Pick(st.env.Router, sub.match), r)
}

// unrouteAll removes all subscriptions; nobody waits for it but the end of the
// session.
func (st *stage) unrouteAll() {
	for _, filter := range st.filters() {
		sub, still := st.subs.Get(st.x, filter)
		if !still {
			continue
		}
		st.subs.Delete(st.x, filter)
		st.unroute(sub, ending)
		st.s.destroying++
	}
}

// filters are the filters subscribed to, sorted: the order of a map decides
// nothing.
func (s *Session) filters() []string {
	all := make([]string, 0, s.subs.Len())
	for filter := range s.subs.All {
		all = append(all, filter)
	}
	slices.Sort(all)
	return all
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
	if p.tell != nil {
		st.told(p)
		return
	}
	if p.epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	st.tell(p.answer)
	st.owe(p.lookups)
}

// owe notes that the retained messages of filters are owed to the client.
func (st *stage) owe(lookups []lookup) {
	for _, l := range lookups {
		l.max = l.sub.Start.Load()
		st.lookups.Push(st.x, l)
	}
}

// lookup delivers retained messages as long as client and window take them, and
// asks for the next batch when the last is through: a slow reader gets all of
// them, and none of them waits in the session's bounded queue but the next.
func (st *stage) lookup() {
	s := st.s
	st.walk()
	if s.looking || s.congested || len(s.batch) > 0 || st.queue.Len(st.x) > 0 {
		return
	}
	for s.walking == nil || !st.stands(s.walking) {
		if st.lookups.Len(st.x) == 0 {
			s.walking = nil
			st.forget()
			return
		}
		l, _ := st.lookups.Peek(st.x) // on the heap, so not before there is one
		st.lookups.Pop(st.x)
		s.walking = &l
	}
	// A token of its own: after a lost connection the answer to an earlier Match may
	// still be on its way.
	s.looking, s.lookToken = true, st.tag()
	st.x.Cast(st.env.Retainer, &cast.Match{Filter: s.walking.sub.match, Cursor: s.walking.cursor,
		Max: st.env.Limits().RetainedBatch, Reply: st.cell, Token: s.lookToken})
}

// stands reports whether the subscription is neither gone nor replaced.
func (st *stage) stands(l *lookup) bool {
	now, still := st.subs.Get(st.x, l.sub.Filter)
	return still && now == l.sub
}

// forget lets go what came live before its lookup began, once none is to come.
func (st *stage) forget() {
	if st.asked.Seen(st.x) > 0 {
		return
	}
	for seq := range st.early.All {
		st.early.Delete(st.x, seq)
	}
}

// matched takes a batch of retained messages.
func (st *stage) matched(msg *cast.Matched) {
	s := st.s
	if s.walking == nil || !s.looking || s.lookToken != msg.Token {
		return
	}
	s.looking, s.batch, s.batchOf = false, msg.Messages, s.walking
	if msg.Done {
		s.walking = nil
		return
	}
	rest := *s.walking
	rest.cursor = msg.Cursor
	s.walking = &rest
}

// walk delivers what the batch has, with the retain flag set
// [v3.1.1 MQTT-3.3.1-8, v5 MQTT-3.3.1-8].
func (st *stage) walk() {
	s, l := st.s, st.s.batchOf
	if len(s.batch) > 0 && !st.stands(l) {
		s.batch = nil
	}
	for len(s.batch) > 0 && !s.congested && st.queue.Len(st.x) == 0 {
		m := s.batch[0]
		s.batch = s.batch[1:]
		if m.ID.Seq > l.max {
			continue // published after the subscription: it came live
		}
		if at, live := st.early.Get(st.x, m.ID.Seq); live && at >= l.token || l.sub.NoLocal && m.From == st.clientID {
			continue
		}
		st.x.Blame(m)
		st.offer(item{msg: m, qos: min(m.QoS, l.sub.QoS), retain: true, subIDs: l.sub.SubIDs, found: true})
	}
	st.x.Blame(nil)
	if len(s.batch) == 0 {
		s.batch, s.batchOf = nil, nil
	}
}
