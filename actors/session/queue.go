// SPDX-License-Identifier: Apache-2.0

package session

import (
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/actors/trace"
	"emqttd/protocol/packet"
)

// enqueue queues it; at a bound the oldest make room. Not for QoS 0: what may be
// lost anyhow is no reason to lose what waits, and a client that reads nothing is
// then cheap for those who publish.
func (st *stage) enqueue(it item) {
	lim := st.env.Limits()
	if it.qos == packet.QoS0 && st.s.conn == nil && !(lim.QueueQoS0 && st.durable()) {
		st.refuse(it, metrics.DropQoS0Offline)
		return
	}
	if it.qos == packet.QoS0 && st.crowded(it, lim) {
		return
	}
	for st.inLine() >= lim.MaxQueued {
		st.shed(metrics.DropQueueFull)
	}
	for st.s.queued+it.msg.Size() > lim.MaxQueuedBytes && st.inLine() > 0 {
		st.shed(metrics.DropQueueBytes)
	}
	if st.stays(&it, lim) {
		st.shelve(&it)
		return
	}
	if st.left() > 0 {
		st.setAside(&it)
		return
	}
	if it.known == isFound && it.qos > packet.QoS0 {
		it.known = 0
		st.lazily(store.Op{Kind: store.Append, Message: it.msg, Sessions: []uint64{st.self.Number}, Retain: it.retain})
	}
	st.push(it)
}

// crowded drops a QoS 0 message for which there is no room, and reports whether it
// did.
func (st *stage) crowded(it item, lim *cast.Limits) bool {
	why := metrics.DropQueueFull
	if st.inLine() < lim.MaxQueued {
		if st.s.queued+it.msg.Size() <= lim.MaxQueuedBytes {
			return false
		}
		why = metrics.DropQueueBytes
	}
	if st.s.congested {
		why = metrics.DropQoS0Slow
		st.choke(true)
	}
	st.refuse(it, why)
	return true
}

// choke tells publishers that their QoS 0 messages are lost here, until the client
// reads again: they need not send them.
func (st *stage) choke(on bool) {
	if st.s.choked == on {
		return
	}
	st.s.choked = on
	n := int64(1)
	if !on {
		n = -1
	}
	st.x.Count(&st.self.Choked, n)
	st.x.Count(&st.env.Metrics.Choked, n)
}

// flows: what the client did not read is no longer in the way.
func (st *stage) flows() {
	st.s.congested = false
	st.choke(false)
}

// push appends to the queue and keeps its figures.
func (st *stage) push(it item) {
	if st.env.Trace.On() {
		st.traceItem(trace.Queued, st.waits(), &it, 0)
	}
	st.line(it)
}

// line appends to the queue what was counted before.
func (st *stage) line(it item) {
	it.bytes = uint32(it.size())
	st.queue.Push(st.x, it)
	st.charge(it.size())
	st.busy(it, 1)
}

func (st *stage) shed(why metrics.Drop) {
	it, ok := st.dequeue()
	if !ok {
		st.shedBacklog(why)
		return
	}
	st.refuse(it, why)
}

func (st *stage) dequeue() (item, bool) {
	it, ok := st.queue.Peek(st.x)
	if ok {
		st.queue.Pop(st.x)
		st.charge(-it.size())
		st.busy(it, -1)
	}
	return it, ok
}

// charge keeps the bytes that wait.
func (st *stage) charge(n int) {
	st.s.queued += n
	st.x.Count(&st.env.Metrics.QueuedBytes, int64(n))
}

// refuse drops a message of the session for a counted reason.
func (st *stage) refuse(it item, why metrics.Drop) {
	st.traceItem(trace.Dropped, why.String(), &it, 0)
	st.drop(why, 1)
	if it.qos > packet.QoS0 && it.msg.ID.Seq != 0 && it.known != isFound {
		st.lazily(store.Op{Kind: store.Discard, Message: it.msg})
	}
}

// busy keeps the member figures of shared groups, by which publishers choose.
func (st *stage) busy(it item, n int64) {
	if it.share != nil {
		st.x.Count(&st.self.Busy, n)
	}
}

// fill1 is fill for the QoS 1 and 2 messages at the front that need no look at
// limits or store for each, as straight1 is for those that arrive.
func (st *stage) fill1() {
	room := st.s.window - st.inflight.Seen(st.x)
	if room <= 0 || st.queue.Len(st.x) == 0 || st.durable() || st.s.maxPacket > 0 || st.full() {
		return
	}
	q, w, out, traces := st.queue.Edit(st.x), st.inflight.Edit(st.x), st.deliver(), st.env.Trace.On()
	bytes := 0
	for n := min(room, maxDeliver-len(out.Deliveries)); n > 0; n-- {
		it := q.Front()
		if it == nil || it.qos == packet.QoS0 || it.retain || it.again || it.known == isFound || it.msg.Expiry != 0 || traces && st.traced(it.msg) {
			break
		}
		st.launch(w, out, it.msg, it.qos, it.ids, it.share)
		bytes += it.size()
		q.Pop()
	}
	if bytes > 0 {
		st.charge(-bytes)
	}
}

// fill sends from the queue while window and out-buffer have room, then asks
// for more retained messages.
func (st *stage) fill() {
	if !st.live() {
		return
	}
	st.fill1()
	for !st.s.congested {
		it, ok := st.queue.Peek(st.x)
		if !ok && st.takeAside() {
			continue
		}
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
	st.refill()
	st.lookup()
}
