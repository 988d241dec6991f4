// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// received takes the packets of one read one by one: {received, Packet}. The
// first attempt decides about all of them before it commits: nothing of it has
// happened when one crashes. The second commits each packet by itself, so that a
// poisonous one takes none of those before it along.
func (st *stage) received(r *cast.Received) {
	single := st.x.Again()
	st.lends = !single
	for p := r.Current(); p != nil; p = r.Current() {
		if st.waits(p) {
			st.putOff(r)
			return
		}
		if st.noRoom(p) {
			st.breathe(roomRetry)
			st.putOff(r)
			return
		}
		if r.Place()%topic.Lanes == 0 && st.pub.Table.Large() {
			st.ahead(r)
		}
		st.leads = false
		if st.s.phase != closing && st.s.phase != leaving {
			st.packet(p)
		}
		if single {
			st.flush() // before Next: what crashes is p's
		}
		r.Next()
		if single {
			st.x.Commit(r)
			st.edit()
		} else if st.leads {
			st.run(r, p.(*packet.Publish).QoS)
		}
		if st.fanned > st.env.Limits().DeliveriesPerTurn && r.Current() != nil {
			st.breathe(0)
		}
	}
}

// ahead has the routing table look for the topics of the packets that come next.
func (st *stage) ahead(r *cast.Received) {
	var names [topic.Lanes][]byte
	n := 0
	next := r.Packets[r.Place():]
	for _, p := range next[:min(len(next), topic.Lanes)] {
		pub, ok := p.(*packet.Publish)
		if ok && len(pub.Topic) > 0 && (n == 0 || !bytes.Equal(pub.Topic, names[n-1])) {
			names[n] = pub.Topic
			n++
		}
	}
	if n > 1 {
		st.touched = st.pub.Table.Ahead(names[:n])
	}
}

// putOff keeps the packets that were not decided about for later.
func (st *stage) putOff(r *cast.Received) {
	if r.Moved() {
		st.flush()
		st.x.Commit(r)
		st.edit()
	}
	r.Own()
	st.hold(r)
}

// breathe puts the rest of what was read off, to the next turn of the loop at
// the earliest: one large fan-out after the other would keep everybody else
// waiting.
func (st *stage) breathe(d time.Duration) {
	st.fanned = 0
	st.s.ratePaused = true
	st.pause()
	st.x.Set(timerRate, st.x.Now()+int64(d))
}

// roomRetry is how often a client before 5.0 asks again whether its message can
// be kept.
const roomRetry = 50 * time.Millisecond

// noRoom reports whether p has to wait because what it brings cannot be kept,
// and there is no way to say so to a client before 5.0.
func (st *stage) noRoom(p packet.Packet) bool {
	pub, ok := p.(*packet.Publish)
	if !ok || pub.QoS == packet.QoS0 || st.s.phase != connected || st.s.version >= packet.V5 {
		return false
	}
	if !st.asked { // once for a read: it is bounded, and so is what comes in too much
		st.asked, st.full = true, st.pub.Full(st.env.Limits())
	}
	return st.full
}

// waits reports whether p, and what comes behind it, has to wait: for CONNECT,
// for the rate, or, if it is a PUBLISH, for the client's own subscriptions, which
// are not effective before their SUBACK. emqttd lost such a message.
func (st *stage) waits(p packet.Packet) bool {
	s := st.s
	if s.subscribing > 0 && !s.behind && s.phase == connected && p.Type() == packet.PUBLISH {
		s.behind = true
		st.pause()
	}
	return s.phase == authenticating && !s.exchanging() || s.phase == starting || s.ratePaused || s.behind
}

// subscribed is told of a SUBACK.
func (st *stage) subscribed() {
	s := st.s
	if s.subscribing--; s.subscribing > 0 || !s.behind {
		return
	}
	if s.behind = false; !s.ratePaused {
		st.unhold()
		st.unpause()
	}
}

// hold keeps what has to wait. The connection is not read meanwhile, so what is
// held is bounded by one read.
func (st *stage) hold(m cell.Message) {
	st.x.Keep()
	st.held.Push(st.x, m)
}

// unhold hands in again what was held.
func (st *stage) unhold() {
	var all []cell.Message
	for {
		r, ok := st.held.Peek(st.x)
		if !ok {
			break
		}
		st.held.Pop(st.x)
		all = append(all, r)
	}
	if end := st.parted(); end != nil {
		all = append(all, end)
	}
	for i := len(all) - 1; i >= 0; i-- {
		st.x.Return(all[i])
	}
}

// packet is the table of what a client may send when.
func (st *stage) packet(p packet.Packet) {
	if st.s.phase != connected {
		switch p := p.(type) {
		case *packet.Connect:
			st.connectPacket(p)
		case *packet.Auth:
			st.authPacket(p)
		default:
			st.fault(packet.FaultNotConnected, metrics.CloseFault)
		}
		return
	}
	switch p := p.(type) {
	case *packet.Publish:
		st.publish(p)
	case *packet.Ack:
		st.acked(p)
	case *packet.Subscribe:
		st.subscribe(p)
	case *packet.Unsubscribe:
		st.unsubscribe(p)
	case *packet.Pingreq:
		st.send(pingresp) // [v3.1.1 MQTT-3.12.4-1, v5 MQTT-3.12.4-1]
	case *packet.Disconnect:
		st.disconnect(p)
	case *packet.Auth:
		st.authPacket(p)
	case *packet.Connect:
		st.fault(packet.FaultSecondConnect, metrics.CloseFault)
	default:
		st.fault(packet.FaultDirection, metrics.CloseFault)
	}
}
