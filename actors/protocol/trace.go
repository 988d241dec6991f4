// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"emqttd/actors/trace"
	"emqttd/protocol/packet"
)

// trace notes what was decided for the client; it costs a look when nothing is
// traced.
func (st *stage) trace(e trace.Event) {
	if t := st.env.Trace; t.On() {
		e.Client, e.Addr = st.s.clientID, st.conn.Peer
		t.Note(st.x, e)
	}
}

// traced reports whether what becomes of the client's messages of the present topic
// is traced, up to the sessions that get them, which look for themselves.
func (st *stage) traced() bool {
	return st.env.Trace.Wants(st.x.Now(), st.s.clientID, st.s.clientID, st.topic, st.conn.Peer)
}

// tracePublish notes what became of a PUBLISH, beside what its routing notes.
func (st *stage) tracePublish(step trace.Step, why string, p *packet.Publish) {
	if st.env.Trace.On() {
		st.trace(trace.Event{Step: step, Reason: why, Packet: packet.PUBLISH.String(), From: st.s.clientID, ID: p.ID, QoS: int(p.QoS),
			Topic: trace.View(p.Topic), Bytes: len(p.Payload)})
	}
}
