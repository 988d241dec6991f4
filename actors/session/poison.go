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
	"emqttd/supervisor/cell"
)

// poison answers a message that crashed the session twice. What another session
// or the store has sent becomes a dead letter and the session goes on; what came
// from the client costs the client its connection. Without a connection there is
// nobody to pay, and for the end of a connection or session, or of a commit, nobody
// to say it again: that is decided about all the same.
func (st *stage) poison(p *cell.Poison) {
	culprit, _ := p.Crash.Blame.(*message.Message)
	switch m := p.Message.(type) {
	case *cast.Dispatch:
		st.poisonRun(m, culprit, p.Crash)
		return
	case *DeadRequest:
		m.reply(st.x, DeadReply{Err: ErrPoison})
		return
	case *cast.Matched:
		if i, l := slices.Index(m.Messages, culprit), st.round().walking; i >= 0 && l != nil {
			st.buryRetained(culprit, l.past(m.Passed), p.Crash)
			st.x.Return(&cast.Matched{Token: m.Token, Passed: m.Passed, Messages: slices.Concat(m.Messages[:i], m.Messages[i+1:]), Cursor: m.Cursor, Done: m.Done})
			return
		}
	case *store.Fetched:
		st.poisonFetched(m, culprit, p.Crash)
		return
	case *cell.TimerFired: // belongs to its timer: nobody else may hand it in
	default:
		if culprit != nil && st.unearth(culprit, p.Crash) {
			st.x.Return(p.Message) // it was not the message: once more without the culprit
			return
		}
	}
	switch m := p.Message.(type) {
	case *cast.Releases:
		st.poisonedPart(m)
	case *change:
		st.x.Submit(teller(m.done), &changed{})
	case *cast.Attach:
		st.x.Cast(&m.Start.Conn.Protocol, &cast.SessionStarted{Code: packet.ImplementationSpecificError})
		st.x.Cast(st.env.Pick(st.env.SM, st.self.ClientID),
			&cast.NotAttached{ClientID: st.self.ClientID, Session: st.Cell(), Epoch: m.Epoch, Before: st.s.epoch})
	case *cast.Detach, *cast.Destroy, *store.Committed:
		st.decide(m)
	default:
		if st.s.conn == nil {
			st.decide(m)
			return
		}
		st.kick(packet.ImplementationSpecificError, metrics.ClosePoison)
	}
}

// poisonedPart answers the QoS 2 PUBLISH or PUBREL that a batch stands at. Those
// before it were handled; those behind it are handed in again, if there is a
// connection left to answer them on.
func (st *stage) poisonedPart(b *cast.Releases) {
	b.Rewind()
	r := b.Current()
	if r == nil || r.Message == nil || st.s.version != packet.V5 {
		st.kick(packet.ImplementationSpecificError, metrics.ClosePoison)
		return
	}
	st.answer(ackOf(packet.PUBREC, r.ID, packet.ImplementationSpecificError))
	st.x.Return(b)
	b.Next()
	st.rest = b
}

// poisonRun buries the message of a run that crashed the session, or the run when
// it is not known which, and takes the others up again, in their order.
func (st *stage) poisonRun(d *cast.Dispatch, culprit *message.Message, crash *cell.Crash) {
	i := slices.Index(d.Messages, culprit)
	if i < 0 && culprit != nil && st.unearth(culprit, crash) {
		st.x.Return(&cast.Dispatch{Messages: d.Messages, Sub: d.Sub, Share: d.Share})
		return
	}
	var rest []*message.Message
	for k, m := range d.Messages {
		if k == i || i < 0 {
			st.bury(item{msg: m, qos: min(m.QoS, d.Sub.QoS), retain: m.Retain && d.Sub.AsPub, ids: d.Sub.IDs}, crash)
		} else {
			rest = append(rest, m)
		}
	}
	if len(rest) > 0 {
		st.x.Return(&cast.Dispatch{Messages: rest, Sub: d.Sub, Share: d.Share})
	}
}

// unearth buries a message that the session holds, wherever that is: in the
// queue, among the retained messages that were looked up, or in flight. It
// reports false when it is nowhere.
func (st *stage) unearth(m *message.Message, crash *cell.Crash) bool {
	if st.unqueue(m, crash) {
		return true
	}
	if i := slices.Index(st.round().batch, m); i >= 0 {
		r := st.editRound()
		r.batch = slices.Concat(r.batch[:i], r.batch[i+1:]) // the slice is the retainer's
		st.buryRetained(m, r.of, crash)
		return true
	}
	for id, f := range st.inflight.All {
		if f.msg == m {
			st.done(st.inflight.Edit(st.x), id, &f) // a client that has it already is answered: the id is unknown
			st.bury(f.item, crash)
			return true
		}
	}
	return false
}

// unqueue buries a message of the queue; the others keep their order. What was in
// front of it the decision that crashed had sent, and committed nothing.
func (st *stage) unqueue(m *message.Message, crash *cell.Crash) (found bool) {
	for it := range st.queue.All {
		found = found || it.msg == m
	}
	if !found {
		return false
	}
	for range st.queue.Len(st.x) {
		if it, _ := st.dequeue(); it.msg == m {
			st.bury(it, crash)
		} else {
			st.push(it)
		}
	}
	return true
}

// buryRetained buries a retained message that was looked up.
func (st *stage) buryRetained(m *message.Message, l *lookup, crash *cell.Crash) {
	sub := l.subs[0]
	st.bury(item{msg: m, qos: min(m.QoS, sub.QoS), retain: true, ids: sub.IDs}, crash)
}

// bury makes a dead letter of a message that is nowhere else in the session any
// more. At the bounds the oldest are dropped for it.
func (st *stage) bury(it item, crash *cell.Crash) {
	lim := st.env.Limits()
	if lim.MaxDead == 0 || it.msg.Size() > lim.MaxDeadBytes {
		st.refuse(it, metrics.DropPoison)
		return
	}
	x := &store.Dead{Serial: st.tag(), Message: it.msg, QoS: it.qos, Retain: it.retain, Reason: crash.Text, At: st.x.Now()}
	dead := append(slices.Clone(st.s.dead), x)
	size := 0
	for _, y := range dead {
		size += y.Message.Size()
	}
	for len(dead) > lim.MaxDead || size > lim.MaxDeadBytes {
		size -= dead[0].Message.Size()
		st.drop(metrics.DropDeadFull, 1)
		st.lazily(store.Op{Kind: store.DelDead, Dead: dead[0]})
		dead = dead[1:]
	}
	if it.qos > packet.QoS0 && it.msg.ID.Seq != 0 {
		st.lazily(store.Op{Kind: store.Discard, Message: it.msg})
	}
	st.lazily(store.Op{Kind: store.PutDead, Dead: x})
	st.traceItem(trace.Queued, "dead_letter", &it, 0)
	st.x.Count(&st.env.Metrics.DeadLettered, 1)
	st.setDead(dead)
}

// setDead replaces the dead letters, and tells those who look for them.
func (st *stage) setDead(dead []*store.Dead) {
	st.x.Count(&st.env.Metrics.DeadLetters, int64(len(dead)-len(st.s.dead)))
	st.s.dead = dead
	if st.pub.Dead != nil {
		st.x.Submit(st.pub.Dead, &deadNote{Grave: graveOf(st.self.ClientID, dead)})
	}
}
