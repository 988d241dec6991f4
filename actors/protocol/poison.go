// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// poison answers a packet that crashed the actor twice: a PUBLISH of 5.0 with QoS
// 1 or 2 gets 0x83 and the connection goes on, anything else ends it. Packets of
// the same read before it were handled, those behind it will be. Whatever else says
// who has the session is decided about all the same: nobody would say it again.
func (st *stage) poison(p *cell.Poison) {
	st.poisoned()
	switch m := p.Message.(type) {
	case *cast.Received:
		st.poisonedPacket(m)
	case *cast.Closed:
		st.closed(&cast.Closed{Reason: metrics.ClosePoison})
	case *cast.Kick:
		st.kicked(m)
	case *cast.SessionStarted:
		st.shut(packet.ImplementationSpecificError, metrics.ClosePoison, "poison")
		st.sessionStarted(m) // to a connection that is over
	default:
		st.shut(packet.ImplementationSpecificError, metrics.ClosePoison, "poison")
	}
}

func (st *stage) poisonedPacket(r *cast.Received) {
	r.Rewind()
	if c, ok := r.Current().(*packet.Connect); ok && st.s.phase == fresh {
		st.s.request, st.s.version, st.s.clientID = c, c.Version, c.ClientID // it is answered with a CONNACK
	}
	pub, ok := r.Current().(*packet.Publish)
	if !ok || st.s.phase != connected || st.s.version < packet.V5 || pub.QoS == packet.QoS0 {
		st.shut(packet.ImplementationSpecificError, metrics.ClosePoison, "poison")
		return
	}
	st.reject(pub, packet.ImplementationSpecificError)
	st.flush()
	st.x.Return(r)
	r.Next()
	st.x.Commit(r) // the last act: what follows it would be tried at the next packet
}
