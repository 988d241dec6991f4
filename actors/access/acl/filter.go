// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"emqttd/protocol/topic"
)

// A pattern is a topic filter of a rule, taken apart when the file is read.
//
// It answers three questions: does it match a name, does it cover another
// filter (every name that one matches), does it overlap it (at least one name).
// None of them allocates.
type pattern struct {
	levels []level // without the '#' at the end
	tail   bool    // ends in '#'
	prefix string  // what every name it matches begins with, and every filter it covers
	exact  string  // {eq, Topic}: compared as text; then the rest but prefix is not looked at
	wild   bool    // first level is no plain text: says nothing of names in '$'
	sys    bool    // first level is $SYS
	vars   bool    // some level has a variable
}

// A level is plain text, '+', or text with %c and %u in it.
type level struct {
	plus bool
	text string // plain text when parts is nil
	vars []part
}

// A part of a level with variables: text, or a variable.
type part struct {
	text string
	kind variable
}

type variable uint8

const (
	noVariable variable = iota
	clientID
	username
)

// parsePattern reads a filter of a rule. erlang says that the level may also be
// $c or $u, as emqttd 1.1 wrote its variables.
func parsePattern(s string, variables, erlang bool) (pattern, error) {
	if !utf8.ValidString(s) {
		return pattern{}, fmt.Errorf("filter %q is not UTF-8", clip(s))
	}
	if err := topic.ValidFilter(s, topic.Limits{}); err != nil {
		return pattern{}, fmt.Errorf("filter %q: %w", clip(s), err)
	}
	var p pattern
	for w := range strings.SplitSeq(s, "/") {
		switch {
		case w == "#":
			p.tail = true
		case w == "+":
			p.levels = append(p.levels, level{plus: true})
		case variables:
			p.levels = append(p.levels, parseLevel(w, erlang))
		default:
			p.levels = append(p.levels, level{text: w})
		}
	}
	p.wild = len(p.levels) == 0 || !p.levels[0].plain()
	p.sys = !p.wild && p.levels[0].text == "$SYS"
	p.vars = slices.ContainsFunc(p.levels, func(l level) bool { return l.vars != nil })
	p.prefix = p.plainPrefix()
	return p, nil
}

// parseLevel finds the variables of a level. Both known texts follow each other
// in a fixed order, so "dev-%c" is as exact as "%c".
func parseLevel(w string, erlang bool) level {
	if erlang && w == "$c" {
		w = "%c"
	}
	if erlang && w == "$u" {
		w = "%u"
	}
	l := level{text: w}
	for rest := w; rest != ""; {
		c, u := strings.Index(rest, "%c"), strings.Index(rest, "%u")
		at, kind := c, clientID
		if c < 0 || u >= 0 && u < c {
			at, kind = u, username
		}
		if at < 0 {
			if l.vars != nil {
				l.vars = append(l.vars, part{text: rest})
			}
			break
		}
		if at > 0 {
			l.vars = append(l.vars, part{text: rest[:at]})
		}
		l.vars = append(l.vars, part{kind: kind})
		rest = rest[at+2:]
	}
	return l
}

func (l *level) plain() bool { return !l.plus && l.vars == nil }

// plainPrefix joins the plain levels before the first other one. The slash
// after them belongs to it, but not before '#': a/# matches a.
func (p *pattern) plainPrefix() string {
	var b strings.Builder
	for i := range p.levels {
		if !p.levels[i].plain() {
			break
		}
		b.WriteString(p.levels[i].text)
		if i+1 < len(p.levels) {
			b.WriteByte('/')
		}
	}
	return b.String()
}
