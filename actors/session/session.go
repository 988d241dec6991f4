// SPDX-License-Identifier: Apache-2.0

// Package session is one client's session: its subscriptions, what is on the way
// to it and waits for it, the QoS 2 messages it has sent and not released, and
// its will. It is emqttd_session, one actor per client id, which outlives
// connections.
//
//	publisher ─ Dispatch → queue ─ window → inflight ─ Deliver → ws_client
//	              backlog ─↑                  ↑ PUBACK, PUBREC, PUBCOMP
//	client ─ PUBLISH QoS 2 → awaiting_rel ─ dispatch once, PUBREC, PUBREL → PUBCOMP
//
// Supervised by session_sup (simple_one_for_one). A crash loses nothing: all of
// this is the cell's. In emqttd a session's crash took its client's connection
// without its will, and left the client id locked out; here one actor, the
// session manager, decides who owns the client id, and the session ends only
// when it says so.
//
// The will is the session's and not the connection's, since the session knows
// whether the client came back before its delay was over.
package session

import (
	"github.com/rs/zerolog"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// Session is the memory of one session.
type Session struct {
	pub      *Publisher
	state    state
	subs     cell.Map[string, *cast.Subscription] // by filter as written
	inflight cell.Window[packet.ID, flight]       // broker -> client, QoS 1 and 2, until acknowledged
	queue    cell.Queue[item]                     // broker -> client, waiting for window or connection
	asked    cell.Map[uint64, *pendingSubscribe]  // SUBSCRIBE and UNSUBSCRIBE whose routes are not effective yet
	waiting  cell.Map[uint64, committing]         // by tag of the commit
	incoming *incoming                            // nil: it never had any
	search   *search                              // nil: no retained messages are owed

	self cast.Subscriber // of all its subscriptions
	own  cell.Cell
}

const (
	timerWill uint8 = iota
	timerExpiry
	timerUnroute
)

// state is what changes with nearly every message. It is copied for each, and there
// is one for each session: its small fields lie together.
type state struct {
	ready      bool // the CONNACK has left, deliveries may
	version    packet.Version
	durability cast.Durability // of the client
	releases   cast.Durability // of its PUBRELs
	congested  bool            // Drained will come
	choked     bool            // publishers know that QoS 0 has no room
	owing      bool            // there may be something for lookup to do
	present    bool            // the session existed before the connection
	kept       bool            // the store has a record of it
	over       bool            // Expired was sent
	lasting    bool            // the store keeps the session, though it ends with its connection, for its backlog
	destroyed  bool
	tells      bool // SessionGone is to be sent, see cast.Destroy
	nextID     packet.ID
	expiry     uint32 // seconds; 0: ends with the connection
	maxPacket  uint32 // the client's; 0: none
	willDelay  uint32
	life       uint32 // how often the cell began a session anew; see cast.Subscription

	conn       *cast.Conn // nil: no connection
	epoch      uint64
	username   string
	window     int // in flight at most: ours and the client's Receive Maximum
	will       *packet.Will
	gone       int64         // when the connection was lost
	grace      int64         // after a restart of the broker: until when a client that comes back has not died
	sent       uint64        // order of the inflight
	queued     int           // bytes in queue
	token      uint64        // of commits and routes
	submitted  uint64        // highest tag of a commit
	committed  uint64        // highest tag that is durable, or need not be
	synced     uint64        // highest tag of a commit that waits for the disk
	starting   uint64        // tag of the commit that the CONNACK waits for
	passing    []item        // QoS 2, of shared groups: see hold; immutable
	passTag    uint64        // of the commit by which the store has them no more
	backlog    *backlog      // what of the queue is in the store only, behind what is in memory; nil: nothing
	fetching   uint64        // token of the fetch, or tag of the commit before the next one; 0: none
	sure       uint64        // a fetch misses nothing up to this position but what is gone
	groups     int           // subscriptions of shared groups
	destroying int           // routes that are still to go
	dead       []*store.Dead // dead letters, oldest first; immutable, a change makes a new slice
}

var slot = cell.NewSlot[state]()

// item is a message that waits.
type item struct {
	msg    *message.Message
	qos    packet.QoS
	retain bool
	again  bool   // it may have been sent before the broker was killed: DUP is set
	known  known  // to the store
	bytes  uint32 // msg.Size(), which asks memory that is long cold; 0: it was not asked
	ids    *cast.SubIDs
	share  *cast.ShareRef
}

// known is what the store knows of a message that waits, where that matters.
type known uint8

const (
	isFound  known = iota + 1 // by a lookup of retained messages: the store does not know yet that it waits
	isStored                  // the store has it for this session, and gives it back by its position
)

// size is msg.Size().
func (it *item) size() int {
	if it.bytes != 0 {
		return int(it.bytes)
	}
	return it.msg.Size()
}

// flight is a message that was sent and is not done.
type flight struct {
	item
	order    uint64
	released bool   // PUBREC came: PUBREL was or will be sent
	tag      uint64 // commit that must be durable before it may be sent
	epoch    uint64 // of the connection it was sent on last
}

// answer is an acknowledgement that waits for its commit.
type answer struct {
	tag    uint64 // 0: for none
	ack    packet.Ack
	finish bool // no acknowledgement, but the answer to Finish
}

// committing is what follows a commit.
type committing struct {
	kind commitKind
	id   packet.ID
	to   *cell.Cell // of thenDetached
}

type commitKind uint8

const (
	thenAnswer   commitKind = iota // flush answers
	thenDeliver                    // inflight id
	thenRelease                    // PUBREL for id
	thenRouted                     // one more part of a SUBSCRIBE is done; the token is in id's stead
	thenStarted                    // SessionStarted
	thenDetached                   // Detached
	thenPassed                     // nothing more: see hold
	thenFetch                      // what was accepted before can be fetched
)

// New makes the session of a client id, whose actor is not started yet. The
// number is the store's, never given twice.
func New(kind *cell.Kind, pub *Publisher, clientID string, number uint64, conn *cast.Conn) *Session {
	s := &Session{pub: pub}
	s.init(kind, clientID, number, conn.Loop.Group())
	return s
}

func (s *Session) init(kind *cell.Kind, clientID string, number uint64, g *group.Group) {
	cell.Init(&s.own, kind, "", g, s)
	s.self.Session, s.self.Number, s.self.ClientID = &s.own, number, clientID
}

// Cell is the session's cell.
func (s *Session) Cell() *cell.Cell { return &s.own }

// NameOf is the name of a session's actor.
func NameOf(c *cell.Cell) string { return "session/" + c.Owner().(*Session).self.ClientID }

// Kind makes the actor kind of sessions.
func Kind(env *cast.Env) *cell.Kind {
	return &cell.Kind{Name: "session", Module: "emqttd_session", NameOf: NameOf,
		New: func(c *cell.Cell) cell.Stage { return &stage{Session: c.Owner().(*Session), env: env, log: env.Log} },
		Lost: func(m cell.Message) {
			switch m := m.(type) {
			case *cast.Dispatch:
				env.Metrics.Dropped[metrics.DropSessionEnded].Add(int64(len(m.Messages)))
			case *DeadRequest:
				m.Gone()
			}
		}}
}

// Crashed implements cell.Owner: the crashes of a session count against its
// connection, while it has one. Its supervisor runs on another loop than the two of
// them when the session has moved, so the connection is told.
func (s *Session) Crashed(crash *cell.Crash) {
	if c := s.state.conn; c != nil && !crash.Poison {
		c.Protocol.Push(new(cast.Crashed))
	}
}

// Abort implements cell.Owner: not even the answer to poison could be decided.
// The connection is closed; the session and its messages stay.
func (s *Session) Abort(_ *cell.Cell, _ *cell.Crash) {
	if c := s.state.conn; c != nil {
		c.Protocol.Push(&cast.Kick{Code: packet.ImplementationSpecificError, Reason: metrics.ClosePoison})
	}
}

// stage is one incarnation. What it holds besides the Session is of the message
// in work.
type stage struct {
	*Session
	env *cast.Env
	log zerolog.Logger
	x   *cell.Context
	s   *state // the copy that this decision changes
	out *cast.Deliver
	ops []store.Op // lazy ones of this decision

	saying   *cast.Answer // what it says to the protocol actor, until flush
	sayingTo *cell.Cell
	rest     *cast.Releases // what is handed in again without its poisonous part
}

// Receive implements cell.Stage.
func (st *stage) Receive(ctx *cell.Context) {
	st.x, st.rest = ctx, nil
	st.begin()
	st.decide(ctx.Message())
	switch ctx.Message().(type) {
	case *cell.Poison, *cell.Skip: // the queue may hold what crashes next: that waits for a message of its own
	default:
		st.fill()
	}
	st.flush()
	if st.rest != nil {
		ctx.Commit(st.rest) // the last act: what followed it would be tried at the next part
	}
}

func (st *stage) decide(msg cell.Message) {
	switch msg := msg.(type) {
	case *cast.Dispatch:
		st.dispatch(msg)
	case *cast.Acked:
		st.acked(msg)
	case *cast.Releases:
		st.releases(msg)
	case *store.Committed:
		st.committedTag(msg)
		st.end()
	case *cast.Drained:
		st.flows()
	case *cast.Finish:
		if msg.Epoch == st.s.epoch {
			st.repeat(answer{finish: true})
		}
	case *cast.Subscribe:
		st.subscribe(msg)
	case *cast.Unsubscribe:
		st.unsubscribe(msg)
	case *change:
		st.change(msg)
	case *cast.Routed:
		st.routed(msg)
	case *cast.Matched:
		st.matched(msg)
	case *store.Fetched:
		st.fetched(msg)
	case *cast.Attach:
		st.attach(msg)
	case *restored:
		st.restored(msg)
	case *cast.Ready:
		st.ready(msg)
	case *cast.Detach:
		st.detach(msg)
	case *cast.Destroy:
		st.destroy(msg)
	case *cell.TimerFired:
		st.timer(msg)
	case *DeadRequest:
		st.deadRequest(msg)
	case *cell.Poison:
		st.poison(msg)
	case *cell.Skip:
	default:
		st.log.Warn().Str("actor", st.Cell().Name()).Type("message", msg).Msg("unexpected message")
	}
}

// begin is the beginning of a decision.
func (st *stage) begin() {
	if st.search != nil && !st.state.owing {
		st.search = nil // it is empty
	}
	st.s, st.out, st.ops = slot.Edit(st.x, &st.state), nil, nil
	st.saying = nil
}

// flush hands on what the decision has gathered.
func (st *stage) flush() {
	st.sayNow()
	if d := st.out; d != nil && len(d.Deliveries)+len(d.Pubrel)+len(d.PubrelBad) > 0 {
		st.x.Cast(&st.s.conn.Client, d)
	} else if d != nil {
		d.Release()
	}
	if len(st.ops) > 0 {
		st.x.Submit(st.pub.Log, &store.Commit{Ops: st.ops})
	}
}

// durable reports whether what happens to the session is written: because it
// outlives its connection, or because it has a backlog.
func (st *stage) durable() bool { return st.s.expiry > 0 || st.s.lasting }

// tag is a new tag, for a commit or a request.
func (st *stage) tag() uint64 {
	st.s.token++
	return st.s.token
}

// follow notes what follows when the commit with tag is durable, or, if it is
// early, has its place.
func (st *stage) follow(tag uint64, then committing, early bool) {
	if early {
		st.x.Count(&st.env.Metrics.StoreEarly, 1)
	} else {
		st.s.synced = max(st.s.synced, tag)
	}
	st.s.submitted = tag
	st.waiting.Put(st.x, tag, then)
}

// commit submits ops and notes what follows when they are durable.
func (st *stage) commit(then committing, ops ...store.Op) uint64 {
	return st.commitAt(st.s.durability, then, ops...)
}

func (st *stage) commitAt(d cast.Durability, then committing, ops ...store.Op) uint64 {
	c := &store.Commit{Ops: ops, Reply: st.Cell(), Tag: st.tag(), Early: st.unsynced(d)}
	st.follow(c.Tag, then, c.Early)
	st.x.Submit(st.pub.Log, c)
	return c.Tag
}

// unsynced reports whether a commit may be answered before it is durable. Answers
// come in the order of the commits: behind one that waits for the disk, all do.
func (st *stage) unsynced(d cast.Durability) bool {
	return d == cast.Memory && st.s.synced <= st.s.committed
}

// lazily writes op with the next batch, if the session is durable.
func (st *stage) lazily(op store.Op) {
	if st.durable() {
		op.Session = st.self.Number
		st.ops = append(st.ops, op)
	}
}

// committedTag goes on with what waited for a commit.
func (st *stage) committedTag(msg *store.Committed) {
	then, ok := st.waiting.Get(st.x, msg.Tag)
	if !ok {
		return
	}
	st.waiting.Delete(st.x, msg.Tag)
	if msg.Err != nil {
		st.detached(then.to)
		st.kick(packet.ServerUnavailable, metrics.CloseInternal)
		return
	}
	st.s.committed = max(st.s.committed, msg.Tag)
	st.passHeld()
	switch then.kind {
	case thenAnswer:
		st.flushAnswers()
	case thenDeliver:
		st.resend(then.id, false)
	case thenRelease:
		if f, ok := st.inflight.Get(st.x, then.id); ok && f.released && st.live() {
			st.deliver().Pubrel = append(st.deliver().Pubrel, then.id)
		}
	case thenRouted:
		st.part(msg.Tag)
	case thenDetached:
		st.detached(then.to)
	case thenFetch:
		st.reached(msg.Tag)
	case thenStarted:
		if msg.Tag == st.s.starting { // else of a connection that was taken over meanwhile
			st.started(then.id == 1)
		}
	}
}

// live reports whether there is a connection that deliveries may go to.
func (st *stage) live() bool { return st.s.conn != nil && st.s.ready }

// deliver is the Deliver of this decision.
func (st *stage) deliver() *cast.Deliver {
	if st.out == nil {
		st.out = cast.NewDeliver(st.s.epoch)
	}
	return st.out
}

// kick closes the connection, if there is one; its Detach follows.
func (st *stage) kick(code packet.ReasonCode, reason metrics.Close) {
	if st.s.conn != nil {
		st.sayNow()
		st.x.Cast(&st.s.conn.Protocol, &cast.Kick{Code: code, Reason: reason})
	}
}

// fault closes the connection of a client that breaks the protocol.
func (st *stage) fault(f packet.Fault) {
	if st.s.conn != nil {
		st.x.Cast(&st.s.conn.Protocol, &cast.Kick{Fault: f, Reason: metrics.CloseFault})
	}
}

func (st *stage) drop(why metrics.Drop, n int) {
	st.x.Count(&st.env.Metrics.Dropped[why], int64(n))
}
