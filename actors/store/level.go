// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"strings"

	"emqttd/actors/cast"
	"emqttd/protocol/topic"
)

// There is no level between synced and memory, of what was handed to the
// operating system and not synced. 2026-11: Pebble keeps what it does not sync in
// its own memory. A file system under it that leaves its syncs out while nobody
// waits for the disk would do, but Pebble writes into its log how far it was
// synced, and takes a gap below that, which a power loss may leave then, for
// damage: the broker would refuse to start.

// Levels say how durable a client's acknowledgements are: the first rule that
// fits decides, and Default where none does. The zero value is synced for all.
type Levels struct {
	Default  cast.Durability
	Rules    []Rule
	Volatile bool // the engine keeps nothing: whatever the rules say, it is in memory
}

// Rule gives a level to the clients and topics that all of its conditions fit.
type Rule struct {
	Level  cast.Durability
	Client string // client ids; * stands for any bytes; "": every one
	User   string // name that was authenticated; "": every one
	Topic  string // filter; "": whatever has a topic or none
}

// Of is the level of what a client does besides publishing: its session, its
// subscriptions, the messages that are on the way to it.
func (l *Levels) Of(client, user string) cast.Durability { return l.find(client, user, "") }

// OfTopic is the level of what a client publishes to a topic: of the message and
// its PUBACK or PUBREC.
func (l *Levels) OfTopic(client, user, name string) cast.Durability {
	return l.find(client, user, name)
}

// OfRelease is the level of a client's PUBCOMPs, which know no topic: the most
// durable of what its messages may have. A kill that leaves an identifier in use
// which the client may give to the next message has that one answered as a
// repetition and not published, and where one topic is synced it may be its.
func (l *Levels) OfRelease(client, user string) cast.Durability {
	for i := range l.Rules {
		switch r := &l.Rules[i]; {
		case !r.whose(client, user):
		case r.Level == cast.Synced || r.Topic == "":
			return r.Level
		}
	}
	return l.Default
}

func (l *Levels) find(client, user, name string) cast.Durability {
	for i := range l.Rules {
		if r := &l.Rules[i]; r.fits(client, user, name) {
			return r.Level
		}
	}
	return l.Default
}

func (r *Rule) fits(client, user, name string) bool {
	return r.whose(client, user) && (r.Topic == "" || name != "" && topic.Match(r.Topic, name))
}

func (r *Rule) whose(client, user string) bool {
	return (r.User == "" || r.User == user) && (r.Client == "" || like(r.Client, client))
}

// Name is what a client is told that its level is.
func (l *Levels) Name(d cast.Durability) string {
	if l.Volatile {
		d = cast.Memory
	}
	return d.String()
}

// like reports whether text is as pattern says, in which * stands for any bytes,
// also none. It takes time in proportion to both.
func like(pattern, text string) bool {
	star, from := -1, 0
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0: // the last * takes one byte more
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

var errRule = errors.New(`expected a rule such as "memory topic telemetry/#", "memory client sensor-*" or "synced user billing topic bills/+": ` +
	`a level (synced, memory), then at least one of client, user, topic, each once`)

// UnmarshalText reads a rule: a level, then client, user and topic, each at most
// once and followed by its word, in any order.
func (r *Rule) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) < 3 || len(words)%2 == 0 {
		return errRule
	}
	var out Rule
	switch words[0] {
	case "synced":
	case "memory":
		out.Level = cast.Memory
	default:
		return errRule
	}
	for i := 1; i < len(words); i += 2 {
		field := map[string]*string{"client": &out.Client, "user": &out.User, "topic": &out.Topic}[words[i]]
		if field == nil || *field != "" {
			return errRule
		}
		*field = words[i+1]
	}
	if out.Topic != "" {
		if err := topic.ValidFilter([]byte(out.Topic), topic.Limits{}); err != nil {
			return err
		}
	}
	*r = out
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (r Rule) MarshalText() ([]byte, error) {
	out := []byte(r.Level.String())
	for _, part := range [...]struct{ name, value string }{{" client ", r.Client}, {" user ", r.User}, {" topic ", r.Topic}} {
		if part.value != "" {
			out = append(append(out, part.name...), part.value...)
		}
	}
	return out, nil
}
