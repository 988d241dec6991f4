// SPDX-License-Identifier: Apache-2.0

// Package acl answers one question: may this client publish to this topic, or
// subscribe to this filter? It is emqttd_access_rule and emqttd_acl_internal,
// and it reads Mosquitto's acl_file beside emqttd's acl.config. There is no
// process here: a rule set is a value that never changes after it was read, so
// any goroutine may ask, and a reload replaces the whole value.
//
// What the two files mean:
//
//   - emqttd rules are walked from top to bottom, the first that speaks of the
//     client and the topic decides; where none does, the Policy decides.
//   - In a Mosquitto file a client has the entries of its user name (a client
//     without one has those above the first user line), then the patterns. In
//     each of the two lists the denials come first. What no entry allows is
//     refused.
//
// Where we differ from both, and why:
//
//   - A subscription is a question about a set of topics. emqttd compared the
//     filter as if it were a name, so {deny, all, subscribe, ["a/secret"]} did
//     not stop a subscription to a/#; Mosquitto grants every subscription and
//     drops what may not be read at delivery. Here a subscription is allowed
//     only when every topic it can bring is: an allowing rule must cover the
//     filter, a denying rule stops it when the two have a topic in common. So
//     who may read a/b cannot subscribe to a/#. Decision.Partial tells a caller
//     that checks each delivery (Receive) that it may grant such a subscription
//     all the same, as Mosquitto does.
//   - %c and %u (emqttd also wrote $c and $u) stand for the client identifier
//     and the user name, and are compared with the bytes of one level. Nothing
//     is ever substituted into a filter: a client that calls itself "+", "#" or
//     "a/b" matches no level, where a substitution would have widened the rule.
//     In a denying rule such a name makes the level match anything, so that a
//     strange name is never a way round a denial.
//   - Publishing below $SYS is refused unless a rule names $SYS as its first
//     level; {allow, all} does not.
//   - A pattern with %u says nothing about a client without a user name; emqttd
//     compared it with the two characters "$u".
package acl
