// SPDX-License-Identifier: Apache-2.0

// Package store makes durable what an acknowledgement promises. emqttd kept its
// sessions and queues in process memory; here a commit is a message, its answer
// comes when it is durable, and nothing blocks in between.
//
// Three parts: the Log gives each message its position at acceptance, as an act
// of the trusted core that any actor's effect may do; the store actor groups
// what was accepted and hands it to the Engine; the Engine (memory, or a durable
// one) makes a group durable and says so. Handle and queue of commits live in
// the cell, so a crash of the actor goes on with both.
//
// Supervised one_for_one, permanent.
package store

import (
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Commit is one unit that becomes durable as a whole, in the order of
// acceptance.
type Commit struct {
	mailbox.Link
	Ops []Op
	// Reply gets Committed when the commit is durable; nil: nobody waits, and the
	// commit may ride with the next one (lazy).
	Reply *cell.Cell
	Tag   uint64
	// Early: Reply gets Committed at once, and the commit is lazy: the level of
	// memory. Whoever wants its answers in the order of its commits does not mix
	// this with others that wait.
	Early bool
}

// Waits reports whether somebody waits until c is durable.
func (c *Commit) Waits() bool { return c.Reply != nil && !c.Early }

// Committed answers a Commit: it is durable, or Err says why it never will be;
// then nothing it holds may be acknowledged.
type Committed struct {
	mailbox.Link
	Tag uint64
	Err error
}

// OpKind is what an Op does.
type OpKind uint8

const (
	PutSession  OpKind = iota // Session, Record
	EndSession                // Session: with all it has
	Append                    // Message for Sessions
	Retain                    // Message, by its topic; an empty payload deletes
	AddAwait                  // Session, ID
	DelAwait                  // Session, ID
	PutInflight               // Session, ID, Message, Phase, QoS, Retain
	DelInflight               // Session, ID, Message
	Discard                   // Session, Message: dropped from the queue
	PutFilter                 // Session, Filter
	DelFilter                 // Session, Filter
	PutDead                   // Session, Dead
	DelDead                   // Session, Dead: its Serial
)

// Op is one change.
type Op struct {
	Kind     OpKind
	Session  uint64 // number of the session, unique for ever
	ID       packet.ID
	Message  *message.Message
	Sessions []uint64 // that get the message
	Phase    Phase
	QoS      packet.QoS // of PutInflight: as it is delivered
	Retain   bool       // of PutInflight, and of Append to one session: as it is delivered
	Record   *Record
	Filter   *Filter
	Dead     *Dead
}

// Phase is how far an outgoing QoS 1 or 2 message has come.
type Phase uint8

const (
	Sent     Phase = iota // PUBLISH may have left
	Released              // PUBREC came: PUBREL may have left
)

// Record is what a session is, besides its subscriptions and messages.
type Record struct {
	ClientID     string
	Username     string
	Epoch        uint64
	Version      packet.Version
	Expiry       uint32 // seconds after the disconnect; 0xFFFFFFFF: never
	Disconnected int64  // nanoseconds since the Unix epoch; 0: connected
	Will         *message.Message
	WillDelay    uint32
}

// Filter is a subscription with its options.
type Filter struct {
	Text           string
	QoS            packet.QoS
	NoLocal        bool
	AsPub          bool
	RetainHandling uint8
	SubID          uint32
	Owed           *Owed // immutable; nil: all that was retained has been handed on
}

// Owed is the retained messages that a subscription has still to be given: those
// of the filter up to position Start that come behind the topic After, "" for all,
// in the order of names that Engine.Order seeds.
type Owed struct {
	Start uint64
	After string
}

// Dead is a dead letter: a message that crashed its session at both attempts,
// kept with all it needs until an operator replays or deletes it. It holds its
// message itself: what becomes of the message elsewhere does not touch it.
type Dead struct {
	Serial  uint64 // higher for later ones of the session
	Message *message.Message
	QoS     packet.QoS // as it was to be delivered
	Retain  bool       // as it was to be delivered
	Reason  string     // of the crash
	At      int64      // of the crash, nanoseconds since the Unix epoch
}

// Stored is a session as the engine gives it back.
type Stored struct {
	Session  uint64
	Record   Record
	Filters  []Filter
	Queue    []*message.Message // not sent yet, in order
	Waiting  []Waiting          // the same without the messages, in Queue's stead: of Fetcher.Resume
	Found    []uint64           // positions in Queue that are delivered as retained, ascending
	Inflight []Inflight         // in the order in which they were sent
	Await    []packet.ID
	Dead     []Dead // in the order of their serials
}

// Inflight is one message sent and not done.
type Inflight struct {
	ID      packet.ID
	Message *message.Message
	Phase   Phase
	QoS     packet.QoS // as it was delivered
	Retain  bool
}

// Engine makes groups of commits durable.
type Engine interface {
	// Write makes group durable, in order, and then calls done, from any
	// goroutine, exactly once. It does not block. After an error nothing more is
	// written. A group whose commits nobody waits for may be answered as soon as
	// it has its place in the order; it is durable with the next that has one, and
	// at the latest a second later.
	Write(group []*Commit, done func(error))
	// Sessions calls yield for every session, in the order of their numbers.
	Sessions(yield func(Stored) bool) error
	// Retained calls yield for every retained message, in the order of topics.
	Retained(yield func(*message.Message) bool) error
	// Last is the highest position that was ever stored.
	Last() uint64
	// Order seeds the order of topics that Owed is about: the same as long as the
	// data is. It is a secret, see topic.NewSeededIndex.
	Order() uint64
	// Close ends the engine; what was not answered is not durable.
	Close() error
}
