// SPDX-License-Identifier: Apache-2.0

package session

import (
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// dispatch takes a run of messages that match a subscription: {dispatch, Topic,
// Msg}.
func (st *stage) dispatch(d *cast.Dispatch) {
	for _, m := range d.Messages {
		if d.Sub.Lookup && m.Retain && st.lookedUp(m, d.Sub.Start.Load()) {
			continue
		}
		st.offer(item{msg: m, qos: min(m.QoS, d.Sub.QoS), retain: m.Retain && d.Sub.AsPub, subIDs: d.Sub.SubIDs, share: d.Share})
	}
}

// lookedUp reports whether a retained message that arrives live is found, or
// was, by the lookup of its subscription: up to the position start. Before the
// position is known the message is delivered, and the lookup told to leave it
// out.
func (st *stage) lookedUp(m *message.Message, start uint64) bool {
	if start != 0 {
		return m.ID.Seq <= start
	}
	st.early.Put(st.x, m.ID.Seq, struct{}{})
	return false
}

// offer sends it now, or queues it, or drops it for one reason.
func (st *stage) offer(it item) {
	if it.msg.Expired(st.x.Now()) {
		st.refuse(it, metrics.DropExpired)
		return
	}
	if st.live() && !st.s.congested && st.queue.Len(st.x) == 0 && st.send(it) {
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
		st.put(cast.Delivery{Message: it.msg, Retain: it.retain, SubIDs: it.subIDs})
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
		f.tag = st.commit(committing{kind: thenDeliver, id: id}, st.op(store.PutInflight, id, f))
		st.inflight.Put(st.x, id, f)
		return true
	}
	st.inflight.Put(st.x, id, f)
	st.lazily(st.op(store.PutInflight, id, f))
	st.put(cast.Delivery{Message: it.msg, QoS: it.qos, Retain: it.retain, ID: id, SubIDs: it.subIDs})
	return true
}

func (st *stage) op(kind store.OpKind, id packet.ID, f flight) store.Op {
	op := store.Op{Kind: kind, Session: st.number, ID: id, Message: f.msg, QoS: f.qos, Retain: f.retain}
	if f.released {
		op.Phase = store.Released
	}
	return op
}

func (st *stage) put(d cast.Delivery) { st.deliver().Deliveries = append(st.deliver().Deliveries, d) }

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
	st.x.Submit(st.s.conn.Control, &cast.Control{Op: cast.NotifyDrain})
	return true
}

// maxDeliver bounds the deliveries of one decision.
const maxDeliver = 1024

// allocate is the next packet identifier that is not in use; they go round the
// whole range.
func (st *stage) allocate() packet.ID {
	for {
		st.s.nextID++
		if st.s.nextID == 0 {
			st.s.nextID = 1
		}
		if _, used := st.inflight.Get(st.x, st.s.nextID); !used {
			return st.s.nextID
		}
	}
}

// tooLarge reports whether the client said that it takes no packet of this size
// [v5 MQTT-3.1.2-24].
func (st *stage) tooLarge(it item) bool {
	if st.s.maxPacket == 0 || st.s.version < packet.V5 {
		return false
	}
	d := cast.Delivery{Message: it.msg, QoS: it.qos, Retain: it.retain, ID: 1, SubIDs: it.subIDs}
	p := ToPublish(&d, st.s.version, st.x.Now())
	n, err := serializer.Size(&p, st.s.version)
	return err != nil || uint32(n) > st.s.maxPacket
}

// ToPublish is the PUBLISH packet of a delivery in a version. It shares the
// message's memory.
func ToPublish(d *cast.Delivery, v packet.Version, now int64) packet.Publish {
	p := packet.Publish{Dup: d.Dup, QoS: d.QoS, Retain: d.Retain, ID: d.ID, Payload: d.Message.Payload}
	p.Topic = bytesOf(d.Message.Topic)
	if v < packet.V5 {
		return p
	}
	m := d.Message
	if m.Expiry == 0 && len(d.SubIDs) == 0 {
		p.Properties = m.Properties
		return p
	}
	props := packet.Properties{}
	if m.Properties != nil {
		props = *m.Properties
	}
	if m.Expiry != 0 {
		props.Set(packet.PropMessageExpiry).MessageExpiry = m.Left(now)
	}
	props.SubscriptionIDs = d.SubIDs
	p.Properties = &props
	return p
}

// enqueue queues it; at a bound the oldest make room.
func (st *stage) enqueue(it item) {
	lim := st.env.Limits()
	if it.qos == packet.QoS0 && st.s.conn == nil && !(lim.QueueQoS0 && st.durable()) {
		st.refuse(it, metrics.DropQoS0Offline)
		return
	}
	for st.queue.Len(st.x) >= lim.MaxQueued {
		st.shed(metrics.DropQueueFull)
	}
	for st.s.queued+it.msg.Size() > lim.MaxQueuedBytes && st.queue.Len(st.x) > 0 {
		st.shed(metrics.DropQueueBytes)
	}
	if it.found && it.qos > packet.QoS0 {
		it.found = false
		st.lazily(store.Op{Kind: store.Append, Message: it.msg, Sessions: []uint64{st.number}, Retain: it.retain})
	}
	st.push(it)
}

// push appends to the queue and keeps its figures.
func (st *stage) push(it item) {
	st.queue.Push(st.x, it)
	st.s.queued += it.msg.Size()
	st.x.Count(&st.env.Metrics.QueuedBytes, int64(it.msg.Size()))
	st.busy(it, 1)
}

func (st *stage) shed(why metrics.Drop) {
	it, ok := st.dequeue()
	if !ok {
		return
	}
	if it.qos == packet.QoS0 && why == metrics.DropQueueFull {
		why = metrics.DropQoS0Slow
	}
	st.refuse(it, why)
}

func (st *stage) dequeue() (item, bool) {
	it, ok := st.queue.Peek(st.x)
	if ok {
		st.queue.Pop(st.x)
		st.s.queued -= it.msg.Size()
		st.x.Count(&st.env.Metrics.QueuedBytes, -int64(it.msg.Size()))
		st.busy(it, -1)
	}
	return it, ok
}

// refuse drops a message of the session for a counted reason.
func (st *stage) refuse(it item, why metrics.Drop) {
	st.drop(why, 1)
	if it.qos > packet.QoS0 && it.msg.ID.Seq != 0 && !it.found {
		st.lazily(store.Op{Kind: store.Discard, Message: it.msg})
	}
}

// busy keeps the member figures of shared groups, by which publishers choose.
func (st *stage) busy(it item, n int64) {
	if it.share != nil {
		st.x.Count(&st.member.Busy, n)
	}
}

// fill sends from the queue while window and out-buffer have room, then asks
// for more retained messages.
func (st *stage) fill() {
	if !st.live() {
		return
	}
	for !st.s.congested {
		it, ok := st.queue.Peek(st.x)
		if !ok {
			break
		}
		if it.msg.Expired(st.x.Now()) {
			st.dequeue()
			st.refuse(it, metrics.DropExpired)
			continue
		}
		if !st.send(it) {
			break
		}
		st.dequeue()
	}
	st.lookup()
}

// acked takes acknowledgements of the client: {puback | pubrec | pubcomp,
// PktId}.
func (st *stage) acked(msg *cast.Acked) {
	if msg.Epoch != st.s.epoch {
		return
	}
	for _, a := range msg.Acks {
		f, ok := st.inflight.Get(st.x, a.ID)
		switch {
		case a.Kind == packet.PUBREC:
			st.pubrec(a, f, ok)
		case ok && (a.Kind == packet.PUBACK && f.qos == packet.QoS1 || a.Kind == packet.PUBCOMP && f.qos == packet.QoS2):
			st.done(a.ID, f)
		}
	}
}

func (st *stage) done(id packet.ID, f flight) {
	st.inflight.Delete(st.x, id)
	st.lazily(st.op(store.DelInflight, id, f))
	st.busy(f.item, -1)
}

// pubrec answers PUBREC: a failure discards the message [v5 MQTT-4.8.2-6], an
// identifier that is not in use is released all the same [v5 3.6.2.1].
func (st *stage) pubrec(msg cast.Ack, f flight, ok bool) {
	switch {
	case !ok || f.qos != packet.QoS2:
		if !msg.Code.Failed() && st.live() {
			d := st.deliver()
			d.ReleaseBad = append(d.ReleaseBad, msg.ID)
		}
	case msg.Code.Failed():
		st.done(msg.ID, f)
	default:
		f.released = true
		if st.durable() {
			f.tag = st.commit(committing{kind: thenRelease, id: msg.ID}, st.op(store.PutInflight, msg.ID, f))
		} else if st.live() {
			d := st.deliver()
			d.Release = append(d.Release, msg.ID)
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
	if f.released {
		st.deliver().Release = append(st.deliver().Release, id)
	} else {
		st.put(cast.Delivery{Message: f.msg, QoS: f.qos, Retain: f.retain, Dup: dup, ID: id, SubIDs: f.subIDs})
	}
	if f.epoch != st.s.epoch {
		f.epoch = st.s.epoch
		st.inflight.Put(st.x, id, f)
	}
}

// release takes a QoS 2 PUBLISH or a PUBREL of the client.
func (st *stage) release(msg *cast.Release) {
	if msg.Epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	if msg.Refused {
		st.repeat(&packet.Ack{Kind: packet.PUBREC, ID: msg.ID, Code: msg.Code})
		return
	}
	if msg.Message == nil {
		st.pubrel(msg.ID)
		return
	}
	st.publish2(msg.ID, msg.Message)
}

// publish2 dispatches a QoS 2 message once, whatever DUP says, and answers
// PUBREC when it is durable [v3.1.1 MQTT-4.3.3-2, v5 MQTT-4.3.3-8 to -11].
func (st *stage) publish2(id packet.ID, m *message.Message) {
	lim := st.env.Limits()
	if _, again := st.await.Get(st.x, id); again {
		st.repeat(&packet.Ack{Kind: packet.PUBREC, ID: id})
		return
	}
	if st.await.Seen(st.x) >= lim.MaxAwaitingRel {
		st.failed2(id, packet.QuotaExceeded)
		return
	}
	var more []store.Op
	if st.durable() {
		more = append(more, store.Op{Kind: store.AddAwait, Session: st.number, ID: id})
	}
	tag := st.s.token + 1
	out := st.pub.Publish(st.x, m, Publishing{More: more, Reply: st.cell, Tag: tag, MayRefuse: st.s.version >= packet.V5})
	if out.Code.Failed() {
		st.failed2(id, out.Code)
		return
	}
	st.await.Put(st.x, id, struct{}{})
	ack := &packet.Ack{Kind: packet.PUBREC, ID: id}
	if out.Matched == 0 {
		ack.Code = packet.NoMatchingSubscribers
	}
	if out.Waits {
		st.tag()
		st.follow(tag, committing{kind: thenAnswer})
		st.answer(tag, ack)
		return
	}
	st.answer(0, ack)
}

// failed2 refuses a QoS 2 message: nothing is stored and the id is free again;
// before 5.0 the connection is closed, since there is no way to say so.
func (st *stage) failed2(id packet.ID, code packet.ReasonCode) {
	if st.s.version < packet.V5 {
		st.kick(code, metrics.CloseFault)
		return
	}
	st.answer(0, &packet.Ack{Kind: packet.PUBREC, ID: id, Code: code})
}

func (st *stage) pubrel(id packet.ID) {
	ack := &packet.Ack{Kind: packet.PUBCOMP, ID: id}
	if _, ok := st.await.Get(st.x, id); !ok {
		ack.Code = packet.PacketIDNotFound
		st.repeat(ack)
		return
	}
	st.await.Delete(st.x, id)
	if !st.durable() {
		st.answer(0, ack)
		return
	}
	// A lost deletion would take the next message with this id for a repetition.
	tag := st.commit(committing{kind: thenAnswer}, store.Op{Kind: store.DelAwait, Session: st.number, ID: id})
	st.answer(tag, ack)
}

// repeat answers a packet that was answered before, behind every commit that is
// pending: never from memory alone.
func (st *stage) repeat(p packet.Packet) {
	tag := uint64(0)
	if st.s.committed < st.s.submitted {
		tag = st.commit(committing{kind: thenAnswer})
	}
	st.answer(tag, p)
}

// answer queues an acknowledgement: they leave in the order of what they
// answer.
func (st *stage) answer(tag uint64, p packet.Packet) {
	st.answers.Push(st.x, answer{tag, p})
	st.flushAnswers()
}

func (st *stage) flushAnswers() {
	for {
		a, ok := st.answers.Peek(st.x)
		if !ok || a.tag > st.s.committed {
			return
		}
		st.answers.Pop(st.x)
		if st.s.conn != nil {
			st.x.Cast(&st.s.conn.Protocol, &cast.Answer{Epoch: st.s.epoch, Packet: a.pkt})
		}
	}
}
