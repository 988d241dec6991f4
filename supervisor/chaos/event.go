// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"strings"
	"time"

	"emqttd/protocol/packet"
)

// EventKind says what a client did or saw.
type EventKind string

// What happens to a connection.
const (
	Opened        EventKind = "opened"        // CONNECT is about to be sent
	Accepted      EventKind = "accepted"      // CONNACK with success came
	Refused       EventKind = "refused"       // CONNACK with a failure came
	Disconnecting EventKind = "disconnecting" // DISCONNECT is about to be sent
	Closed        EventKind = "closed"        // the connection is gone; By says who ended it
)

// What happens to messages and subscriptions. What a client sends is recorded
// before it is sent, what it is sent after it was read: so the order of events
// is an order in time.
const (
	Published     EventKind = "published"     // PUBLISH is about to be sent, for the first time or again
	Answered      EventKind = "answered"      // PUBACK, PUBCOMP or a failing PUBREC came
	Received      EventKind = "received"      // a message reached the application
	Subscribing   EventKind = "subscribing"   // SUBSCRIBE is about to be sent
	Subscribed    EventKind = "subscribed"    // SUBACK came
	Unsubscribing EventKind = "unsubscribing" // UNSUBSCRIBE is about to be sent
	Unsubscribed  EventKind = "unsubscribed"  // UNSUBACK came
)

// What happens beside the clients.
const (
	Kicked    EventKind = "kicked"    // an operator is about to close the client's connection
	Blamed    EventKind = "blamed"    // what was done to this client's messages may cost it its connection
	Restarted EventKind = "restarted" // the broker is about to be killed, or has just been started again: every connection ends
	Settled   EventKind = "settled"   // everybody is connected, and nothing has moved for long enough
	Broken    EventKind = "broken"    // the broker broke the protocol; Text says how
)

// Event is one line of a history. Fields that a kind does not name are zero.
type Event struct {
	At     int64     `json:"at"` // nanoseconds since the Unix epoch, on the run's clock; set by Record
	Kind   EventKind `json:"kind"`
	Client string    `json:"client,omitempty"`
	Conn   int       `json:"conn,omitempty"` // number of the connection in the run, from 1

	Clean     bool              `json:"clean,omitempty"`      // Opened
	Memory    bool              `json:"memory,omitempty"`     // Opened, Published: the broker keeps it in memory, and a kill may take it
	Expiry    uint32            `json:"expiry,omitempty"`     // Opened, Accepted: of the session, seconds; Disconnecting: the new one
	HasExpiry bool              `json:"has_expiry,omitempty"` // Accepted, Disconnecting: Expiry counts
	Will      *Will             `json:"will,omitempty"`       // Opened
	Present   bool              `json:"present,omitempty"`    // Accepted
	Up        bool              `json:"up,omitempty"`         // Restarted: it runs again
	Code      packet.ReasonCode `json:"code,omitempty"`       // Refused, Answered, Disconnecting; Closed: of the server's DISCONNECT
	By        Side              `json:"by,omitempty"`         // Closed

	Msg    uint64     `json:"msg,omitempty"` // number of the message in the run, from 1; a received payload that holds none: 0
	Topic  string     `json:"topic,omitempty"`
	QoS    packet.QoS `json:"qos,omitempty"`
	Retain bool       `json:"retain,omitempty"`
	Dup    bool       `json:"dup,omitempty"`
	Empty  bool       `json:"empty,omitempty"` // Published, Received: no payload

	Request int                   `json:"request,omitempty"` // number of the SUBSCRIBE or UNSUBSCRIBE in the run, also in its answer
	Filters []packet.Subscription `json:"filters,omitempty"` // Subscribing, Unsubscribing
	Codes   []packet.ReasonCode   `json:"codes,omitempty"`   // Subscribed

	Text string `json:"text,omitempty"` // Broken; else a note for readers
}

// Will is the will of one connection.
type Will struct {
	Msg    uint64     `json:"msg"`
	Topic  string     `json:"topic"`
	QoS    packet.QoS `json:"qos"`
	Retain bool       `json:"retain,omitempty"`
	Delay  uint32     `json:"delay,omitempty"` // seconds
}

// Side is who ended a connection.
type Side string

// The ends of a connection.
const (
	ByClient Side = "client"
	ByServer Side = "server"
)

// Never is the expiry of a session that does not expire.
const Never = 0xFFFFFFFF

// String is the event on one line, without its time.
func (e Event) String() string {
	var b strings.Builder
	b.WriteString(string(e.Kind))
	add := func(set bool, format string, args ...any) {
		if set {
			fmt.Fprintf(&b, " "+format, args...)
		}
	}
	add(e.Client != "", "%s", e.Client)
	add(e.Conn != 0, "#%d", e.Conn)
	add(e.Clean, "clean")
	add(e.Memory, "memory")
	add(e.Kind == Opened && e.Expiry == Never, "expiry=never")
	add((e.Kind == Opened || e.HasExpiry) && e.Expiry != Never, "expiry=%ds", e.Expiry)
	if w := e.Will; w != nil {
		add(true, "will=%d %s q%d delay=%ds", w.Msg, w.Topic, w.QoS, w.Delay)
	}
	add(e.Kind == Accepted, "present=%t", e.Present)
	add(e.By != "", "by %s", e.By)
	add(e.Msg != 0, "m%d", e.Msg)
	add(e.Topic != "", "%s q%d", e.Topic, e.QoS)
	add(e.Retain, "retain")
	add(e.Dup, "dup")
	add(e.Empty, "empty")
	add(e.Request != 0, "r%d", e.Request)
	for _, f := range e.Filters {
		add(true, "%s q%d", f.Filter, f.QoS)
	}
	for _, c := range e.Codes {
		add(true, "0x%02X", uint8(c))
	}
	add(e.Code != 0, "0x%02X", uint8(e.Code))
	add(e.Text != "", "(%s)", e.Text)
	return b.String()
}

// since is the time of e after start, for readers.
func (e Event) since(start int64) time.Duration {
	return time.Duration(e.At - start).Round(time.Microsecond)
}
