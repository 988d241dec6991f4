// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"net/netip"
	"strings"

	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// Action is what a client wants to do with a topic.
type Action uint8

const (
	Publish   Action = iota // client -> broker, Topic is a name; also the topic of a will
	Subscribe               // Topic is a filter, with its $share/{group}/ or $queue/ if it has one
	Receive                 // broker -> client, Topic is the name of one message about to be delivered
)

var actionNames = [...]string{Publish: "publish", Subscribe: "subscribe", Receive: "receive"}

// String is the action as the log writes it.
func (a Action) String() string { return actionNames[a] }

// Subject is who asks. Username is the name that authentication vouches for,
// not the one CONNECT claims; empty means none. A rule set keeps nothing of it.
type Subject struct {
	ClientID  string
	Username  string
	Addr      netip.Addr
	Superuser bool
}

// Operation is what is asked. The two rule files do not look at QoS and Retain;
// they are here for other authorizers and for the log.
type Operation struct {
	Action Action
	Topic  string
	QoS    packet.QoS
	Retain bool
}

// Effect is what a rule set has to say about an operation.
type Effect uint8

const (
	NoMatch Effect = iota // no rule speaks of it
	Allow
	Deny
)

// Decision is the answer and the rule that gave it.
type Decision struct {
	Effect Effect
	// Partial says of a Subscribe that is not allowed that some topics of the
	// filter may be. A caller that asks Receive for every delivery may grant it.
	Partial bool
	// Rule is the place of the rule, "acl.config:12", or a short sentence where
	// no rule decided.
	Rule string
}

// Allowed reports whether the operation may go on.
func (d Decision) Allowed() bool { return d.Effect == Allow }

// Authorizer is one source of rules. Check is called on event loops: it never
// blocks, and takes below a microsecond for a few dozen rules. It is safe for
// concurrent use and keeps neither argument.
type Authorizer interface {
	Check(s *Subject, op Operation) Decision
}

// inner is the filter that a shared subscription subscribes to: rules speak of
// topics, not of groups.
func inner(filter string) string {
	if share, shared, err := topic.ParseShare(filter); shared && err == nil {
		return share.Filter
	}
	return filter
}

// isSys reports whether a topic name belongs to the broker's own tree.
func isSys(name string) bool {
	rest, ok := strings.CutPrefix(name, "$SYS")
	return ok && (rest == "" || rest[0] == '/')
}
