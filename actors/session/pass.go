// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/actors/trace"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// A message of a shared group that its member does not take goes to another one.
// What the store has of it goes with it, so that a broker that is killed has it
// for one of them. QoS 2 is stricter: it must not reach the second one while a
// kill could bring it back to the first.

// passing is how a message is passed on.
type passing struct {
	sent   bool      // it is in flight: QoS 2 stays [v5 MQTT-4.8.2-4 -5]
	id     packet.ID // under which it is, if it is to be struck off there
	number uint64    // the session's, if the store is to strike it off
	hold   bool      // QoS 2 waits for the commit that ends the session
}

// pass gives a message of a shared group to another member, and counts what
// nobody gets.
func (st *stage) pass(it item, p passing) {
	switch {
	case it.share == nil || p.sent && it.qos == packet.QoS2:
		st.traceItem(trace.Dropped, metrics.DropSessionEnded.String(), &it, 0)
		st.drop(metrics.DropSessionEnded, 1)
		if p.number != 0 {
			st.ops = append(st.ops, store.Op{Kind: store.Discard, Session: p.number, Message: it.msg})
		}
	case it.qos == packet.QoS2 && p.hold:
		st.s.passing = append(slices.Clip(st.s.passing), it)
	default:
		st.traceItem(trace.Routed, "to another member of its group", &it, 0)
		st.x.Cast(st.env.Pick(st.env.Router, st.self.ClientID), // behind the removal of its own routes
			&cast.Redispatch{Share: it.share, Message: it.msg, From: st.Cell(), Number: p.number, ID: p.id})
	}
}

// passHeld passes on what waited for the end of the session in the store.
func (st *stage) passHeld() {
	s := st.s
	if len(s.passing) == 0 || s.committed < s.passTag {
		return
	}
	for _, it := range s.passing {
		st.pass(it, passing{})
	}
	s.passing = nil
}

// passOffline passes on what waits for a client that is gone, if there is a
// member that is not.
func (st *stage) passOffline() {
	o := owning{st: st, steps: purgeSteps}
	for range st.queue.Len(st.x) {
		it, _ := st.dequeue()
		if !o.mayGo(&it) {
			st.push(it)
			continue
		}
		st.pass(it, passing{number: st.recorded(it.msg, it.qos)})
	}
	st.passAside(&o)
	for id, f := range st.inflight.All {
		if f.qos != packet.QoS1 || !o.mayGo(&f.item) {
			continue
		}
		st.inflight.Delete(st.x, id)
		st.busy(f.item, -1)
		st.pass(f.item, passing{sent: true, id: id, number: st.recorded(f.msg, f.qos)})
	}
}

// owning knows whether messages are a session's by a subscription of its own, too.
type owning struct {
	st    *stage
	steps int // matches that are left
	name  string
	own   bool // what the session has is about name
	known bool
}

// mayGo reports whether a message of a shared group may go to another member
// while the session stays. In a session that the store has, QoS 2 stays: it is
// the client's when it comes back [v5 MQTT-4.8.2-4], and the others' when the
// session ends. So does what is the session's by a subscription of its own, too:
// the store has it once for both.
func (o *owning) mayGo(it *item) bool {
	st := o.st
	switch {
	case it.share == nil || !st.pub.Table.Others(it.share, st.Cell()):
		return false
	case !st.s.kept:
		return true
	}
	return it.qos != packet.QoS2 && !o.has(it.msg.Topic)
}

// has reports whether a subscription of the session's own matches. At the end of
// its steps it says that one does: the message stays.
func (o *owning) has(name string) bool {
	if o.known && o.name == name {
		return o.own
	}
	if o.steps -= 1 + o.st.subs.Seen(o.st.x); o.steps < 0 {
		return true
	}
	o.name, o.own, o.known = name, false, true
	for filter := range o.st.subs.All {
		if sub, still := o.st.subs.Get(o.st.x, filter); still && !o.own {
			match, group := sub.Share()
			o.own = group == "" && topic.Match(match, name)
		}
	}
	return o.own
}

// recorded is the session's number if the store has the message for it.
func (st *stage) recorded(m *message.Message, qos packet.QoS) uint64 {
	if !st.s.kept || qos == packet.QoS0 || m.ID.Seq == 0 {
		return 0
	}
	return st.self.Number
}

// late takes messages that were on their way by a subscription of the session
// that this one has replaced, or that has ended: the next session did not ask for
// them [v3.1.1 MQTT-3.1.2-6, v5 MQTT-3.1.2-4], another member of a shared group
// did.
func (st *stage) late(d *cast.Dispatch) {
	for _, m := range d.Messages {
		it := item{msg: d.Kept(m), qos: min(m.QoS, d.Sub.QoS), share: d.Share}
		p := passing{hold: st.s.committed < st.s.passTag}
		if st.s.destroyed || !st.wanted(m.Topic) {
			p.number = st.recorded(m, it.qos) // it may stand behind the new record
		}
		st.pass(it, p)
	}
}
