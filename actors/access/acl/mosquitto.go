// SPDX-License-Identifier: Apache-2.0

package acl

import "strings"

// Mosquitto is an acl_file of Mosquitto. What no entry allows is refused, so
// where a Mosquitto file stands in a Policy nothing after it is asked.
type Mosquitto struct {
	anonymous []entry // before the first user line: clients without a user name
	users     map[string][]entry
	patterns  []entry
	size      int
	nothing   Decision // no entry allows it
	dangerous Decision // a name with a wildcard, where patterns are used
}

// An entry is one topic or pattern line. In every list the denials stand first,
// as Mosquitto keeps them.
type entry struct {
	grants access
	p      pattern
	place  string // "acl:3"
}

type access byte

const (
	read  access = 1
	write access = 2
	deny  access = 0
)

// connectionState is the one place below $SYS where Mosquitto lets clients
// publish, if an entry allows it: bridges report there.
var connectionState, _ = parsePattern("$SYS/broker/connection/+/state", false, false)

// Len is the number of entries in the file.
func (m *Mosquitto) Len() int { return m.size }

// Check asks the entries of the user, then the patterns.
func (m *Mosquitto) Check(s *Subject, op Operation) Decision {
	if op.Action == Publish && isSys(op.Topic) && !connectionState.matches(op.Topic, names{s: s}) {
		return Decision{Effect: Deny, Rule: sysRule}
	}
	own := m.anonymous
	if s.Username != "" {
		own = m.users[s.Username]
	}
	q := question{s: s, op: op, need: read}
	switch op.Action {
	case Publish:
		q.need = write
	case Subscribe:
		q.op.Topic = inner(op.Topic)
	}
	if d := q.ask(own); d.Effect != NoMatch {
		return d
	}
	// Mosquitto refuses such names here, and so do we; our patterns would not
	// match them, but entries without a variable may be among the patterns.
	if len(m.patterns) > 0 && (strings.ContainsAny(s.Username, "+#") || strings.ContainsAny(s.ClientID, "+#")) {
		return m.dangerous
	}
	if d := q.ask(m.patterns); d.Effect != NoMatch {
		return d
	}
	d := m.nothing
	d.Partial = q.partial
	return d
}

// A question is one operation on its way through the lists.
type question struct {
	s       *Subject
	op      Operation
	need    access
	partial bool // an entry allows a part of the filter
}

func (q *question) ask(entries []entry) Decision {
	for i := range entries {
		e := &entries[i]
		if e.grants != deny && e.grants&q.need == 0 {
			continue
		}
		n := names{s: q.s, wide: e.grants == deny}
		var covered, touched bool
		if q.op.Action == Subscribe {
			covered = e.p.covers(q.op.Topic, n)
			touched = covered || e.p.overlaps(q.op.Topic, n)
		} else {
			covered = e.p.matches(q.op.Topic, n)
			touched = covered
		}
		switch {
		case covered && e.grants != deny:
			return Decision{Effect: Allow, Rule: e.place}
		case touched && e.grants == deny:
			return Decision{Effect: Deny, Partial: q.partial || !covered, Rule: e.place}
		case touched:
			q.partial = true
		}
	}
	return Decision{}
}
