// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unsafe"

	"emqttd/protocol/packet"
)

// Step is what an actor did.
type Step string

const (
	Parsed       Step = "parsed"       // ws_loop made packets of a chunk
	Received     Step = "received"     // ws_client passed a packet on
	Accepted     Step = "accepted"     // CONNECT
	Refused      Step = "refused"      // CONNECT; Reason says why
	Denied       Step = "denied"       // by the rules
	Routed       Step = "routed"       // published: Count subscriptions matched
	Retained     Step = "retained"     // kept for later subscribers, or taken away
	Delivered    Step = "delivered"    // the session handed it to ws_client
	Queued       Step = "queued"       // the session keeps it; Reason says what for
	Dropped      Step = "dropped"      // Reason is the label of the metric
	Sent         Step = "sent"         // ws_client wrote it to the out-buffer
	Acknowledged Step = "acknowledged" // by the receiver of a delivery: it is done
	Subscribed   Step = "subscribed"   // the SUBACK has Reason for the filter
	Unsubscribed Step = "unsubscribed"
	Attached     Step = "attached" // a connection was bound to the session
	Detached     Step = "detached"
	Fault        Step = "fault"  // the peer broke a rule
	Closed       Step = "closed" // the connection
)

// Event is one hop. What does not apply is empty.
type Event struct {
	Seq    uint64    `json:"seq"` // counts the events of a trace, from 1
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"` // "tcp:default/7/protocol"
	Kind   string    `json:"kind"`  // of the actor: "protocol"
	Step   Step      `json:"step"`
	Reason string    `json:"reason,omitempty"`
	Again  bool      `json:"again,omitempty"` // decided at the second attempt: the first crashed
	Client string    `json:"client_id,omitempty"`
	From   string    `json:"from,omitempty"` // the publisher of the message
	Peer   string    `json:"peer,omitempty"`
	Packet string    `json:"packet,omitempty"`
	ID     packet.ID `json:"packet_id,omitempty"`
	QoS    int       `json:"qos"`
	Topic  string    `json:"topic,omitempty"` // or filter
	Bytes  int       `json:"bytes,omitempty"` // of the payload
	Count  int       `json:"count,omitempty"`

	// Addr is Peer for those who compare; Note makes the text of it.
	Addr netip.AddrPort `json:"-"`
}

// View is b as a string that shares its memory: for an Event that is given to
// Note, which copies what it keeps.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// String is the event as a line of a log.
func (e *Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-28s %-12s", e.At.Format("15:04:05.000000"), e.Actor, e.Step)
	field := func(name, value string) {
		if value != "" {
			b.WriteByte(' ')
			b.WriteString(name)
			b.WriteString(value)
		}
	}
	field("", e.Packet)
	if e.ID != 0 {
		fmt.Fprintf(&b, " id=%d", e.ID)
	}
	if e.Topic != "" {
		fmt.Fprintf(&b, " %q", e.Topic)
	}
	if e.Packet == "PUBLISH" || e.From != "" {
		fmt.Fprintf(&b, " qos=%d bytes=%d", e.QoS, e.Bytes)
	}
	if e.Count != 0 || e.Step == Routed {
		fmt.Fprintf(&b, " count=%d", e.Count)
	}
	field("reason=", e.Reason)
	field("client=", e.Client)
	field("from=", e.From)
	field("peer=", e.Peer)
	if e.Again {
		b.WriteString(" again")
	}
	return b.String()
}
