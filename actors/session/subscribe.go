// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"time"

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
	left   int
	epoch  uint64
	answer packet.Packet
	ops    []store.Op // for the store, when the routes are effective
	lookup *lookup    // what is owed then; nil: nothing

	tell  func([]packet.ReasonCode) // of an operator's change, who gets codes in the client's stead
	codes []packet.ReasonCode
}

// edit gathers what a SUBSCRIBE, an UNSUBSCRIBE or an operator changes.
type edit struct {
	routes []cast.Change
	owed   []*cast.Subscription // new ones whose retained messages are looked up
	ops    []store.Op           // of a durable session
	kept   []*store.Filter      // of ops, those of owed
	ids    *cast.SubIDs         // the subscription identifier of a SUBSCRIBE; nil: none
}

// subscribe adds subscriptions: {subscribe, TopicTable, AckFun}.
func (st *stage) subscribe(msg *cast.Subscribe) {
	if msg.Epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	ack := &packet.Suback{ID: msg.Packet.ID, Codes: slices.Clone(msg.Codes)}
	e := edit{routes: make([]cast.Change, 0, len(msg.Packet.Subscriptions))}
	for i, want := range msg.Packet.Subscriptions {
		if !ack.Codes[i].Failed() {
			ack.Codes[i] = st.subscribeOne(&e, want, msg.Packet.Properties)
		}
		st.traceFilter(trace.Subscribed, want.Filter, ack.Codes[i])
	}
	st.carryOut(&e, &pendingSubscribe{epoch: st.s.epoch, answer: ack})
}

// subscribeOne makes or replaces one subscription [v3.1.1 MQTT-3.8.4-3, v5
// MQTT-3.8.4-3 -4].
func (st *stage) subscribeOne(e *edit, want packet.Subscription, props *packet.Properties) packet.ReasonCode {
	lim := st.env.Limits()
	old, had := st.subs.Get(st.x, want.Filter)
	if !had && st.subs.Seen(st.x) >= lim.MaxSubscriptions {
		return packet.QuotaExceeded
	}
	sub := &cast.Subscription{Subscriber: &st.self, Filter: want.Filter, QoS: min(want.QoS, packet.QoS(lim.MaxQoS)),
		NoLocal: want.NoLocal, AsPub: want.RetainAsPublished, Durable: st.durable(), Life: st.s.life}
	if e.ids == nil && props.Has(packet.PropSubscriptionID) {
		e.ids = &cast.SubIDs{props.SubscriptionIDs[0]}
	}
	sub.IDs = e.ids
	_, group := sub.Share()
	if group != "" && !had {
		st.s.groups++
	}
	if group == "" && lim.Retain && (want.RetainHandling == 0 || want.RetainHandling == 1 && !had) {
		// Retained messages up to the position at which the route becomes
		// effective are looked up; it is known then.
		sub.Lookup = true
		e.owed = append(e.owed, sub)
	}
	st.subs.Put(st.x, want.Filter, sub)
	e.routes = append(e.routes, cast.Change{Old: old, New: sub})
	if st.durable() {
		f := &store.Filter{Text: want.Filter, QoS: sub.QoS, NoLocal: sub.NoLocal, AsPub: sub.AsPub, RetainHandling: want.RetainHandling}
		if e.ids != nil {
			f.SubID = (*e.ids)[0]
		}
		e.ops = append(e.ops, store.Op{Kind: store.PutFilter, Session: st.self.Number, Filter: f})
		if sub.Lookup {
			e.kept = append(e.kept, f)
		}
	}
	return packet.ReasonCode(sub.QoS)
}

// unsubscribe removes subscriptions: {unsubscribe, Topics}. What is in flight is
// finished [v3.1.1 MQTT-3.10.4-3, v5 MQTT-3.10.4-3].
func (st *stage) unsubscribe(msg *cast.Unsubscribe) {
	if msg.Epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	ack := &packet.Unsuback{ID: msg.Packet.ID}
	e := edit{routes: make([]cast.Change, 0, len(msg.Packet.Filters))}
	for _, filter := range msg.Packet.Filters {
		code, sub := st.unsubscribeOne(&e, filter)
		ack.Codes = append(ack.Codes, code)
		if sub != nil {
			st.traceFilter(trace.Unsubscribed, filter, packet.Success)
			st.purge(sub)
		}
	}
	st.carryOut(&e, &pendingSubscribe{epoch: st.s.epoch, answer: ack})
}

// unsubscribeOne removes one subscription and returns it, nil when there is none.
func (st *stage) unsubscribeOne(e *edit, filter string) (packet.ReasonCode, *cast.Subscription) {
	sub, had := st.subs.Get(st.x, filter)
	if !had {
		return packet.NoSubscriptionExisted, nil
	}
	st.subs.Delete(st.x, filter)
	if _, group := sub.Share(); group != "" {
		st.s.groups--
	}
	e.routes = append(e.routes, cast.Change{Old: sub})
	if st.durable() {
		e.ops = append(e.ops, store.Op{Kind: store.DelFilter, Session: st.self.Number, Filter: &store.Filter{Text: filter}})
	}
	return packet.Success, sub
}

// carryOut asks the router for what an edit has gathered; then the store, which is
// told with a subscription up to which position its retained messages are owed.
func (st *stage) carryOut(e *edit, p *pendingSubscribe) {
	token := st.tag()
	p.left, p.ops = st.route(e.routes, token), e.ops
	if len(e.owed) > 0 {
		p.lookup = &lookup{subs: e.owed, kept: e.kept, token: token}
	}
	st.pend(token, p)
}

// keep asks the store, when the routes are effective.
func (st *stage) keep(p pendingSubscribe) {
	ops := p.ops
	if p.lookup != nil {
		p.lookup, ops = st.owedIn(p.lookup, ops)
	}
	p.left, p.ops = 1, nil
	st.asked.Put(st.x, st.commit(committing{kind: thenRouted}, ops...), &p)
}

// route changes the routing table; it returns how many answers will come.
func (st *stage) route(changes []cast.Change, token uint64) (parts int) {
	to := st.env.Pick(st.env.Router, st.self.ClientID)
	for part := range slices.Chunk(changes, cast.MaxChanges) {
		st.x.Cast(to, &cast.Route{Changes: part, Reply: st.Cell(), Token: token, Position: st.pub.Log})
		parts++
	}
	return parts
}

// purgeSteps bounds the matches that an UNSUBSCRIBE may cost.
const purgeSteps = 1 << 14

// purge drops what waits for a subscription that is gone and for no other. Where
// that would take too long it stays and is delivered, as the standard allows
// [v3.1.1 3.10.4, v5 3.10.4].
func (st *stage) purge(gone *cast.Subscription) {
	n := st.queue.Len(st.x)
	if n*(1+st.subs.Seen(st.x)) > purgeSteps {
		return
	}
	match, _ := gone.Share()
	for range n {
		it, _ := st.dequeue()
		if topic.Match(match, it.msg.Topic) && !st.wanted(it.msg.Topic) {
			st.refuse(it, metrics.DropUnsubscribed)
			continue
		}
		st.push(it)
	}
}

// wanted reports whether a subscription matches the topic.
func (st *stage) wanted(name string) bool {
	for filter := range st.subs.All {
		if sub, still := st.subs.Get(st.x, filter); still {
			if match, _ := sub.Share(); topic.Match(match, name) {
				return true
			}
		}
	}
	return false
}

// unroute removes all subscriptions; nobody waits for it but the end of the session.
// One that is destroyed has nothing else to do: it removes cast.MaxChanges of them at
// a time, a millisecond apart: the end of a session of very many holds up no other
// client.
func (st *stage) unroute() {
	most := st.subs.Seen(st.x)
	if st.s.destroyed && most > cast.MaxChanges {
		most = cast.MaxChanges
		st.x.Set(timerUnroute, st.x.Now()+int64(time.Millisecond))
	}
	filters := make([]string, 0, most)
	for filter := range st.subs.All {
		if len(filters) == most {
			break // which ones is chance, where they are too many
		}
		if _, still := st.subs.Get(st.x, filter); still {
			filters = append(filters, filter)
		}
	}
	slices.Sort(filters) // the order of a map decides nothing
	routes := make([]cast.Change, 0, most)
	for _, filter := range filters {
		sub, _ := st.subs.Get(st.x, filter)
		st.subs.Delete(st.x, filter)
		routes = append(routes, cast.Change{Old: sub})
	}
	st.s.groups = 0
	st.s.destroying += st.route(routes, ending)
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
	if len(q.ops) > 0 && st.durable() {
		st.keep(q)
		return
	}
	st.finishSubscribe(&q)
}

func (st *stage) finishSubscribe(p *pendingSubscribe) {
	if p.tell != nil {
		st.told(p)
		return
	}
	if p.epoch == st.s.epoch && st.s.conn != nil {
		st.tell(p.answer)
	}
	// Also to a client that is gone before its SUBACK: this may replace a subscription
	// whose SUBACK it has, and whose retained messages are not through.
	st.owe(p.lookup)
}
