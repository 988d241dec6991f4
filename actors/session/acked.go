// SPDX-License-Identifier: Apache-2.0

package session

import (
	"emqttd/actors/cast"
	"emqttd/actors/store"
	"emqttd/actors/trace"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// acked takes acknowledgements of the client: {puback | pubrec | pubcomp,
// PktId}.
func (st *stage) acked(msg *cast.Acked) {
	if msg.Epoch != st.s.epoch {
		return
	}
	w := st.inflight.Edit(st.x)
	for _, a := range msg.Acks {
		f := w.Look(a.ID)
		switch {
		case f != nil && !f.takes(a.Kind):
			st.fault(packet.FaultAckKind)
			return
		case a.Kind == packet.PUBREC:
			st.pubrec(a, f)
		case f != nil:
			st.done(w, a.ID, f)
		}
	}
}

// takes tells whether an acknowledgement of that kind is one that f can have
// [v3.1.1 4.3, v5 4.3]. A PUBREC may come twice: what it is answered may have been
// lost with the connection.
func (f *flight) takes(kind packet.Type) bool {
	switch kind {
	case packet.PUBACK:
		return f.qos == packet.QoS1
	case packet.PUBREC:
		return f.qos == packet.QoS2
	default:
		return f.qos == packet.QoS2 && f.released
	}
}

// done ends what is in flight under id.
func (st *stage) done(w *cell.WindowEdit[packet.ID, flight], id packet.ID, f *flight) {
	st.traceItem(trace.Acknowledged, "", &f.item, id)
	if st.durable() {
		st.lazily(st.op(store.DelInflight, id, f))
	}
	if f.share != nil {
		st.busy(f.item, -1)
	}
	w.Delete(id)
}

// pubrec answers PUBREC: a failure discards the message [v5 MQTT-4.8.2-6], an
// identifier that is not in use is released all the same [v5 3.6.2.1].
func (st *stage) pubrec(msg cast.Ack, f *flight) {
	switch {
	case f == nil:
		if !msg.Code.Failed() && st.live() {
			d := st.deliver()
			d.PubrelBad = append(d.PubrelBad, msg.ID)
		}
	case msg.Code.Failed():
		st.done(st.inflight.Edit(st.x), msg.ID, f)
	default:
		f := *f
		f.released = true
		if st.durable() {
			f.tag = st.commit(committing{kind: thenRelease, id: msg.ID}, st.op(store.PutInflight, msg.ID, &f))
		} else if st.live() {
			d := st.deliver()
			d.Pubrel = append(d.Pubrel, msg.ID)
		}
		st.inflight.Put(st.x, msg.ID, f)
	}
}

// resend sends what is in flight under id again, if its commit is durable.
func (st *stage) resend(id packet.ID, dup bool) {
	f, ok := st.inflight.Get(st.x, id)
	if !ok || !st.live() || f.tag > st.s.committed {
		return
	}
	st.x.Blame(f.msg)
	if f.released {
		st.deliver().Pubrel = append(st.deliver().Pubrel, id)
	} else {
		st.traceItem(trace.Delivered, again(dup), &f.item, id)
		st.put(cast.Delivery{Message: f.msg, QoS: f.qos, Retain: f.retain, Dup: dup, ID: id, IDs: f.ids})
	}
	if f.epoch != st.s.epoch {
		f.epoch = st.s.epoch
		st.inflight.Put(st.x, id, f)
	}
	st.x.Blame(nil)
}
