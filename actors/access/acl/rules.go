// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"errors"
	"fmt"
	"strconv"
)

// Rules is an emqttd acl.config. As in emqttd_acl_internal the rules are split
// by action when they are read, so a check walks only those that may speak.
type Rules struct {
	publish   []rule
	subscribe []rule // also Receive
	all       int
}

type rule struct {
	allow    bool
	bare     bool // {allow, all}, {deny, all}: no word about topics
	who      who
	patterns []pattern
	starts   byteSet // first bytes of the names that it may match
	place    string  // "acl.config:12"
}

// ParseRules reads the text of an emqttd acl.config; name is for messages and
// decisions. The error is the first fault, with its line.
func ParseRules(name, src string) (*Rules, error) {
	terms, err := parseTerms(src)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	rules := &Rules{all: len(terms)}
	for _, t := range terms {
		r, action, err := compileRule(t)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, t.line, err)
		}
		r.place = name + ":" + strconv.Itoa(t.line)
		if action != "subscribe" {
			rules.publish = append(rules.publish, r)
		}
		if action != "publish" {
			rules.subscribe = append(rules.subscribe, r)
		}
	}
	return rules, nil
}

// Len is the number of rules in the file.
func (r *Rules) Len() int { return r.all }

var errRule = errors.New(`a rule is {allow, Who, publish | subscribe | pubsub, ["topic", ...]}. or {allow, all}., or the same with deny`)

// compileRule is emqttd_access_rule:compile/1; the action is one of emqttd's
// three words.
func compileRule(t term) (r rule, action string, err error) {
	if t.kind != tuple || len(t.kids) < 2 || !t.kids[0].is("allow") && !t.kids[0].is("deny") {
		return rule{}, "", errRule
	}
	r.allow = t.kids[0].is("allow")
	if len(t.kids) == 2 && t.kids[1].is("all") {
		r.bare = true
		r.starts.add("")
		return r, "pubsub", nil
	}
	if len(t.kids) != 4 {
		return rule{}, "", errRule
	}
	if r.who, err = compileWho(t.kids[1]); err != nil {
		return rule{}, "", err
	}
	action = t.kids[2].text
	if t.kids[2].kind != atom || action != "publish" && action != "subscribe" && action != "pubsub" {
		return rule{}, "", errRule
	}
	topics := t.kids[3].kids
	if t.kids[3].kind == text { // a single topic stands for a list of one
		topics = t.kids[3:4]
	} else if t.kids[3].kind != list {
		return rule{}, "", errRule
	}
	for _, t := range topics {
		p, err := compileTopic(t)
		if err != nil {
			return rule{}, "", err
		}
		r.patterns = append(r.patterns, p)
		r.starts.add(p.prefix)
	}
	return r, action, nil
}

// compileTopic reads "filter" or {eq, "text"}.
func compileTopic(t term) (pattern, error) {
	if t.kind == text {
		return parsePattern(t.text, true, true)
	}
	if t.kind == tuple && len(t.kids) == 2 && t.kids[0].is("eq") && t.kids[1].kind == text && t.kids[1].text != "" {
		eq := t.kids[1].text
		return pattern{exact: eq, prefix: eq, sys: isSys(eq)}, nil
	}
	return pattern{}, errors.New(`a topic is "filter" or {eq, "text"}`)
}

// Check walks the rules until one decides [emqttd_access_rule:match/3].
func (r *Rules) Check(s *Subject, op Operation) Decision {
	if op.Action == Subscribe {
		return r.checkFilter(s, inner(op.Topic))
	}
	rules := r.subscribe
	guarded := false
	if op.Action == Publish {
		rules, guarded = r.publish, isSys(op.Topic)
	}
	addr := PlainAddr(s.Addr)
	for i := range rules {
		rule := &rules[i]
		if !rule.starts.has(op.Topic) {
			continue
		}
		if rule.who.matches(s, addr) && rule.matches(s, op.Topic, guarded) {
			return rule.decide()
		}
	}
	return Decision{}
}

// matches reports whether the rule, which speaks of s, speaks of name too.
// guarded is set for publishing to the broker's own tree, which an allowing rule
// must name.
func (r *rule) matches(s *Subject, name string, guarded bool) bool {
	if r.bare {
		return !r.allow || !guarded
	}
	n := names{s: s, wide: !r.allow}
	for i := range r.patterns {
		p := &r.patterns[i]
		if guarded && r.allow && !p.sys || !p.begins(name) {
			continue
		}
		if p.matches(name, n) {
			return true
		}
	}
	return false
}

// checkFilter decides about all topics of a filter at once. An allowing rule
// that covers only some of them decides nothing, but makes a refusal partial.
func (r *Rules) checkFilter(s *Subject, filter string) Decision {
	partial := false
	addr := PlainAddr(s.Addr)
	for i := range r.subscribe {
		rule := &r.subscribe[i]
		if !rule.who.matches(s, addr) {
			continue
		}
		covered, touched := rule.bare, rule.bare
		n := names{s: s, wide: !rule.allow}
		for j := range rule.patterns {
			p := &rule.patterns[j]
			if p.covers(filter, n) {
				covered, touched = true, true
				break
			}
			touched = touched || p.overlaps(filter, n)
		}
		switch {
		case covered && (rule.allow || !partial):
			return rule.decide()
		case touched && !rule.allow:
			return Decision{Effect: Deny, Partial: partial || !covered, Rule: rule.place}
		case touched:
			partial = true
		}
	}
	return Decision{Partial: partial}
}

func (r *rule) decide() Decision {
	if r.allow {
		return Decision{Effect: Allow, Rule: r.place}
	}
	return Decision{Effect: Deny, Rule: r.place}
}
