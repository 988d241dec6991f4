// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"sync/atomic"

	"emqttd/protocol/message"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Route changes one subscription in the routing table; Old is the one it
// replaces or removes, New the one that takes its place; either may be nil.
// session -> router: {subscribe | unsubscribe, Topic, SubPid}.
type Route struct {
	mailbox.Link
	Filter string // what is matched: of a shared subscription, the inner filter
	Group  string // of a shared subscription
	Old    *Subscription
	New    *Subscription
	Reply  *cell.Cell // gets Routed; nil: nobody waits
	Token  uint64
	// Position, if set, tells the store's position when the change is effective;
	// it becomes New.Start.
	Position interface{ Position() uint64 }
}

// Routed says that the change is effective: whoever publishes from now on finds
// it. router -> session.
type Routed struct {
	mailbox.Link
	Token  uint64
	Failed bool // the change crashed the router twice and was not made
}

// Member is a session's part in a shared group; the session keeps it true, the
// publishers read it as a hint when they choose.
type Member struct {
	Session *cell.Cell
	Online  atomic.Int64 // 1: connected
	Busy    atomic.Int64 // messages in flight and queued
	Window  atomic.Int64 // in flight at most
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
}

// Match asks for retained messages of a filter. session -> retainer. Cursor is
// the name delivered last, "" at the beginning.
type Match struct {
	mailbox.Link
	Filter string
	Cursor topic.Cursor
	Max    int
	Reply  *cell.Cell
	Token  uint64
}

// Matched answers Match with the next batch. retainer -> session.
type Matched struct {
	mailbox.Link
	Token    uint64
	Messages []*message.Message
	Cursor   topic.Cursor
	Done     bool
}
