// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"slices"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// never is the session expiry of a session that does not expire [v5 3.1.2.11.2].
const never = 0xFFFFFFFF

// attach binds a connection: {resume, ClientId, ClientPid}. The one before, if
// it is still there, is closed; its will is published as its death demands.
func (st *stage) attach(msg *cast.Attach) {
	a, s := msg.Start, st.s
	old := s.conn
	if old != nil {
		st.x.Cast(&old.Protocol, &cast.Kick{Code: packet.SessionTakenOver, Reason: metrics.CloseTakeover, Detached: true})
	}
	// A session that is over already, but not ended yet, does not come back.
	present := s.present && !s.over && !st.expired() && !(old != nil && s.expiry == 0)
	if s.will != nil && (!present || old != nil && s.willDelay == 0) {
		// [v5 3.1.4-3, MQTT-3.1.3-9]: a delay that is not over dies with the new
		// connection. The will of a session that ends is not the next one's to get.
		var not *cell.Cell
		if !present {
			not = st.cell
		}
		st.publishWill(not)
	}
	if !present {
		st.reset()
	}
	if s.ready {
		st.x.Count(&st.member.Online, -1) // until the new connection is ready
	}
	s.conn, s.epoch, s.ready, s.over = a.Conn, msg.Epoch, false, false
	s.username, s.version, s.expiry = a.Username, a.Version, a.Expiry
	s.window = min(int(a.ReceiveMaximum), st.env.Limits().MaxInflight)
	s.maxPacket, s.will, s.willDelay = a.MaxPacket, a.Will, a.WillDelay
	s.congested, s.looking, s.gone = false, false, 0
	st.x.Clear(st.willTimer.Timer())
	st.x.Clear(st.expiryTimer.Timer())
	for range st.answers.Len(st.x) {
		st.answers.Pop(st.x) // of the connection before: the client asks again
	}
	st.x.Count(&st.member.Window, int64(s.window)-st.member.Window.Load())
	if g := a.Conn.Loop.Group(); g != st.x.Group() {
		st.x.Move(g)
	}
	wasPresent := present
	s.present = true
	if st.record() {
		s.starting = s.token
		st.follow(s.token, committing{kind: thenStarted, id: boolID(wasPresent)})
		return
	}
	st.reply(wasPresent)
}

func boolID(b bool) packet.ID {
	if b {
		return 1
	}
	return 0
}

// record writes the session's record if it outlives its connection, or did; it
// reports whether the answer has to wait for it.
func (st *stage) record() bool {
	s := st.s
	if !st.durable() && !s.kept {
		return false
	}
	tag := st.tag()
	op := store.Op{Kind: store.PutSession, Session: st.number, Record: st.snapshot()}
	if !st.durable() {
		op = store.Op{Kind: store.EndSession, Session: st.number}
	}
	s.kept = st.durable()
	st.x.Submit(st.pub.Log, &store.Commit{Ops: []store.Op{op}, Reply: st.cell, Tag: tag})
	return true
}

func (st *stage) snapshot() *store.Record {
	s := st.s
	r := &store.Record{ClientID: st.clientID, Username: s.username, Epoch: s.epoch, Version: s.version,
		Expiry: s.expiry, Disconnected: s.gone, WillDelay: s.willDelay}
	if s.will != nil {
		r.Will = message.FromWill(s.will, st.clientID, st.x.Now())
	}
	return r
}

func (st *stage) started(present bool) {
	if st.s.conn != nil && !st.s.ready {
		st.reply(present)
	}
}

func (st *stage) reply(present bool) {
	st.x.Cast(&st.s.conn.Protocol, &cast.SessionStarted{Session: st.cell, Epoch: st.s.epoch, Present: present})
}

// reset makes the session a new one: nothing of the state before survives
// [v3.1.1 MQTT-3.1.2-6, v5 MQTT-3.1.2-4].
func (st *stage) reset() {
	st.unrouteAll()
	for id, f := range st.inflight.All {
		st.inflight.Delete(st.x, id)
		st.pass(f.item, true)
	}
	for range st.queue.Len(st.x) {
		it, _ := st.dequeue()
		st.pass(it, false)
	}
	for id := range st.await.All {
		st.await.Delete(st.x, id)
	}
	for range st.lookups.Len(st.x) {
		st.lookups.Pop(st.x)
	}
	st.s.walking, st.s.batch, st.s.batchOf = nil, nil, nil
	for t := range st.asked.All {
		st.asked.Delete(st.x, t)
	}
	if st.s.kept {
		// At once, not with the lazy operations: a new record of the session may follow.
		st.x.Submit(st.pub.Log, &store.Commit{Ops: []store.Op{{Kind: store.EndSession, Session: st.number}}})
		st.s.kept = false
	}
}

// pass gives a message of a shared group to another member, and counts what
// nobody gets. A QoS 2 message that was sent stays [v5 MQTT-4.8.2-4 -5].
func (st *stage) pass(it item, sent bool) {
	if it.share != nil && !(sent && it.qos == packet.QoS2) {
		st.x.Cast(st.env.Pick(st.env.Router, it.share.Filter), &cast.Redispatch{Share: it.share, Message: it.msg, From: st.cell})
		return
	}
	st.drop(metrics.DropSessionEnded, 1)
}

// ready begins deliveries: first what is in flight, in its order and with DUP
// [v3.1.1 MQTT-4.4.0-1, MQTT-4.6.0-1, v5 MQTT-4.4.0-1], then the queue.
func (st *stage) ready(msg *cast.Ready) {
	if msg.Epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	st.s.ready = true
	st.x.Count(&st.member.Online, 1)
	type sent struct {
		id    packet.ID
		order uint64
	}
	var again []sent
	for id, f := range st.inflight.All {
		again = append(again, sent{id, f.order})
	}
	slices.SortFunc(again, func(a, b sent) int { return cmp.Compare(a.order, b.order) })
	for _, f := range again {
		st.resend(f.id, true)
	}
}

// detach is told that the connection of an epoch is gone.
func (st *stage) detach(msg *cast.Detach) {
	s := st.s
	if msg.Epoch != s.epoch || s.conn == nil {
		return
	}
	if msg.HasExpiry {
		s.expiry = msg.Expiry
	}
	st.offline()
	if !msg.KeepWill {
		s.will = nil
	}
	s.gone = st.x.Now()
	if s.expiry == 0 {
		st.finish() // [v5 3.1.2.11.2]: the session ends with the connection
		return
	}
	if s.will != nil && s.willDelay == 0 {
		st.publishWill(nil)
	}
	if s.will != nil {
		st.x.Arm(st.willTimer.Timer(), s.gone+int64(s.willDelay)*int64(time.Second))
	}
	if s.expiry != never {
		st.x.Arm(st.expiryTimer.Timer(), s.gone+int64(s.expiry)*int64(time.Second))
	}
	if st.record() {
		st.follow(s.token, committing{kind: thenAnswer})
	}
}

// offline takes the connection away; what a shared group has other members for
// goes to them at once.
func (st *stage) offline() {
	s := st.s
	if s.ready {
		st.x.Count(&st.member.Online, -1)
	}
	s.conn, s.ready, s.congested, s.looking = nil, false, false, false
	for range st.answers.Len(st.x) {
		st.answers.Pop(st.x)
	}
	n := st.queue.Len(st.x)
	for range n {
		it, _ := st.dequeue()
		if it.share != nil && st.pub.Table.Others(it.share, st.cell) {
			st.pass(it, false)
			continue
		}
		st.push(it)
	}
	for id, f := range st.inflight.All {
		if f.share != nil && f.qos == packet.QoS1 && st.pub.Table.Others(f.share, st.cell) {
			st.done(id, f)
			st.pass(f.item, true)
		}
	}
}

// expired reports whether the session's time after the disconnect is over.
func (st *stage) expired() bool {
	s := st.s
	return s.conn == nil && s.gone != 0 && s.expiry != never && st.x.Now() >= s.gone+int64(s.expiry)*int64(time.Second)
}

// finish asks the owner of the client id to end the session.
func (st *stage) finish() {
	st.s.over = true
	st.x.Cast(st.env.Pick(st.env.SM, st.clientID), &cast.Expired{ClientID: st.clientID, Session: st.cell, Epoch: st.s.epoch})
}

// timer is the will's delay or the session's expiry.
func (st *stage) timer(t *cell.TimerFired) {
	switch {
	case t.Key == timerWill && st.s.conn == nil && st.s.will != nil:
		st.publishWill(nil) // [v5 MQTT-3.1.3-9, 3.1.2.5]
		if st.record() {
			st.follow(st.s.token, committing{kind: thenAnswer})
		}
	case t.Key == timerExpiry && st.expired() && !st.s.over:
		st.finish()
	}
}

// publishWill publishes the will and forgets it: exactly one per death
// [v3.1.1 MQTT-3.1.2-8 -10, v5 MQTT-3.1.2-8 -10]. The session not, if any, does
// not get it.
func (st *stage) publishWill(not *cell.Cell) {
	m := message.FromWill(st.s.will, st.clientID, st.x.Now())
	st.s.will = nil
	st.x.Clear(st.willTimer.Timer())
	st.pub.Publish(st.x, m, Publishing{Not: not})
}

// destroy ends the session: {destroy, ClientId}. The session manager has taken
// the client id away from it already.
func (st *stage) destroy(msg *cast.Destroy) {
	s := st.s
	if s.destroyed {
		return
	}
	s.destroyed = true
	if s.conn != nil {
		code := packet.SessionTakenOver
		if msg.Reason == metrics.CloseKicked {
			code = packet.AdministrativeAction
		}
		st.x.Cast(&s.conn.Protocol, &cast.Kick{Code: code, Reason: msg.Reason, Detached: true})
		st.offline()
	}
	if s.will != nil {
		st.publishWill(st.cell) // the session ends, and with it the delay [v5 3.1.3.2.2]
	}
	st.reset()
	st.x.Count(&st.env.Metrics.Sessions, -1)
	st.end()
}

// end comes when no publisher finds the session any more.
func (st *stage) end() {
	if st.s.destroyed && st.s.destroying == 0 {
		st.x.End()
	}
}

// poison answers a message that crashed the session twice: a delivery is
// dropped and counted, what came from the client costs the client its
// connection.
func (st *stage) poison(p *cell.Poison) {
	switch m := p.Message.(type) {
	case *cast.Dispatch:
		st.drop(metrics.DropPoison, len(m.Messages))
	case *cast.Release:
		if m.Message != nil && st.s.version == packet.V5 {
			st.answer(0, &packet.Ack{Kind: packet.PUBREC, ID: m.ID, Code: packet.ImplementationSpecificError})
			return
		}
		st.kick(packet.ImplementationSpecificError, metrics.ClosePoison)
	case *cast.Attach:
		st.x.Cast(&m.Start.Conn.Protocol, &cast.SessionStarted{Code: packet.ImplementationSpecificError})
	default:
		st.kick(packet.ImplementationSpecificError, metrics.ClosePoison)
	}
}
