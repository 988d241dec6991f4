// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"emqttd/actors/cast"
	"emqttd/protocol/packet"
)

// A client that has much to say says it to one topic. What is decided about the
// first PUBLISH of such a run (the rules of the protocol, the access rules, who
// subscribes) holds for those behind it, up to their identifiers and payloads.

// run takes the PUBLISHes behind the one that was decided about last, as long as
// nothing about them has to be asked. What it leaves is taken one by one.
func (st *stage) run(r *cast.Received, led packet.QoS) {
	f := st.pub.Lead(st.x, st.topic, led)
	if f == nil || !st.unhindered(led) {
		return
	}
	limit := st.env.Limits().DeliveriesPerTurn
	for n := 0; ; n++ {
		p, ok := r.Current().(*packet.Publish)
		if !ok || p.QoS != led || p.Retain || p.Properties != nil || string(p.Topic) != st.topic || st.fanned > limit {
			st.pub.LeaveOut(st.x, f, n)
			f.Lend(st.loan)
			return
		}
		f.Add(st.message(p))
		st.fanned += f.Targets()
		if led == packet.QoS1 {
			st.puback(p.ID, packet.Success)
		}
		r.Next() // behind all of it: what crashes is p's
	}
}

// unhindered reports whether nothing has to be looked at for each PUBLISH of a QoS:
// no quota, no rate, no queue of PUBACKs, no identifiers that are in use, nobody who
// wants to see or count each.
func (st *stage) unhindered(qos packet.QoS) bool {
	s, lim := st.s, st.env.Limits()
	return s.phase == connected && !s.paused && !s.ratePaused && !s.behind && s.subscribing == 0 &&
		lim.RateMessages == 0 && lim.RateBytes == 0 && st.topicOf == lim && !st.traced() && !st.env.Topics.On() &&
		(qos == packet.QoS0 || st.acks.Len(st.x) == 0 && st.flying.Seen(st.x) == 0)
}
