// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/hex"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/trace"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// fault ends the connection because the peer breaks a rule: the table of
// packet.Fault says with which code; 3.1 and 3.1.1 have none, and no CONNACK
// means no DISCONNECT.
func (st *stage) fault(f packet.Fault, reason metrics.Close) {
	st.x.Count(&st.env.Metrics.Faults[f], 1)
	st.trace(trace.Event{Step: trace.Fault, Reason: f.Label()})
	if e := st.env.Log.Warn(); e.Enabled() {
		info := f.Info()
		st.named(e).Str("fault", info.Label).Str("clause", info.Clause).Str("hint", info.Hint).Msg("client breaks the protocol")
	}
	st.shut(f.Code(), reason, f.Label())
}

// shut ends the connection with a reason code.
func (st *stage) shut(code packet.ReasonCode, reason metrics.Close, detail string) {
	if st.s.phase == closing {
		return
	}
	var p packet.Packet
	switch {
	case st.s.phase >= connected && st.s.version == packet.V5:
		p = &packet.Disconnect{Code: code.For(packet.DISCONNECT)}
	case st.s.phase < connected && st.s.request != nil:
		p = st.refusal(code) // never a DISCONNECT before a CONNACK [v5 MQTT-3.14.0-1]
	}
	if st.s.phase == connected && reason == metrics.CloseFault {
		st.leave(p, reason, detail)
		return
	}
	st.close(p, reason, detail)
}

// leave ends the connection behind the answers to what came before the fault:
// the session, which has some of them to give, sends Answer back.
func (st *stage) leave(p packet.Packet, reason metrics.Close, detail string) {
	st.s.phase = leaving
	st.part()
	st.s.last = &cast.Shutdown{Version: st.s.version, Packet: p, Reason: reason, Detail: detail}
	st.tellSession(&cast.Finish{Epoch: st.s.epoch})
}

// left closes once nothing is owed any more.
func (st *stage) left() {
	if st.s.phase == leaving && st.s.answered && st.acks.Len(st.x) == 0 {
		l := st.s.last
		st.close(l.Packet, l.Reason, l.Detail)
	}
}

// close ends the connection in order.
func (st *stage) close(p packet.Packet, reason metrics.Close, detail string) {
	if st.s.phase == starting {
		st.s.gone = true // the session manager's answer is still to come
	}
	st.s.phase, st.s.reason = closing, reason
	st.part()
	st.x.Set(timerConnect, 0)
	st.tellClient(&cast.Shutdown{Version: st.s.version, Packet: p, Reason: reason, Detail: detail})
}

// faulty answers bytes that are not MQTT.
func (st *stage) faulty(msg *cast.Faulty) {
	if st.s.phase == closing || st.s.phase == leaving {
		return
	}
	if st.held.Len(st.x) > 0 {
		st.hold(msg) // what came before the fault comes first
		return
	}
	f := msg.Fault
	st.x.Count(&st.env.Metrics.Faults[f], 1)
	st.trace(trace.Event{Step: trace.Fault, Reason: f.Label()})
	info := f.Info()
	if e := st.env.Log.Warn(); e.Enabled() {
		st.named(e).Str("fault", info.Label).Str("clause", info.Clause).Str("hint", info.Hint).
			Str("bytes", hex.EncodeToString(msg.Bytes)).Msg("bytes that are not mqtt")
	}
	code, reason := info.Code, metrics.CloseFault
	if msg.Poison {
		st.poisoned()
		code, reason = packet.ImplementationSpecificError, metrics.ClosePoison
	}
	if st.s.phase == fresh {
		st.s.version = msg.Version
		if msg.Level >= uint8(packet.V5) {
			st.s.version = packet.V5 // [v5 MQTT-3.1.2-2]: answered as one that could understand it
		}
		st.close(refusal(msg, code), reason, f.Label())
		return
	}
	st.shut(code, reason, f.Label())
}

// refusal is the CONNACK for a CONNECT that cannot be parsed; nil where the
// first packet was none, or its version cannot be told [v5 4.13.1].
func refusal(msg *cast.Faulty, code packet.ReasonCode) packet.Packet {
	switch {
	case msg.Version == 0 && msg.Level == 0:
		return nil
	case msg.Version < packet.V5 && msg.Level < uint8(packet.V5) && msg.Fault != packet.FaultProtocolVersion && !msg.Poison:
		return nil // [v3.1.1 MQTT-3.1.4-1]: closed without a CONNACK
	}
	return &packet.Connack{Code: code.For(packet.CONNACK)}
}

// closed is the end of the connection: the session is told, and the actor is
// done.
func (st *stage) closed(msg *cast.Closed) {
	s := st.s
	if st.putOffEnd(msg) {
		return
	}
	if s.phase == starting || s.gone {
		s.gone, s.phase = true, closing
		if s.session == nil {
			s.reason, s.over = msg.Reason, true
			st.release()
			return // sessionStarted or kicked ends it
		}
	}
	st.detach(msg.Reason, nil)
	st.release()
	st.x.End()
}

// putOffEnd reports whether the end of the connection has to wait, since the peer
// had sent something before that waits itself: a client may send CONNECT, PUBLISH
// and DISCONNECT and close at once, while its password is still being checked. It
// waits for connect_timeout at most, as such a CONNECT does.
func (st *stage) putOffEnd(msg *cast.Closed) bool {
	s := st.s
	if msg.Reason != metrics.ClosePeer || s.phase >= leaving || st.held.Len(st.x) == 0 {
		return false
	}
	since := st.x.Now()
	if s.parting != nil {
		since = s.parting.since
	}
	if st.x.Now() >= since+int64(st.env.Limits().ConnectTimeout) {
		return false
	}
	st.x.Keep()
	s.parting = &parting{end: msg, since: since}
	return true
}

// part hands in the end that was put off: nothing more is taken.
func (st *stage) part() {
	if end := st.parted(); end != nil {
		st.x.Return(end)
	}
}

// parted takes what part hands in.
func (st *stage) parted() *cast.Closed {
	p := st.s.parting
	if p == nil || p.end == nil {
		return nil
	}
	st.s.parting = &parting{since: p.since}
	return p.end
}

// release lets go what was held.
func (st *stage) release() {
	for range st.held.Len(st.x) {
		st.held.Pop(st.x)
	}
}

func (st *stage) detach(reason metrics.Close, reply *cell.Cell) {
	s := st.s
	if s.session == nil || s.detached {
		return
	}
	s.detached = true
	if s.reason != metrics.CloseUnknown {
		reason = s.reason
	}
	if e := st.env.Log.Info(); e.Enabled() {
		st.named(e).Stringer("reason", reason).Msg("client disconnected")
	}
	st.tellSession(&cast.Detach{Epoch: s.epoch, Reason: reason, KeepWill: s.keepWill,
		HasExpiry: s.hasExpiry, Expiry: s.newExpiry, Reply: reply})
	st.departed(reason)
}

// arrived and departed keep the figure of connected clients and announce them:
// the hooks client.connected and client.disconnected.
func (st *stage) arrived() {
	st.x.Count(&st.env.Metrics.Connected, 1)
	p := st.s.request
	st.x.Cast(st.env.Sys, &cast.ClientConnected{ClientID: st.s.clientID, Username: p.Username, HasUsername: p.HasUsername,
		Peer: st.conn.Peer, Version: p.Version, CleanStart: p.CleanStart, At: st.x.Now()})
	c := &cast.Client{ClientID: st.s.clientID, Username: st.s.user, Peer: st.conn.Peer, Version: p.Version, CleanStart: p.CleanStart,
		KeepAlive: st.s.keepAlive, Expiry: st.s.expiry, Durability: st.levelName(), ConnectedAt: st.x.Now(), Epoch: st.s.epoch, Conn: st.conn, Session: st.s.session}
	if c.Username == "" {
		c.Username = p.Username
	}
	st.x.Submit(st.env.Directory, c)
}

func (st *stage) departed(reason metrics.Close) {
	st.x.Count(&st.env.Metrics.Connected, -1)
	if st.pub.Table.System() { // else nobody would hear of it
		st.x.Cast(st.env.Sys, &cast.ClientDisconnected{ClientID: st.s.clientID, Reason: reason, At: st.x.Now()})
	}
	st.x.Submit(st.env.Directory, &cast.ClientGone{ClientID: st.s.clientID, Conn: st.conn, At: st.x.Now(), Reason: reason.String()})
}

// disconnect is the client's DISCONNECT: 0x00 takes the will away
// [v3.1.1 MQTT-3.14.4-3, v5 MQTT-3.14.4-3]. The connection is closed behind the
// acknowledgements that are owed, and when the session has stored what changed.
func (st *stage) disconnect(p *packet.Disconnect) {
	s := st.s
	if p.Properties.Has(packet.PropSessionExpiry) {
		if s.expiry == 0 && p.Properties.SessionExpiry != 0 {
			st.fault(packet.FaultSessionExpiryRaised, metrics.CloseFault)
			return
		}
		s.hasExpiry, s.newExpiry = true, st.capExpiry(p.Properties.SessionExpiry)
	}
	reason := metrics.CloseNormal
	if p.Code == packet.Success {
		s.keepWill = false
	} else {
		reason = metrics.CloseWithWill
	}
	s.phase, s.last = leaving, &cast.Shutdown{Version: s.version, Reason: reason}
	st.detach(reason, &st.conn.Protocol)
}

// kicked closes the connection on behalf of its session or an operator:
// {shutdown, conflict | kick}.
func (st *stage) kicked(msg *cast.Kick) {
	s := st.s
	switch {
	case !msg.Detached:
	case s.gone:
		// The session has forgotten the connection: SessionStarted will not come.
		s.gone = false
		if s.over {
			st.x.End()
		}
		return
	case s.phase == starting:
		s.phase = authenticating // the same; it is refused
	case !s.detached:
		st.departed(msg.Reason)
		s.detached = true
	}
	if msg.Fault != packet.FaultNone {
		st.fault(msg.Fault, msg.Reason)
		return
	}
	st.shut(msg.Code, msg.Reason, msg.Code.String())
}
