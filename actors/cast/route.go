// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Route changes subscriptions of one session in the routing table, in their
// order and as one act: what one SUBSCRIBE or UNSUBSCRIBE says, in parts of at
// most MaxChanges. session -> router: {subscribe | unsubscribe, Topic, SubPid}.
type Route struct {
	mailbox.Link
	Changes []Change
	Reply   *cell.Cell // gets Routed; nil: nobody waits
	Token   uint64
	// Position, if set, tells the store's position when the changes are effective;
	// it becomes the Start of new subscriptions with a Lookup.
	Position interface{ Position() uint64 }
}

// Change is one subscription's: Old is the one that is replaced or removed, New
// the one that takes its place; either may be nil. Both have the same filter.
type Change struct{ Old, New *Subscription }

// Either is New or, without one, Old.
func (c Change) Either() *Subscription {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

// MaxChanges bounds how long others wait for the routing table: a quarter of a
// millisecond.
const MaxChanges = 256

// Routed says that the changes are effective: whoever publishes from now on finds
// them. router -> session.
type Routed struct {
	mailbox.Link
	Token  uint64
	Failed bool // they crashed the router twice and were not made
}

// ShareRef remembers which group a message was chosen from, so that another
// member can have it when this one's session ends.
type ShareRef struct {
	Group, Filter string
}

// Redispatch gives a message of a shared group to another member. session ->
// router.
type Redispatch struct {
	mailbox.Link
	Share   *ShareRef
	Message *message.Message
	From    *cell.Cell // not to this one
	// Number is that of the session it comes from, if the store has the message for
	// that one: sent under ID, or waiting when ID is 0. It has it no more when it
	// has it for the other.
	Number uint64
	ID     packet.ID
}

// Match asks for retained messages: those of the first subscription from Cursor
// on and, when it has none, those of the next that has. session -> retainer.
type Match struct {
	mailbox.Link
	Subs   []*Subscription // not shared ones; at least one
	Cursor topic.Cursor    // in the first; the zero Cursor is the beginning
	Max    int
	Reply  *cell.Cell
	Token  uint64
}

// Matched answers Match with the next batch. retainer -> session.
type Matched struct {
	mailbox.Link
	Token    uint64
	Passed   int // subscriptions of the Match that have nothing more, before the one that the messages are of
	Messages []*message.Message
	Cursor   topic.Cursor // in that one
	Done     bool         // it has nothing more either
}
