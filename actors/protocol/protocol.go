// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"fmt"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/store"
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
	rates   *rates                   // nil: there is no limit
	aliases cell.Map[uint16, string] // client -> broker [v5 3.3.2.3.4]
	flying  cell.IDs[packet.ID]      // client -> broker, QoS 2, until PUBCOMP or a failed PUBREC
	acks    cell.Queue[ack]          // PUBACKs in the order of their PUBLISHes; len <= receive maximum
	held    cell.Queue[cell.Message] // *cast.Received and *cast.Faulty that have to wait, such as for a CONNECT
}

const (
	timerConnect uint8 = iota // the CONNECT deadline
	timerRate                 // the end of a pause for the rate
)

// state is copied for each message, and there is one for each connection: its small
// fields lie together, and what few connections need is behind pointers.
type state struct {
	phase      phase
	version    packet.Version
	durability cast.Durability // of what is no PUBLISH
	releases   cast.Durability // but of PUBREL
	reason     metrics.Close
	assigned   bool
	askedLong  bool // a longer expiry was asked for than is granted
	superuser  bool
	keepWill   bool // false: DISCONNECT took the will away
	detached   bool // the session needs no Detach
	gone       bool // the connection is closed, but the session manager has not answered
	over       bool // of gone: Closed has come
	paused     bool
	hasExpiry  bool
	answered   bool // the session has nothing more to answer
	ratePaused bool
	behind     bool // a PUBLISH waits for SUBACK
	keepAlive  uint16
	expiry     uint32
	newExpiry  uint32 // of DISCONNECT
	// subscribing is the number of SUBSCRIBEs without SUBACK.
	subscribing int32

	clientID  string
	user      string
	request   *packet.Connect // from CONNECT to CONNACK; later only what slim keeps
	auth      *enhanced       // nil: none is going on; immutable
	session   *cell.Cell
	epoch     uint64
	token     uint64 // of commits
	committed uint64
	parting   *parting       // nil: the end did not have to wait; immutable
	last      *cast.Shutdown // of leaving
}

// enhanced is where enhanced authentication stands [v5 4.12].
type enhanced struct {
	exchange access.Exchange // nil: it is over, but CONNACK has not left
	again    bool            // a re-authentication
	data     []byte          // for the CONNACK
}

// parting is the end of a connection whose peer is gone, but what it sent before has
// to be handled first.
type parting struct {
	end   *cast.Closed // nil: it is in the mailbox again
	since int64
}

// exchanging reports whether the client has to say something next.
func (s *state) exchanging() bool { return s.auth != nil && s.auth.exchange != nil }

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

// Init gives a connection its protocol actor, which waits for CONNECT until the
// given time, nanoseconds since the Unix epoch. It is called on g.
func Init(kind *cell.Kind, conn *cast.Conn, owner cell.Owner, g *group.Group, gate *Gate, connectBy int64) {
	m := &Memory{conn: conn, gate: gate}
	m.state.keepWill = true
	cell.Init(&conn.Protocol, kind, "", g, owner)
	conn.ProtocolMemory = m
	conn.Protocol.Set(timerConnect, connectBy)
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
	s   *state      // the copy that the present part of the message changes
	who acl.Subject // see subject

	fanned int      // deliveries that this message has caused
	out    gathered // what it has to say, until flush
	leads  bool     // the PUBLISH that was decided about last can lead a run
	// touched is what looking ahead has read, and says nothing.
	touched uint32
	full    bool // the store is, as this message has found it
	asked   bool // full is known

	slab    message.Slab  // memory for messages that may be kept
	loan    *message.Loan // and for those of this decision that need not be; nil: there were none
	lends   bool          // there may be such
	topic   string        // of the last PUBLISH that passed checkTopic
	topicOf *cast.Limits  // that it passed

	levelOf    string // topic that topicLevel is of
	topicLevel cast.Durability
}

func (st *stage) edit() { st.s = slot.Edit(st.x, &st.state) }

// Receive implements cell.Stage.
func (st *stage) Receive(ctx *cell.Context) {
	st.x, st.fanned, st.asked, st.out = ctx, 0, false, gathered{}
	st.loan, st.lends = nil, false
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
	case *cast.Crashed:
		st.x.Submit(st.conn.Socket, &cast.Control{Op: cast.CountCrash})
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
		st.named(st.env.Log.Warn()).Type("message", msg).Msg("unexpected message")
	}
	st.flush()
	if st.loan != nil {
		st.loan.Unused()
		st.loan = nil
	}
}

// named adds to a log line whose it is.
func (st *stage) named(e *zerolog.Event) *zerolog.Event {
	return e.Str("actor", st.conn.Protocol.Name()).Str("client_id", brief(st.s.clientID)).Stringer("peer", st.conn.Peer)
}

// brief is what a log line has of a name that a client chose: it may take 64 KB.
func brief(name string) string {
	const most = 256 // bytes
	if len(name) <= most {
		return name
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return fmt.Sprintf("%s… (%d bytes)", name[:cut], len(name))
}

var pingresp = &packet.Pingresp{}

func (st *stage) timer(t *cell.TimerFired) {
	switch t.Key {
	case timerConnect:
		if st.s.phase != connected && st.s.phase != closing {
			st.close(nil, metrics.CloseConnectTime, "") // no answer: there was no CONNECT in time [v3.1.1 3.1, v5 3.1.4]
		}
	case timerRate:
		st.s.ratePaused = false
		st.unhold()
		st.unpause()
	}
}

// What is only looked at need not be made for each connection.
var (
	pauseSocket  = &cast.Control{Op: cast.Pause}
	resumeSocket = &cast.Control{Op: cast.Resume}
)

func (st *stage) pause() {
	if !st.s.paused {
		st.s.paused = true
		st.x.Submit(st.conn.Socket, pauseSocket)
	}
}

func (st *stage) unpause() {
	if st.s.paused {
		st.s.paused = false
		st.x.Submit(st.conn.Socket, resumeSocket)
	}
}
