// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"slices"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/actors/trace"
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
	dead := s.will
	if dead != nil && (st.spared() || present && (old == nil || s.willDelay > 0)) {
		dead = nil // [v5 3.1.4-3, MQTT-3.1.3-9]: a delay that is not over dies with the new connection
	}
	var ops []store.Op // one commit: old and new exist never both, never neither
	for _, number := range msg.Ends {
		ops = append(ops, store.Op{Kind: store.EndSession, Session: number})
	}
	if !present {
		ops = append(ops, st.reset()...)
	}
	if s.ready {
		st.x.Count(&st.self.Online, -1) // until the new connection is ready
	}
	s.conn, s.epoch, s.ready, s.over = a.Conn, msg.Epoch, false, false
	s.username, s.version, s.expiry = a.Username, a.Version, a.Expiry
	s.durability, s.releases = a.Durability, a.Releases
	s.window = min(int(a.ReceiveMaximum), st.env.Limits().MaxInflight)
	s.maxPacket, s.will, s.willDelay = a.MaxPacket, a.Will, a.WillDelay
	s.gone, s.grace = 0, 0
	st.unlook()
	st.flows()
	s.fetching = 0 // what the connection before has asked for is not waited for
	s.lasting = s.expiry == 0 && st.left() > 0
	st.x.Set(timerWill, 0)
	st.x.Set(timerExpiry, 0)
	st.dropAnswers() // of the connection before: the client asks again
	st.x.Count(&st.self.Window, int64(s.window)-st.self.Window.Load())
	if g := a.Conn.Loop.Group(); g != st.x.Group() {
		st.x.Move(g)
	}
	st.trace(trace.Event{Step: trace.Attached, Reason: a.Conn.Name()})
	s.present = true
	ops = append(ops, st.record()...)
	var not *cell.Cell
	if !present {
		not = st.Cell() // the will of a session that ends is not the next one's to get
	}
	if !st.submit(ops, dead, not, true, committing{kind: thenStarted, id: boolID(present)}) {
		st.reply(present)
		return
	}
	s.starting, s.passTag = s.token, s.token
}

// spared reports whether a will is not published although its connection is
// gone: the broker was, and the client is back before the grace for that is over.
func (st *stage) spared() bool { return st.s.conn == nil && st.x.Now() < st.s.grace }

func boolID(b bool) packet.ID {
	if b {
		return 1
	}
	return 0
}

// record is what the store has to do so that its record of the session is true:
// of one that outlives its connection, and, for the will, of one that does not.
func (st *stage) record() (ops []store.Op) {
	s := st.s
	if s.kept && !st.durable() {
		ops = append(ops, store.Op{Kind: store.EndSession, Session: st.self.Number})
	}
	if s.kept = st.durable() || s.will != nil; s.kept {
		ops = append(ops, store.Op{Kind: store.PutSession, Session: st.self.Number, Record: st.snapshot()})
	}
	return ops
}

// submit commits ops together with the publication of a will, if dead is one:
// exactly one per death, also when the broker is killed in between. With wait it
// is tagged, and then follows, unless there is nothing to commit: then it reports
// false.
func (st *stage) submit(ops []store.Op, dead *packet.Will, not *cell.Cell, wait bool, then committing) bool {
	how := Publishing{More: ops, Not: not, Always: wait}
	if wait {
		how.Reply, how.Tag = st.Cell(), st.s.token+1
		how.Early = st.unsynced(st.s.durability)
	}
	switch {
	case dead != nil:
		m := message.FromWill(dead, st.self.ClientID, st.x.Now())
		if !st.pub.Publish(st.x, m, how).Waits {
			return false
		}
	case len(ops) == 0:
		return false
	default:
		st.x.Submit(st.pub.Log, &store.Commit{Ops: ops, Reply: how.Reply, Tag: how.Tag, Early: how.Early})
	}
	if wait {
		st.follow(st.tag(), then, how.Early)
	}
	return wait
}

func (st *stage) snapshot() *store.Record {
	s := st.s
	r := &store.Record{ClientID: st.self.ClientID, Username: s.username, Epoch: s.epoch, Version: s.version,
		Expiry: s.expiry, Disconnected: s.gone, WillDelay: s.willDelay}
	if s.will != nil {
		r.Will = message.FromWill(s.will, st.self.ClientID, st.x.Now())
	}
	return r
}

func (st *stage) started(present bool) {
	if st.s.conn != nil && !st.s.ready {
		st.reply(present)
	}
}

func (st *stage) reply(present bool) {
	st.x.Cast(&st.s.conn.Protocol, &cast.SessionStarted{Session: st.Cell(), Epoch: st.s.epoch, Present: present})
}

// reset makes the session a new one: nothing of the state before survives
// [v3.1.1 MQTT-3.1.2-6, v5 MQTT-3.1.2-4]. It returns what the store has to do.
func (st *stage) reset() []store.Op {
	st.s.life++
	st.unroute()
	for id, f := range st.inflight.All {
		if _, still := st.inflight.Get(st.x, id); !still {
			continue // offline has passed it on, in this decision
		}
		st.inflight.Delete(st.x, id)
		st.pass(f.item, passing{sent: true, hold: st.s.kept})
	}
	for range st.queue.Len(st.x) {
		it, _ := st.dequeue()
		st.pass(it, passing{hold: st.s.kept})
	}
	st.dropBacklog()
	st.dropAwaited()
	st.dropSearch()
	if n := len(st.s.dead); n > 0 {
		st.drop(metrics.DropSessionEnded, n)
		st.setDead(nil)
	}
	st.forgetAsked()
	if !st.s.kept {
		return nil
	}
	st.s.kept = false
	return []store.Op{{Kind: store.EndSession, Session: st.self.Number}}
}

// ready begins deliveries: first what is in flight, in its order and with DUP
// [v3.1.1 MQTT-4.4.0-1, MQTT-4.6.0-1, v5 MQTT-4.4.0-1], then the queue.
func (st *stage) ready(msg *cast.Ready) {
	if msg.Epoch != st.s.epoch || st.s.conn == nil {
		return
	}
	st.s.ready = true
	st.x.Count(&st.self.Online, 1)
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

// detach is told that the connection of an epoch is gone. After a DISCONNECT the
// connection is closed when the store knows that the will is withdrawn and how
// long the session stays; of a connection that was lost it learns with the next
// commit.
func (st *stage) detach(msg *cast.Detach) {
	s := st.s
	if msg.Epoch != s.epoch || s.conn == nil {
		st.detached(msg.Reply)
		return
	}
	if msg.HasExpiry {
		s.expiry = msg.Expiry
	}
	st.trace(trace.Event{Step: trace.Detached, Reason: msg.Reason.String()})
	st.offline()
	if !msg.KeepWill {
		s.will = nil
	}
	s.gone = st.x.Now()
	var dead *packet.Will
	if s.expiry > 0 && s.willDelay == 0 {
		dead, s.will = s.will, nil
	}
	if s.will != nil && s.expiry > 0 {
		st.x.Set(timerWill, s.gone+int64(s.willDelay)*int64(time.Second))
	}
	if s.expiry > 0 && s.expiry != never {
		st.x.Set(timerExpiry, s.gone+int64(s.expiry)*int64(time.Second))
	}
	var ops []store.Op
	if s.kept && (s.expiry > 0 || msg.Reply != nil) {
		// Also of a session that ends now: what it has is still to be passed on.
		ops = append(ops, store.Op{Kind: store.PutSession, Session: st.self.Number, Record: st.snapshot()})
	}
	if !st.submit(ops, dead, nil, msg.Reply != nil, committing{kind: thenDetached, to: msg.Reply}) {
		st.detached(msg.Reply)
	}
	if s.expiry == 0 {
		st.finish() // [v5 3.1.2.11.2]: the session ends with the connection
	}
}

// detached tells a connection that nothing of it is owed any more.
func (st *stage) detached(to *cell.Cell) {
	if to != nil {
		st.x.Cast(to, &cast.Detached{})
	}
}

// offline takes the connection away; what a shared group has other members for
// goes to them at once.
func (st *stage) offline() {
	s := st.s
	if s.ready {
		st.x.Count(&st.self.Online, -1)
	}
	s.conn, s.ready = nil, false
	st.unlook()
	st.flows()
	st.dropAnswers()
	st.passOffline()
}

// expired reports whether the session's time after the disconnect is over.
func (st *stage) expired() bool {
	s := st.s
	return s.conn == nil && s.gone != 0 && s.expiry != never && st.x.Now() >= s.gone+int64(s.expiry)*int64(time.Second)
}

// finish asks the owner of the client id to end the session.
func (st *stage) finish() {
	st.s.over = true
	st.x.Cast(st.env.Pick(st.env.SM, st.self.ClientID), &cast.Expired{ClientID: st.self.ClientID, Session: st.Cell(), Epoch: st.s.epoch})
}

// timer is the will's delay, the session's expiry, or the next part of its end.
func (st *stage) timer(t *cell.TimerFired) {
	switch {
	case t.Key == timerWill && st.s.conn == nil && st.s.will != nil:
		dead := st.s.will // [v5 MQTT-3.1.3-9, 3.1.2.5]
		st.s.will = nil
		var ops []store.Op
		if st.s.kept {
			ops = append(ops, store.Op{Kind: store.PutSession, Session: st.self.Number, Record: st.snapshot()})
		}
		st.submit(ops, dead, nil, false, committing{})
	case t.Key == timerExpiry && st.expired() && !st.s.over:
		st.finish()
	case t.Key == timerUnroute && st.s.destroyed:
		st.unroute()
	}
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
		st.sayNow()
		st.x.Cast(&s.conn.Protocol, &cast.Kick{Code: code, Reason: msg.Reason, Detached: true})
		st.offline()
	}
	dead := s.will // the session ends, and with it the delay [v5 3.1.3.2.2]
	if msg.Reason == metrics.CloseTakeover && st.spared() {
		dead = nil
	}
	s.will = nil
	st.x.Set(timerWill, 0)
	ops := st.reset()
	if st.submit(ops, dead, st.Cell(), msg.Kept || len(s.passing) > 0, committing{kind: thenPassed}) {
		s.passTag = s.token
	}
	s.tells = msg.Kept
	st.x.Count(&st.env.Metrics.Sessions, -1)
	st.end()
}

// end comes when no publisher finds the session any more, and nobody waits for
// one of its commits.
func (st *stage) end() {
	if st.s.destroyed && st.s.destroying == 0 && st.subs.Seen(st.x) == 0 && st.waiting.Seen(st.x) == 0 {
		if st.s.tells {
			st.x.Cast(st.env.Pick(st.env.SM, st.self.ClientID), &cast.SessionGone{ClientID: st.self.ClientID, Number: st.self.Number})
		}
		st.x.End()
	}
}
