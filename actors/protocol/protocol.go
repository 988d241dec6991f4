// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/hex"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/actors/trace"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// phase is where a connection stands.
type phase uint8

const (
	fresh          phase = iota // waits for CONNECT
	authenticating              // a password is being checked, or an AUTH exchange goes on
	starting                    // the session manager has been asked
	connected
	leaving // a fault was found, or DISCONNECT came: what was received before is being answered
	closing // a Shutdown is on its way: nothing more is taken
)

// Memory is what the protocol actor of one connection knows.
type Memory struct {
	conn    *cast.Conn
	gate    *Gate
	state   state
	aliases cell.Map[uint16, string] // client -> broker [v5 3.3.2.3.4]
	flying  cell.IDs[packet.ID]      // client -> broker, QoS 2, until PUBCOMP or a failed PUBREC
	acks    cell.Queue[ack]          // PUBACKs in the order of their PUBLISHes; len <= receive maximum
	held    cell.Queue[cell.Message] // *cast.Received and *cast.Faulty that have to wait, such as for a CONNECT
	connect cell.TimerFired          // the CONNECT deadline
	resume  cell.TimerFired          // the end of a pause for the rate
}

const (
	timerConnect uint8 = iota
	timerRate
)

type state struct {
	phase      phase
	request    *packet.Connect
	version    packet.Version
	clientID   string
	assigned   bool
	keepAlive  uint16
	expiry     uint32
	askedLong  bool // a longer expiry was asked for than is granted
	user       string
	durability cast.Durability // of what is no PUBLISH
	subject    acl.Subject
	exchange   access.Exchange
	reauth     bool
	authData   []byte // for the CONNACK
	session    *cell.Cell
	epoch      uint64
	keepWill   bool         // false: DISCONNECT took the will away
	detached   bool         // the session needs no Detach
	gone       bool         // the connection is closed, but the session manager has not answered
	over       bool         // of gone: Closed has come
	parting    *cast.Closed // the peer is gone, but what it sent before has to be handled first
	partingAt  int64        // since when
	paused     bool
	token      uint64 // of commits
	committed  uint64
	newExpiry  uint32 // of DISCONNECT
	hasExpiry  bool
	reason     metrics.Close
	last       *cast.Shutdown // of leaving
	answered   bool           // the session has nothing more to answer
	rate       bucket
	rateBytes  bucket
	ratePaused bool
	behind     bool // a PUBLISH waits for SUBACK
	// subscribing is the number of SUBSCRIBEs without SUBACK.
	subscribing int
}

var slot = cell.NewSlot[state]()

// ack is a PUBACK that waits for its commit.
type ack struct {
	tag  uint64
	id   packet.ID
	code packet.ReasonCode
}

// Gate is who may come in through a listener, and to do what. A reload replaces
// it; a connection keeps the one it came in by, but for the rules, which follow
// their files.
type Gate struct {
	Chain    *access.Chain
	Enhanced *access.Enhanced
	Bans     *access.Bans
	Rules    acl.Authorizer
	Pool     *group.Pool
	Levels   *store.Levels // nil: synced

	Poisonings *Poisonings
}

// Init gives a connection its protocol actor.
func Init(kind *cell.Kind, conn *cast.Conn, owner cell.Owner, g *group.Group, gate *Gate) {
	m := &Memory{conn: conn, gate: gate}
	m.state.keepWill = true
	cell.Init(&conn.Protocol, kind, "", g, owner)
	conn.ProtocolMemory = m
	conn.ConnectTimer = cell.InitTimer(&m.connect, &conn.Protocol, timerConnect)
	cell.InitTimer(&m.resume, &conn.Protocol, timerRate)
}

// Kind makes the actor kind.
func Kind(env *cast.Env, pub *session.Publisher) *cell.Kind {
	return &cell.Kind{Name: "protocol", NameOf: func(c *cell.Cell) string { return cast.ConnOf(c).Name() + "/protocol" }, Module: "emqttd_protocol", New: func(c *cell.Cell) cell.Stage {
		return &stage{Memory: cast.ConnOf(c).ProtocolMemory.(*Memory), env: env, pub: pub}
	}}
}

// stage is one incarnation.
type stage struct {
	*Memory
	env *cast.Env
	pub *session.Publisher
	x   *cell.Context
	s   *state // the copy that the present part of the message changes

	fanned int      // deliveries that this message has caused
	out    gathered // what it has to say, until flush
	leads  bool     // the PUBLISH that was decided about last can lead a run
	full   bool     // the store is, as this message has found it
	asked  bool     // full is known

	slab    message.Slab // memory for messages
	topic   string       // of the last PUBLISH that passed checkTopic
	topicOf *cast.Limits // that it passed

	levelOf    string // topic that topicLevel is of
	topicLevel cast.Durability
}

func (st *stage) edit() { st.s = slot.Edit(st.x, &st.state) }

// Receive implements cell.Stage.
func (st *stage) Receive(ctx *cell.Context) {
	st.x, st.fanned, st.asked, st.out = ctx, 0, false, gathered{}
	st.edit()
	switch msg := ctx.Message().(type) {
	case *cast.Received:
		st.received(msg)
	case *cast.Answer:
		st.answer(msg)
	case *store.Committed:
		st.durable(msg)
	case *cast.Faulty:
		st.faulty(msg)
	case *cast.Detached:
		st.s.answered = true
		st.left()
	case *cast.Closed:
		st.closed(msg)
	case *cast.Silent:
		st.fault(packet.FaultKeepAlive, metrics.CloseKeepAlive)
	case *cast.SessionStarted:
		st.sessionStarted(msg)
	case *authenticated:
		st.authenticated(msg)
	case *cast.Kick:
		st.kicked(msg)
	case *cell.TimerFired:
		st.timer(msg)
	case *cell.Poison:
		st.poison(msg)
	case *cell.Skip:
	default:
		st.log().Warn().Type("message", msg).Msg("unexpected message")
	}
	st.flush()
}

func (st *stage) log() *zerolog.Logger {
	l := st.env.Log.With().Str("actor", st.conn.Protocol.Name()).Str("client_id", st.s.clientID).
		Stringer("peer", st.conn.Peer).Logger()
	return &l
}

// received takes the packets of one read one by one: {received, Packet}. The
// first attempt decides about all of them before it commits: nothing of it has
// happened when one crashes. The second commits each packet by itself, so that a
// poisonous one takes none of those before it along.
func (st *stage) received(r *cast.Received) {
	single := st.x.Again()
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
	st.x.Arm(st.resume.Timer(), st.x.Now()+int64(d))
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
	return s.phase == authenticating && s.exchange == nil || s.phase == starting || s.ratePaused || s.behind
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
	if st.s.parting != nil {
		all = append(all, st.s.parting)
		st.s.parting = nil
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

var pingresp = &packet.Pingresp{}

// fault ends the connection because the peer breaks a rule: the table of
// packet.Fault says with which code; 3.1 and 3.1.1 have none, and no CONNACK
// means no DISCONNECT.
func (st *stage) fault(f packet.Fault, reason metrics.Close) {
	st.x.Count(&st.env.Metrics.Faults[f], 1)
	st.trace(trace.Event{Step: trace.Fault, Reason: f.Label()})
	if e := st.env.Log.Warn(); e.Enabled() {
		info := f.Info()
		e.Str("actor", st.conn.Protocol.Name()).Str("client_id", st.s.clientID).Stringer("peer", st.conn.Peer).
			Str("fault", info.Label).Str("clause", info.Clause).Str("hint", info.Hint).Msg("client breaks the protocol")
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
	st.x.Clear(st.connect.Timer())
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
		e.Str("actor", st.conn.Protocol.Name()).Str("client_id", st.s.clientID).Stringer("peer", st.conn.Peer).
			Str("fault", info.Label).Str("clause", info.Clause).Str("hint", info.Hint).
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
	if s.partingAt == 0 {
		s.partingAt = st.x.Now()
	}
	if st.x.Now() >= s.partingAt+int64(st.env.Limits().ConnectTimeout) {
		return false
	}
	st.x.Keep()
	s.parting = msg
	return true
}

// part hands in the end that was put off: nothing more is taken.
func (st *stage) part() {
	if st.s.parting != nil {
		st.x.Return(st.s.parting)
		st.s.parting = nil
	}
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
		e.Str("actor", st.conn.Protocol.Name()).Str("client_id", s.clientID).Stringer("peer", st.conn.Peer).
			Stringer("reason", reason).Msg("client disconnected")
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
	st.x.Cast(st.env.Sys, &cast.ClientDisconnected{ClientID: st.s.clientID, Reason: reason, At: st.x.Now()})
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

func (st *stage) timer(t *cell.TimerFired) {
	switch t.Key {
	case timerConnect:
		if st.s.phase != connected && st.s.phase != closing {
			st.s.request = nil // no answer: there was no CONNECT in time [v3.1.1 3.1, v5 3.1.4]
			st.close(nil, metrics.CloseConnectTime, "")
		}
	case timerRate:
		st.s.ratePaused = false
		st.unhold()
		st.unpause()
	}
}

func (st *stage) pause() {
	if !st.s.paused {
		st.s.paused = true
		st.x.Submit(st.conn.Control, &cast.Control{Op: cast.Pause})
	}
}

func (st *stage) unpause() {
	if st.s.paused {
		st.s.paused = false
		st.x.Submit(st.conn.Control, &cast.Control{Op: cast.Resume})
	}
}
