// SPDX-License-Identifier: Apache-2.0

package session

import (
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/actors/trace"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/cell"
)

// dispatch takes a run of messages that match a subscription: {dispatch, Topic,
// Msg}.
func (st *stage) dispatch(d *cast.Dispatch) {
	if d.Sub.Life != st.s.life {
		st.late(d)
		return
	}
	for _, m := range st.turnOver(d, st.straight(d)) {
		if d.Sub.Lookup && m.Retain && m.ID.Seq != 0 && st.lookedUp(m, d.Sub.Start.Load()) {
			continue // the lookup finds it; what there was no room to retain has no position
		}
		st.x.Blame(m)
		it := item{msg: d.Kept(m), qos: min(m.QoS, d.Sub.QoS), retain: m.Retain && d.Sub.AsPub, ids: d.Sub.IDs, share: d.Share}
		if it.qos > packet.QoS0 && d.Sub.Durable && d.Share == nil && m.ID.Seq != 0 {
			it.known = isStored
		}
		st.offer(it)
	}
	st.x.Blame(nil)
}

// straight hands on what of a run of messages has nothing in its way, from the
// front: what needs no look at window, queue, limits or store for each message. It
// returns the rest, which offer decides about one by one.
func (st *stage) straight(d *cast.Dispatch) []*message.Message {
	if len(d.Messages) == 0 || !st.live() || st.s.congested || st.s.maxPacket > 0 || st.inLine() > 0 || st.full() {
		return d.Messages
	}
	out := st.deliver()
	run := d.Messages[:min(len(d.Messages), maxDeliver-len(out.Deliveries))]
	n := 0
	traced := st.env.Trace.On() && st.traced(run[0]) // who has sent them, and to what topic, is the same for all
	if qos := min(d.Messages[0].QoS, d.Sub.QoS); qos == packet.QoS0 {
		if n = st.straight0(out, run, d, traced); n > 0 && d.Loan != nil {
			out.Lend(d.Loan)
		}
	} else if !st.durable() && !traced {
		n = st.straight1(out, run, d, qos)
	}
	return d.Messages[n:]
}

func (st *stage) straight0(out *cast.Deliver, run []*message.Message, d *cast.Dispatch, traced bool) int {
	for i, m := range run {
		if min(m.QoS, d.Sub.QoS) > packet.QoS0 || m.Retain || m.Expiry != 0 {
			return i
		}
		out.Deliveries = append(out.Deliveries, cast.Delivery{})
		x := &out.Deliveries[len(out.Deliveries)-1]
		x.Message, x.IDs = m, d.Sub.IDs
		if traced {
			st.noteItem(trace.Delivered, "", &item{msg: m}, 0)
		}
	}
	return len(run)
}

// straight1 sends QoS 1 or 2 messages of a session without a record in the store, as
// many as the window has room for. What they have in common is written to memory
// that is the window's already (see cell.WindowEdit).
func (st *stage) straight1(out *cast.Deliver, run []*message.Message, d *cast.Dispatch, qos packet.QoS) int {
	w := st.inflight.Edit(st.x)
	run = run[:max(0, min(len(run), st.s.window-w.Seen()))]
	n := 0
	for _, m := range run {
		if min(m.QoS, d.Sub.QoS) != qos || m.Retain || m.Expiry != 0 {
			break
		}
		n++
		st.launch(w, out, m, qos, d.Sub.IDs, d.Share)
	}
	if d.Share != nil && n > 0 {
		st.x.Count(&st.self.Busy, int64(n))
	}
	return n
}

// turnOver takes from the front of a run what pushes the oldest out of a queue that
// is full, of a session without a record in the store, for which none has to be
// looked at by itself: else a client that reads nothing costs those who publish as
// much as one that reads. It returns the rest.
func (st *stage) turnOver(d *cast.Dispatch, run []*message.Message) []*message.Message {
	lim := st.env.Limits()
	if len(run) == 0 || min(run[0].QoS, d.Sub.QoS) == packet.QoS0 || d.Share != nil || st.durable() || st.env.Trace.On() ||
		lim.MaxQueued == 0 || st.queue.Len(st.x) != lim.MaxQueued || st.left() > 0 {
		return run
	}
	q := st.queue.Edit(st.x)
	n, bytes := 0, 0
	for _, m := range run {
		old, qos, size := q.Front(), min(m.QoS, d.Sub.QoS), m.Size()
		more := size - old.size()
		if qos == packet.QoS0 || m.Retain || m.Expiry != 0 || old.share != nil || st.s.queued+bytes+more > lim.MaxQueuedBytes {
			break
		}
		st.x.Blame(m)
		q.Pop()
		it := q.Next()
		it.msg, it.qos, it.bytes, it.ids = m, qos, uint32(size), d.Sub.IDs
		bytes += more
		n++
	}
	if n > 0 {
		st.drop(metrics.DropQueueFull, n)
		st.charge(bytes)
	}
	return run[n:]
}

// launch puts a message that is neither retained nor sent again into the window, and
// hands it on.
func (st *stage) launch(w *cell.WindowEdit[packet.ID, flight], out *cast.Deliver, m *message.Message, qos packet.QoS, ids *cast.SubIDs, share *cast.ShareRef) {
	st.x.Blame(m)
	st.s.sent++
	id := w.Next(st.s.nextID)
	st.s.nextID = id
	f := w.Put(id) // field by field: what stood there before stays in what is left out
	f.msg, f.qos, f.retain, f.again, f.known, f.ids, f.share = m, qos, false, false, 0, ids, share
	f.order, f.released, f.tag, f.epoch = st.s.sent, false, 0, st.s.epoch
	out.Deliveries = append(out.Deliveries, cast.Delivery{})
	x := &out.Deliveries[len(out.Deliveries)-1]
	x.Message, x.QoS, x.ID, x.IDs = m, qos, id, ids
}

// lookedUp reports whether a retained message that arrives live is found, or
// was, by the lookup of its subscription: up to the position start. Before the
// position is known the message is delivered, and the lookup told to leave it
// out.
func (st *stage) lookedUp(m *message.Message, start uint64) bool {
	if start != 0 {
		return m.ID.Seq <= start
	}
	st.searching().early.Put(st.x, m.ID.Seq, st.s.token)
	st.s.owing = true // it is to be forgotten one day
	return false
}

// offer sends it now, or queues it, or drops it for one reason.
func (st *stage) offer(it item) {
	if it.msg.Expired(st.x.Now()) {
		st.refuse(it, metrics.DropExpired)
		return
	}
	if st.live() && !st.s.congested && st.inLine() == 0 && st.send(it) {
		return
	}
	st.enqueue(it)
}

// send sends it if the window and the out-buffer have room, or drops it because
// the client cannot take it; it reports false when it has to wait.
func (st *stage) send(it item) bool {
	if st.full() {
		return false
	}
	if st.tooLarge(it) {
		st.refuse(it, metrics.DropTooLarge)
		return true
	}
	if it.qos == packet.QoS0 {
		st.traceItem(trace.Delivered, "", &it, 0)
		st.put(cast.Delivery{Message: it.msg, Retain: it.retain, IDs: it.ids})
		return true
	}
	if st.inflight.Seen(st.x) >= st.s.window {
		return false
	}
	st.s.sent++
	id := st.allocate()
	f := flight{item: it, order: st.s.sent, epoch: st.s.epoch}
	st.busy(it, 1)
	if it.qos == packet.QoS2 && st.durable() {
		// The mapping is durable before the PUBLISH leaves: else the id of another
		// message after a restart would make a duplicate.
		ops := []store.Op{st.op(store.PutInflight, id, &f)}
		if it.known == isFound {
			if l := st.round().of; l != nil {
				if op, ok := st.progress(l, l.behind(it.msg)); ok {
					ops = append(ops, op)
				}
			}
		}
		f.tag = st.commit(committing{kind: thenDeliver, id: id}, ops...)
		st.inflight.Put(st.x, id, f)
		st.traceItem(trace.Queued, "its packet id has to be stored", &it, id)
		return true
	}
	st.traceItem(trace.Delivered, "", &it, id)
	st.inflight.Put(st.x, id, f)
	if st.durable() {
		st.lazily(st.op(store.PutInflight, id, &f))
	}
	st.put(cast.Delivery{Message: it.msg, QoS: it.qos, Retain: it.retain, Dup: it.again, ID: id, IDs: it.ids})
	return true
}

func (st *stage) op(kind store.OpKind, id packet.ID, f *flight) store.Op {
	op := store.Op{Kind: kind, Session: st.self.Number, ID: id, Message: f.msg, QoS: f.qos, Retain: f.retain}
	if f.released {
		op.Phase = store.Released
	}
	return op
}

func (st *stage) put(d cast.Delivery) {
	out := st.deliver()
	out.Deliveries = append(out.Deliveries, d)
}

// full reports whether the out-buffer is above its mark. What one decision may
// add to it is bounded, too.
func (st *stage) full() bool {
	if st.s.congested {
		return true
	}
	if st.s.conn.Pending.Load() < st.env.Limits().OutHigh && (st.out == nil || len(st.out.Deliveries) < maxDeliver) {
		return false
	}
	st.s.congested = true
	st.x.Submit(st.s.conn.Socket, &cast.Control{Op: cast.NotifyDrain})
	return true
}

// maxDeliver bounds the deliveries of one decision.
const maxDeliver = 1024

// allocate is the next packet identifier that is not in use; they go round the
// whole range.
func (st *stage) allocate() packet.ID {
	st.s.nextID = st.inflight.Next(st.x, st.s.nextID)
	return st.s.nextID
}

// tooLarge reports whether the client said that it takes no packet of this size
// [v5 MQTT-3.1.2-24].
func (st *stage) tooLarge(it item) bool {
	if st.s.maxPacket == 0 || st.s.version < packet.V5 {
		return false
	}
	d := cast.Delivery{Message: it.msg, QoS: it.qos, Retain: it.retain, ID: 1, IDs: it.ids}
	var p packet.Publish
	ToPublish(&p, &d, st.s.version, st.x.Now())
	n, err := serializer.Size(&p, st.s.version)
	return err != nil || uint32(n) > st.s.maxPacket
}

// ToPublish makes p the PUBLISH packet of a delivery in a version. It shares the
// message's memory. (In place, field by field: for a run of messages this is a
// tenth of all work, and was twice that by value.)
func ToPublish(p *packet.Publish, d *cast.Delivery, v packet.Version, now int64) {
	m := d.Message
	p.Dup, p.QoS, p.Retain, p.ID = d.Dup, d.QoS, d.Retain, d.ID
	p.Topic, p.Payload, p.Properties = bytesOf(m.Topic), m.Payload, nil
	if v < packet.V5 {
		return
	}
	if m.Expiry == 0 && d.IDs == nil {
		p.Properties = m.Properties
		return
	}
	props := packet.Properties{}
	if m.Properties != nil {
		props = *m.Properties
	}
	if m.Expiry != 0 {
		props.Set(packet.PropMessageExpiry).MessageExpiry = m.Left(now)
	}
	props.SubscriptionIDs = d.IDs.All()
	p.Properties = &props
}
