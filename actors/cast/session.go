// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"sync"
	"sync/atomic"

	"emqttd/actors/metrics"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// StartSession asks for the session of a client id: {start_session, {CleanSess,
// ClientId, ClientPid}}. protocol -> sm -> session (inside Attach).
type StartSession struct {
	mailbox.Link
	Conn           *Conn
	ClientID       string
	Username       string
	Version        packet.Version
	CleanStart     bool
	Expiry         uint32 // seconds; 0xFFFFFFFF: never
	ReceiveMaximum uint16 // of the client
	MaxPacket      uint32
	Will           *packet.Will
	WillDelay      uint32 // seconds
	Durability     Durability
	Releases       Durability // of PUBCOMP; see store.Levels.OfRelease
}

// Attach binds a connection to a session. sm -> session: {resume, ClientId,
// ClientPid}. Epoch is higher than that of every connection before.
type Attach struct {
	mailbox.Link
	Start *StartSession
	Epoch uint64
	// Ends are the numbers of the sessions that the client id had before, if the
	// store may still have them: their records go before CONNACK says that they are
	// gone. Immutable.
	Ends []uint64
}

// SessionStarted answers StartSession, session (or sm, for a refusal) ->
// protocol.
type SessionStarted struct {
	mailbox.Link
	Session *cell.Cell
	Epoch   uint64
	Present bool
	Code    packet.ReasonCode // a failure: no session
}

// Ready says that the CONNACK is on its way: deliveries may begin. protocol ->
// session.
type Ready struct {
	mailbox.Link
	Epoch uint64
}

// Detach says that the connection of the epoch is gone. protocol -> session.
type Detach struct {
	mailbox.Link
	Epoch    uint64
	Reason   metrics.Close
	KeepWill bool // the will is to be published; false after DISCONNECT 0x00
	// Expiry is the session expiry that a DISCONNECT has set, if HasExpiry.
	HasExpiry bool
	Expiry    uint32
	Reply     *cell.Cell // gets Detached; nil: the connection is closed already
}

// Detached answers Detach: what DISCONNECT has changed is stored, and the
// connection may be closed. session -> protocol.
type Detached struct{ mailbox.Link }

// Expired asks the owner of the client id to end a session whose time is over.
// session -> sm.
type Expired struct {
	mailbox.Link
	ClientID string
	Session  *cell.Cell
	Epoch    uint64
}

// Destroy ends a session: {destroy, ClientId}. sm -> session.
type Destroy struct {
	mailbox.Link
	Reason metrics.Close // of the connection, if there is one
	// Kept: the store may have a record of it. The session manager is told when it
	// has none any more (SessionGone).
	Kept bool
}

// NotAttached tells the session manager that an Attach was poison: the session has
// the connection that it had. session -> sm.
type NotAttached struct {
	mailbox.Link
	ClientID string
	Session  *cell.Cell
	Epoch    uint64 // of the Attach
	Before   uint64 // of the connection that it had last; 0: it never had one
}

// SessionGone tells the session manager that the store has nothing more of a
// session, which it has ended.
type SessionGone struct {
	mailbox.Link
	ClientID string
	Number   uint64
}

// Kick closes a connection: {shutdown, conflict | kick, ..}. session, cm ->
// protocol.
type Kick struct {
	mailbox.Link
	Code   packet.ReasonCode
	Fault  packet.Fault // FaultNone: Code alone says why
	Reason metrics.Close
	// Detached says that the session knows already: it needs no Detach.
	Detached bool
}

// Releases carries the QoS 2 PUBLISHes and PUBRELs of one read with a cursor.
// protocol -> session: {publish, Msg} with QoS 2, {pubrel, PktId}.
type Releases struct {
	mailbox.Link
	cursor
	Epoch uint64
	Items []Release
}

// Release is a QoS 2 PUBLISH of the client, or its PUBREL.
type Release struct {
	ID      packet.ID
	Message *message.Message // nil: PUBREL, or a PUBLISH that is Refused
	Code    packet.ReasonCode
	Refused bool // only PUBREC with Code is wanted, in its turn

	Durability Durability // of Message
}

var releases = sync.Pool{New: func() any { return new(Releases) }}

// NewReleases is a batch of some parts, from the pool.
func NewReleases(epoch uint64, parts ...Release) *Releases {
	b := releases.Get().(*Releases)
	b.Epoch, b.Items = epoch, append(b.Items, parts...)
	return b
}

// Current is the part that is decided about, nil behind the last.
func (b *Releases) Current() *Release {
	if b.Place() == len(b.Items) {
		return nil
	}
	return &b.Items[b.Place()]
}

// Release implements cell.Releaser.
func (b *Releases) Release() {
	clear(b.Items)
	b.Items, b.cursor = b.Items[:0], cursor{}
	if cap(b.Items) <= keptParts {
		releases.Put(b)
	}
}

// Acked carries acknowledgements of what was delivered, those of one read
// together. protocol -> session: {puback | pubrec | pubcomp, PktId}.
type Acked struct {
	mailbox.Link
	Epoch uint64
	Acks  []Ack
}

var ackeds = sync.Pool{New: func() any { return new(Acked) }}

// NewAcked is an empty batch, from the pool.
func NewAcked(epoch uint64) *Acked {
	a := ackeds.Get().(*Acked)
	a.Epoch = epoch
	return a
}

// Release implements cell.Releaser.
func (a *Acked) Release() {
	a.Acks = a.Acks[:0]
	if cap(a.Acks) <= keptParts {
		ackeds.Put(a)
	}
}

// Ack is one acknowledgement.
type Ack struct {
	Kind packet.Type
	ID   packet.ID
	Code packet.ReasonCode
}

// Subscribe adds subscriptions. protocol -> session: {subscribe, TopicTable,
// AckFun}. Codes holds the answer to filters that are refused already, and
// Success for the others.
type Subscribe struct {
	mailbox.Link
	Epoch  uint64
	Packet *packet.Subscribe
	Codes  []packet.ReasonCode
}

// Unsubscribe removes subscriptions. protocol -> session: {unsubscribe, Topics}.
type Unsubscribe struct {
	mailbox.Link
	Epoch  uint64
	Packet *packet.Unsubscribe
}

// Finish asks for an empty Answer behind every other: the connection is about to
// be closed for a fault. protocol -> session.
type Finish struct {
	mailbox.Link
	Epoch uint64
}

// Answer is the acknowledgements to packets of the client, decided by its
// session. session -> protocol. They free what the packets held of the client's
// receive maximum.
type Answer struct {
	mailbox.Link
	packets
	Epoch    uint64
	Finished bool // answers Finish: nothing else is owed
}

var answers = sync.Pool{New: func() any { return new(Answer) }}

// NewAnswer is an Answer from the pool, without a packet.
func NewAnswer(epoch uint64) *Answer {
	a := answers.Get().(*Answer)
	a.Epoch = epoch
	return a
}

// Release implements cell.Releaser.
func (a *Answer) Release() {
	a.Finished = false
	if a.reset() {
		answers.Put(a)
	}
}

// Delivery is one message on the way to one client.
type Delivery struct {
	Message *message.Message
	IDs     *SubIDs
	QoS     packet.QoS
	Retain  bool
	Dup     bool
	ID      packet.ID // QoS 1 and 2
}

// Deliver hands messages to the connection: {deliver, Msg}. session ->
// ws_client.
type Deliver struct {
	mailbox.Link
	Epoch      uint64
	Deliveries []Delivery
	Pubrel     []packet.ID     // PUBRELs to send
	PubrelBad  []packet.ID     // those whose id is unknown: 0x92
	Traced     bool            // the session has noted one of them: so is ws_client to look
	Loans      []*message.Loan // that it holds: messages among Deliveries are of them
}

var delivers = sync.Pool{New: func() any { return new(Deliver) }}

// NewDeliver is an empty Deliver, from the pool.
func NewDeliver(epoch uint64) *Deliver {
	d := delivers.Get().(*Deliver)
	d.Epoch = epoch
	return d
}

// Lend says that messages among Deliveries are of a loan.
func (d *Deliver) Lend(l *message.Loan) {
	l.Hold()
	d.Loans = append(d.Loans, l)
}

// Release implements cell.Releaser.
func (d *Deliver) Release() {
	clear(d.Deliveries)
	for i, l := range d.Loans {
		l.Drop()
		d.Loans[i] = nil
	}
	d.Loans = d.Loans[:0]
	d.Deliveries, d.Pubrel, d.PubrelBad, d.Traced = d.Deliveries[:0], d.Pubrel[:0], d.PubrelBad[:0], false
	if max(cap(d.Deliveries), cap(d.Pubrel), cap(d.PubrelBad)) <= keptParts {
		delivers.Put(d)
	}
}

// Dispatch is a run of messages that match one subscription of a session:
// {dispatch, Topic, Msg}. publisher -> session.
type Dispatch struct {
	mailbox.Link
	Messages []*message.Message // shared with the other subscribers of the run
	Sub      *Subscription      // options; of several that match, the merged ones
	Share    *ShareRef          // the shared group that chose this session; nil: none
	// Loan is what it holds until its Release: Messages, and those of QoS 0 among them,
	// are only good so long, and who keeps one takes a Copy. nil: they may be kept.
	Loan *message.Loan
}

// Kept is one of Messages, fit to be kept.
func (d *Dispatch) Kept(m *message.Message) *message.Message {
	if d.Loan != nil && m.QoS == packet.QoS0 {
		return m.Copy()
	}
	return m
}

// Subscriber is a session as the routing table knows it: what all of its
// subscriptions share. The counts are kept true by the session, and read by
// publishers as a hint when they choose a member of a shared group.
type Subscriber struct {
	Session  *cell.Cell
	Number   uint64 // of the session, in the store
	ClientID string
	Online   atomic.Int64 // 1: connected
	Busy     atomic.Int64 // messages in flight and queued
	Window   atomic.Int64 // in flight at most
	Choked   atomic.Int64 // 1: there is no room for QoS 0, its client does not read
}

// Subscription is a subscription as the session and the routing table have it.
// It is immutable: a changed subscription is a new one. A broker may hold
// millions: what can be derived is not kept, and it fits into one line of a cache.
type Subscription struct {
	*Subscriber
	Filter string  // as the client wrote it
	IDs    *SubIDs // all filters of a SUBSCRIBE have the same
	// Lookup: the retained messages up to position Start are looked up, later
	// ones arrive live. The routing table sets Start once, right after the
	// subscription is in it; 0: not yet.
	Start   atomic.Uint64
	Lookup  bool
	QoS     packet.QoS
	NoLocal bool
	AsPub   bool  // retain as published
	Durable bool  // the session outlives its connection
	Slot    int32 // the routing table's, under its lock
	// Life is which of the sessions that the cell has been it is of: what is on its
	// way by the route of an earlier one is not for the next.
	Life uint32
}

// SubIDs are subscription identifiers [v5 3.8.2.1.2]: one, or several of a
// subscription that stands for all those of a session that match a message. nil is
// none; few clients have any, and a pointer is what is copied for each message. They
// are shared and not changed.
type SubIDs []uint32

// Shared is where subscriptions and messages point to, nil if there are none.
func (ids SubIDs) Shared() *SubIDs {
	if len(ids) == 0 {
		return nil
	}
	all := ids // it alone has to leave the stack
	return &all
}

// All are the identifiers, in the order in which a PUBLISH has them.
func (ids *SubIDs) All() []uint32 {
	if ids == nil {
		return nil
	}
	return *ids
}

// Share takes the filter apart: what is matched, and the name of the shared group,
// "" for none.
func (s *Subscription) Share() (match, group string) {
	if share, shared, _ := topic.ParseShare(s.Filter); shared {
		return share.Filter, share.Group
	}
	return s.Filter, ""
}

// Release implements cell.Releaser: what fan-outs make comes from a pool.
func (d *Dispatch) Release() {
	if d.Loan != nil {
		d.Loan.Drop()
	}
	d.Messages, d.Sub, d.Share, d.Loan = nil, nil, nil, nil
	dispatches.Put(d)
}

var dispatches = sync.Pool{New: func() any { return new(Dispatch) }}

// NewDispatch is an empty Dispatch.
func NewDispatch() *Dispatch { return dispatches.Get().(*Dispatch) }
