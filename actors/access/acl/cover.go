// SPDX-License-Identifier: Apache-2.0

package acl

import "strings"

// cut takes the first level off a topic; more says that a slash followed it.
func cut(topic string) (first, rest string, more bool) {
	if i := strings.IndexByte(topic, '/'); i >= 0 {
		return topic[:i], topic[i+1:], true
	}
	return topic, "", false
}

// begins is the cheap question before matches and covers, which go on from a
// yes: does the topic begin as p does?
func (p *pattern) begins(topic string) bool {
	return len(topic) >= len(p.prefix) && topic[:len(p.prefix)] == p.prefix
}

// matches reports whether a topic name matches p. A wildcard at the first level
// does not match names that begin with '$' [v3.1.1 MQTT-4.7.2-1].
func (p *pattern) matches(name string, n names) bool {
	if p.exact != "" {
		return name == p.exact
	}
	if !p.begins(name) || p.wild && strings.HasPrefix(name, "$") || p.silent(n) {
		return false
	}
	more := true
	for i := range p.levels {
		if !more {
			return false
		}
		var word string
		word, name, more = cut(name)
		if !p.levels[i].is(word, n) {
			return false
		}
	}
	return p.tail || !more
}

// covers reports whether p matches every name that filter matches.
func (p *pattern) covers(filter string, n names) bool {
	if p.exact != "" {
		return filter == p.exact
	}
	if !p.begins(filter) || p.wild && strings.HasPrefix(filter, "$") || p.silent(n) {
		return false
	}
	more := true
	for i := range p.levels {
		if !more {
			return false
		}
		var word string
		word, filter, more = cut(filter)
		if word == "#" && !more {
			// A name has at least one level, so +/# is all that # is. Deeper,
			// a/# has the name a, which a/+/# has not.
			return i == 0 && p.tail && len(p.levels) == 1 && p.levels[0].any(n)
		}
		if p.levels[i].any(n) {
			continue
		}
		if word == "+" || !p.levels[i].is(word, n) {
			return false
		}
	}
	return p.tail || !more
}

// overlaps reports whether there is a name that both p and filter match.
func (p *pattern) overlaps(filter string, n names) bool {
	if p.exact != "" {
		return filter == p.exact
	}
	if p.splitByDollar(filter) || p.silent(n) {
		return false
	}
	more := true
	for i := range p.levels {
		if !more {
			return false
		}
		var word string
		word, filter, more = cut(filter)
		if word == "#" && !more {
			return true
		}
		if word != "+" && !p.levels[i].is(word, n) {
			return false
		}
	}
	return p.tail || !more || filter == "#"
}

// splitByDollar reports that one of the two speaks only of names that begin
// with '$' and the other only of names that do not.
func (p *pattern) splitByDollar(filter string) bool {
	word, _, _ := cut(filter)
	if p.wild {
		return strings.HasPrefix(word, "$")
	}
	return (word == "+" || word == "#") && strings.HasPrefix(p.levels[0].text, "$")
}
