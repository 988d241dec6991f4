// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"emqttd/actors/cast"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// A read of a busy client brings a hundred packets, and most of them cause one to
// the client or a part of what the session is told. They are gathered, and cast
// when the decision is over.

// gathered is what a decision has to say.
type gathered struct {
	send     *cast.Send     // to the client actor
	acked    *cast.Acked    // to the session, or
	releases *cast.Releases // this
}

// send writes a packet to the client.
func (st *stage) send(p packet.Packet) { st.sending().Join(p) }

// puback writes a PUBACK to the client.
func (st *stage) puback(id packet.ID, code packet.ReasonCode) {
	s := st.sending()
	s.Acks = append(s.Acks, packet.Ack{Kind: packet.PUBACK, ID: id, Code: code})
}

func (st *stage) sending() *cast.Send {
	if st.out.send == nil {
		st.out.send = cast.NewSend(st.s.version)
	}
	return st.out.send
}

// acked takes the acknowledgements of a client: those of deliveries go to the
// session, PUBREL too.
func (st *stage) acked(p *packet.Ack) {
	if p.Kind == packet.PUBREL {
		st.handOn(cast.Release{ID: p.ID, Code: p.Code})
		return
	}
	if st.out.acked == nil {
		st.flushSession()
		st.out.acked = cast.NewAcked(st.s.epoch)
	}
	a := st.out.acked
	a.Acks = append(a.Acks, cast.Ack{Kind: p.Kind, ID: p.ID, Code: p.Code})
}

// handOn hands a QoS 2 PUBLISH or a PUBREL to the session.
func (st *stage) handOn(r cast.Release) {
	if st.out.releases == nil {
		st.flushSession()
		st.out.releases = cast.NewReleases(st.s.epoch)
	}
	b := st.out.releases
	b.Items = append(b.Items, r)
}

// tellSession casts m behind what was gathered for the session.
func (st *stage) tellSession(m cell.Message) {
	st.flushSession()
	st.x.Cast(st.s.session, m)
}

func (st *stage) flushSession() {
	if a := st.out.acked; a != nil {
		st.x.Cast(st.s.session, a)
	}
	if r := st.out.releases; r != nil {
		st.x.Cast(st.s.session, r)
	}
	st.out.acked, st.out.releases = nil, nil
}

// tellClient casts m behind what was gathered for the client.
func (st *stage) tellClient(m cell.Message) {
	if s := st.out.send; s != nil {
		st.x.Cast(&st.conn.Client, s)
		st.out.send = nil
	}
	st.x.Cast(&st.conn.Client, m)
}

// flush casts what was gathered.
func (st *stage) flush() {
	if s := st.out.send; s != nil {
		st.x.Cast(&st.conn.Client, s)
		st.out.send = nil
	}
	st.flushSession()
}
