// SPDX-License-Identifier: Apache-2.0

package acl

import "strings"

// names are the texts that the variables of a pattern stand for, for one
// question.
type names struct {
	s *Subject
	// wide makes a level whose name cannot be used match anything: for denials.
	wide bool
}

// of is the text that a variable stands for.
func (n names) of(v variable) string {
	if v == clientID {
		return n.s.ClientID
	}
	return n.s.Username
}

// usable reports whether a name can be the text of a level.
func usable(name string) bool { return !strings.ContainsAny(name, "/+#\x00") }

// silent reports that p says nothing of this client: a variable has no text, or
// a text that is no level while p allows something.
func (p *pattern) silent(n names) bool {
	if !p.vars {
		return false
	}
	for i := range p.levels {
		for _, v := range p.levels[i].vars {
			if v.kind == noVariable {
				continue
			}
			if name := n.of(v.kind); name == "" || !n.wide && !usable(name) {
				return true
			}
		}
	}
	return false
}

// any reports whether every text matches l. A level with a name that cannot be
// used does so in a denial; elsewhere its pattern is silent.
func (l *level) any(n names) bool {
	if l.plus {
		return true
	}
	for _, v := range l.vars {
		if v.kind != noVariable && !usable(n.of(v.kind)) {
			return true
		}
	}
	return false
}

// is reports whether one level of a topic, which is no wildcard, matches l.
func (l *level) is(text string, n names) bool {
	if l.vars == nil {
		return l.plus || l.text == text
	}
	if l.any(n) {
		return true
	}
	for _, v := range l.vars {
		want := v.text
		if v.kind != noVariable {
			want = n.of(v.kind)
		}
		var ok bool
		if text, ok = strings.CutPrefix(text, want); !ok {
			return false
		}
	}
	return text == ""
}
