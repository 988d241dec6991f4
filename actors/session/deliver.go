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
	for _, m := range st.straight(d) {
		if d.Sub.Lookup && m.Retain && st.lookedUp(m, d.Sub.Start.Load()) {
			continue // the lookup finds it
		}
		st.x.Blame(m)
		st.offer(item{msg: m, qos: min(m.QoS, d.Sub.QoS), retain: m.Retain && d.Sub.AsPub, subIDs: d.Sub.SubIDs(), share: d.Share})
	}
	st.x.Blame(nil)
}

// straight hands on what of a run of messages has nothing in its way, from the
// front: what needs no look at window, queue, limits or store for each message. It
// returns the rest, which offer decides about one by one.
func (st *stage) straight(d *cast.Dispatch) []*message.Message {
	if len(d.Messages) == 0 || !st.live() || st.s.congested || st.s.maxPacket > 0 || st.queue.Len(st.x) > 0 || st.full() {
		return d.Messages
	}
	out := st.deliver()
	run := d.Messages[:min(len(d.Messages), maxDeliver-len(out.Deliveries))]
	n := 0
	if qos := min(d.Messages[0].QoS, d.Sub.QoS); qos == packet.QoS0 {
		n = st.straight0(out, run, d)
	} else if !st.durable() && !st.tracedAny(run) {
		n = st.straight1(out, run, d, qos)
	}
	return d.Messages[n:]
}

func (st *stage) straight0(out *cast.Deliver, run []*message.Message, d *cast.Dispatch) int {
	on, seen := st.env.Trace.On(), trace.Run{}
	for i, m := range run {
		if min(m.QoS, d.Sub.QoS) > packet.QoS0 || m.Retain || m.Expiry != 0 {
			return i
		}
		out.Deliveries = append(out.Deliveries, cast.Delivery{})
		x := &out.Deliveries[len(out.Deliveries)-1]
		x.Message, x.SubIDs = m, d.Sub.SubIDs()
		if on && seen.Wants(st.env.Trace, st.x.Now(), st.clientID, m.From, m.Topic, st.peer()) {
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
		st.x.Blame(m)
		st.s.sent++
		id := w.Next(st.s.nextID)
		st.s.nextID = id
		f := w.Put(id)
		f.msg, f.qos, f.retain, f.again, f.found, f.subIDs, f.share = m, qos, false, false, false, d.Sub.SubIDs(), d.Share
		f.order, f.released, f.tag, f.epoch = st.s.sent, false, 0, st.s.epoch
		out.Deliveries = append(out.Deliveries, cast.Delivery{})
		x := &out.Deliveries[len(out.Deliveries)-1]
		x.Message, x.QoS, x.ID, x.SubIDs = m, qos, id, d.Sub.SubIDs()
	}
	if d.Share != nil && n > 0 {
		st.x.Count(&st.self.Busy, int64(n))
	}
	return n
}

// lookedUp reports whether a retained message that arrives live is found, or
// was, by the lookup of its subscription: up to the position start. Before the
// position is known the message is delivered, and the lookup told to leave it
// out.
func (st *stage) lookedUp(m *message.Message, start uint64) bool {
	if start != 0 {
		return m.ID.Seq <= start
	}
	st.early.Put(st.x, m.ID.Seq, st.s.token)
	st.s.owing = true // it is to be forgotten one day
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
		st.traceItem(trace.Delivered, "", &it, 0)
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
		f.tag = st.commit(committing{kind: thenDeliver, id: id}, st.op(store.PutInflight, id, &f))
		st.inflight.Put(st.x, id, f)
		st.traceItem(trace.Queued, "its packet id has to be stored", &it, id)
		return true
	}
	st.traceItem(trace.Delivered, "", &it, id)
	st.inflight.Put(st.x, id, f)
	if st.durable() {
		st.lazily(st.op(store.PutInflight, id, &f))
	}
	st.put(cast.Delivery{Message: it.msg, QoS: it.qos, Retain: it.retain, Dup: it.again, ID: id, SubIDs: it.subIDs})
	return true
}

func (st *stage) op(kind store.OpKind, id packet.ID, f *flight) store.Op {
	op := store.Op{Kind: kind, Session: st.number, ID: id, Message: f.msg, QoS: f.qos, Retain: f.retain}
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
	st.x.Submit(st.s.conn.Control, &cast.Control{Op: cast.NotifyDrain})
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
	d := cast.Delivery{Message: it.msg, QoS: it.qos, Retain: it.retain, ID: 1, SubIDs: it.subIDs}
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
	if m.Expiry == 0 && len(d.SubIDs) == 0 {
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
	props.SubscriptionIDs = d.SubIDs
	p.Properties = &props
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
	if st.env.Trace.On() {
		st.traceItem(trace.Queued, st.waits(), &it, 0)
	}
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
	st.traceItem(trace.Dropped, why.String(), &it, 0)
	st.drop(why, 1)
	if it.qos > packet.QoS0 && it.msg.ID.Seq != 0 && !it.found {
		st.lazily(store.Op{Kind: store.Discard, Message: it.msg})
	}
}

// busy keeps the member figures of shared groups, by which publishers choose.
func (st *stage) busy(it item, n int64) {
	if it.share != nil {
		st.x.Count(&st.self.Busy, n)
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
		st.x.Blame(it.msg)
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
	st.x.Blame(nil)
	st.lookup()
}

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
		st.put(cast.Delivery{Message: f.msg, QoS: f.qos, Retain: f.retain, Dup: dup, ID: id, SubIDs: f.subIDs})
	}
	if f.epoch != st.s.epoch {
		f.epoch = st.s.epoch
		st.inflight.Put(st.x, id, f)
	}
	st.x.Blame(nil)
}

// releases takes the QoS 2 PUBLISHes and PUBRELs of one read. As with the packets
// themselves, the first attempt is one decision, the second one for each part.
func (st *stage) releases(b *cast.Releases) {
	single := st.x.Again()
	for r := b.Current(); r != nil; r = b.Current() {
		if b.Epoch == st.s.epoch && st.s.conn != nil {
			st.release(r)
		}
		if single {
			st.flush() // before Next: what crashes is r's
		}
		b.Next()
		if single {
			st.x.Commit(b)
			st.begin()
		}
	}
}

// release takes a QoS 2 PUBLISH or a PUBREL of the client.
func (st *stage) release(r *cast.Release) {
	switch {
	case r.Refused:
		st.repeat(ackOf(packet.PUBREC, r.ID, r.Code))
	case r.Message == nil:
		st.pubrel(r.ID)
	default:
		st.publish2(r.ID, r.Message, r.Durability)
	}
}

func ackOf(kind packet.Type, id packet.ID, code packet.ReasonCode) answer {
	return answer{ack: packet.Ack{Kind: kind, ID: id, Code: code}}
}

// publish2 dispatches a QoS 2 message once, whatever DUP says, and answers
// PUBREC when it is durable, or at once where d says so [v3.1.1 MQTT-4.3.3-2, v5 MQTT-4.3.3-8 to -11].
func (st *stage) publish2(id packet.ID, m *message.Message, d cast.Durability) {
	lim := st.env.Limits()
	if st.await.Has(st.x, id) {
		st.repeat(ackOf(packet.PUBREC, id, packet.Success))
		return
	}
	if st.await.Seen(st.x) >= lim.MaxAwaitingRel {
		st.failed2(id, packet.QuotaExceeded)
		return
	}
	var more []store.Op
	if st.durable() {
		more = append(more, store.Op{Kind: store.AddAwait, Session: st.number, ID: id})
	} else if _, ok := st.pub.Join(st.x, m); ok {
		st.await.Add(st.x, id)
		st.answer(ackOf(packet.PUBREC, id, packet.Success))
		return
	}
	tag, early := st.s.token+1, st.unsynced(d)
	out := st.pub.Publish(st.x, m, Publishing{More: more, Reply: st.cell, Tag: tag, Early: early, MayRefuse: st.s.version >= packet.V5})
	if out.Code.Failed() {
		st.failed2(id, out.Code)
		return
	}
	st.await.Add(st.x, id)
	a := ackOf(packet.PUBREC, id, packet.Success)
	if out.Matched == 0 {
		a.ack.Code = packet.NoMatchingSubscribers
	}
	if out.Waits {
		st.tag()
		st.follow(tag, committing{kind: thenAnswer}, early)
		a.tag = tag
	}
	st.answer(a)
}

// failed2 refuses a QoS 2 message: nothing is stored and the id is free again;
// before 5.0 the connection is closed, since there is no way to say so.
func (st *stage) failed2(id packet.ID, code packet.ReasonCode) {
	if st.s.version < packet.V5 {
		st.kick(code, metrics.CloseFault)
		return
	}
	st.answer(ackOf(packet.PUBREC, id, code))
}

func (st *stage) pubrel(id packet.ID) {
	if !st.await.Has(st.x, id) {
		st.repeat(ackOf(packet.PUBCOMP, id, packet.PacketIDNotFound))
		return
	}
	st.await.Remove(st.x, id)
	a := ackOf(packet.PUBCOMP, id, packet.Success)
	if !st.durable() {
		st.answer(a)
		return
	}
	// A lost deletion would take the next message with this id for a repetition.
	a.tag = st.commit(committing{kind: thenAnswer}, store.Op{Kind: store.DelAwait, Session: st.number, ID: id})
	st.answer(a)
}

// repeat answers a packet that was answered before, behind every commit that is
// pending: never from memory alone.
func (st *stage) repeat(a answer) {
	if st.s.committed < st.s.submitted {
		a.tag = st.commit(committing{kind: thenAnswer})
	}
	st.answer(a)
}

// answer sends an acknowledgement, or queues it: they leave in the order of what
// they answer.
func (st *stage) answer(a answer) {
	if a.tag <= st.s.committed && st.answers.Len(st.x) == 0 {
		st.say(a)
		return
	}
	st.answers.Push(st.x, a)
	st.flushAnswers()
}

func (st *stage) flushAnswers() {
	for {
		a, ok := st.answers.Peek(st.x)
		if !ok || a.tag > st.s.committed {
			return
		}
		st.answers.Pop(st.x)
		st.say(a)
	}
}

// say tells the protocol actor, when the decision is over.
func (st *stage) say(a answer) {
	switch {
	case st.s.conn == nil:
	case a.finish:
		st.sayNow() // nothing joins it
		st.telling().Finished = true
		st.sayNow()
	default:
		m := st.telling()
		m.Acks = append(m.Acks, a.ack)
	}
}

// tell is say for a SUBACK or UNSUBACK: at once, before the retained messages that
// follow it are asked for.
func (st *stage) tell(p packet.Packet) {
	st.telling().Join(p)
	st.sayNow()
}

func (st *stage) telling() *cast.Answer {
	if st.saying == nil {
		st.saying, st.sayingTo = cast.NewAnswer(st.s.epoch), &st.s.conn.Protocol
	}
	return st.saying
}

// sayNow casts what was said so far: something else for the protocol actor follows.
func (st *stage) sayNow() {
	if st.saying != nil {
		st.x.Cast(st.sayingTo, st.saying)
		st.saying = nil
	}
}
