// SPDX-License-Identifier: Apache-2.0

package session

import (
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// incoming is what a session remembers of the QoS 2 messages that its client sends,
// and what it owes in answer.
type incoming struct {
	await   cell.IDs[packet.ID] // until PUBREL
	answers cell.Queue[answer]  // PUBREC and PUBCOMP, in the order of what they answer
}

// receiving is the session's incoming, made if it has none. An empty one says no more
// than none: it is no part of the decision.
func (s *Session) receiving() *incoming {
	if s.incoming == nil {
		s.incoming = new(incoming)
	}
	return s.incoming
}

// awaits reports whether a PUBLISH came whose PUBREL did not.
func (st *stage) awaits(id packet.ID) bool {
	return st.incoming != nil && st.incoming.await.Has(st.x, id)
}

// awaiting is how many those are, as committed.
func (in *incoming) awaiting() int {
	if in == nil {
		return 0
	}
	return in.await.Len()
}

func (st *stage) dropAwaited() {
	if in := st.incoming; in != nil {
		for id := range in.await.All {
			in.await.Remove(st.x, id)
		}
	}
}

// answered reports whether all answers have left.
func (st *stage) answered() bool {
	return st.incoming == nil || st.incoming.answers.Len(st.x) == 0
}

func (st *stage) dropAnswers() {
	if in := st.incoming; in != nil {
		for range in.answers.Len(st.x) {
			in.answers.Pop(st.x)
		}
	}
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
	if st.awaits(id) {
		st.repeat(ackOf(packet.PUBREC, id, packet.Success))
		return
	}
	if st.receiving().await.Seen(st.x) >= lim.MaxAwaitingRel {
		st.failed2(id, packet.QuotaExceeded)
		return
	}
	var more []store.Op
	if st.durable() {
		more = append(more, store.Op{Kind: store.AddAwait, Session: st.self.Number, ID: id})
	} else if _, ok := st.pub.Join(st.x, m, nil); ok {
		st.receiving().await.Add(st.x, id)
		st.answer(ackOf(packet.PUBREC, id, packet.Success))
		return
	}
	tag, early := st.s.token+1, st.unsynced(d)
	out := st.pub.Publish(st.x, m, Publishing{More: more, Reply: st.Cell(), Tag: tag, Early: early, MayRefuse: st.s.version >= packet.V5})
	if out.Code.Failed() {
		st.failed2(id, out.Code)
		return
	}
	st.receiving().await.Add(st.x, id)
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
	if !st.awaits(id) {
		st.repeat(ackOf(packet.PUBCOMP, id, packet.PacketIDNotFound))
		return
	}
	st.incoming.await.Remove(st.x, id)
	a := ackOf(packet.PUBCOMP, id, packet.Success)
	if !st.durable() {
		st.answer(a)
		return
	}
	// A lost deletion would take the next message with this id for a repetition.
	a.tag = st.commitAt(st.s.releases, committing{kind: thenAnswer}, store.Op{Kind: store.DelAwait, Session: st.self.Number, ID: id})
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
	if a.tag <= st.s.committed && st.answered() {
		st.say(a)
		return
	}
	st.receiving().answers.Push(st.x, a)
	st.flushAnswers()
}

func (st *stage) flushAnswers() {
	in := st.incoming
	if in == nil {
		return
	}
	for {
		a, ok := in.answers.Peek(st.x)
		if !ok || a.tag > st.s.committed {
			return
		}
		in.answers.Pop(st.x)
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
