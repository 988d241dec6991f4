// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"errors"
	"fmt"
	"net/netip"
)

// maxConds bounds the conditions of one rule: they are evaluated on a stack of
// 64 bits.
const maxConds = 48

// who is the first half of a rule. One condition stands in first. More are in
// all, in the order of a stack machine, so that 'and' and 'or' nest without a
// call for each level; first is then isAnd or isOr.
type who struct {
	first cond
	all   []cond
}

type cond struct {
	is     condKind
	text   string
	prefix netip.Prefix
	n      int // 'and', 'or': how many results they take from the stack
}

type condKind byte

const (
	isAll condKind = iota
	isUser
	isClient
	isAddr
	isAnd
	isOr
)

// matches reports whether the rule speaks of s, whose plain address is addr.
func (w *who) matches(s *Subject, addr netip.Addr) bool {
	if w.first.is < isAnd {
		return w.first.matches(s, addr)
	}
	var stack uint64
	for i := range w.all {
		c := &w.all[i]
		var ok bool
		if c.is < isAnd {
			ok = c.matches(s, addr)
		} else {
			mask := uint64(1)<<c.n - 1
			ok = c.is == isAnd && stack&mask == mask || c.is == isOr && stack&mask != 0
			stack >>= c.n
		}
		stack <<= 1
		if ok {
			stack |= 1
		}
	}
	return stack&1 == 1
}

// matches is for the conditions that are no junction.
func (c *cond) matches(s *Subject, addr netip.Addr) bool {
	switch c.is {
	case isUser:
		return c.text == s.Username
	case isClient:
		return c.text == s.ClientID
	case isAddr:
		return c.prefix.Contains(addr)
	}
	return true
}

// compileWho turns the second element of a rule into conditions, inner ones
// first. The walk has its own stack; its height is bounded by maxDepth.
func compileWho(root term) (who, error) {
	type frame struct {
		t    term
		next int
	}
	var w []cond
	stack := []frame{{t: root}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		conds, junction := junctionOf(f.t)
		if junction != isAll && f.next < len(conds) {
			f.next++
			stack = append(stack, frame{t: conds[f.next-1]})
			continue
		}
		c := cond{is: junction, n: len(conds)}
		if junction == isAll {
			var err error
			if c, err = compileCond(f.t); err != nil {
				return who{}, err
			}
		}
		if w = append(w, c); len(w) > maxConds {
			return who{}, fmt.Errorf("more than %d conditions in one rule", maxConds)
		}
		stack = stack[:len(stack)-1]
	}
	// The outermost condition comes last; when it is a junction, all is needed.
	return who{first: w[len(w)-1], all: w}, nil
}

// junctionOf takes {'and', [Cond]} and {'or', [Cond]} apart; isAll says that t
// is neither.
func junctionOf(t term) ([]term, condKind) {
	if t.kind != tuple || len(t.kids) != 2 || t.kids[1].kind != list {
		return nil, isAll
	}
	switch {
	case t.kids[0].is("and"):
		return t.kids[1].kids, isAnd
	case t.kids[0].is("or"):
		return t.kids[1].kids, isOr
	}
	return nil, isAll
}

var errWho = errors.New(`a rule is for all, {user, "Name"}, {client, "Id"}, {ipaddr, "Address/Bits"}, {'and', [...]} or {'or', [...]}`)

func compileCond(t term) (cond, error) {
	if t.is("all") {
		return cond{is: isAll}, nil
	}
	if t.kind != tuple || len(t.kids) != 2 || t.kids[0].kind != atom {
		return cond{}, errWho
	}
	what, arg := t.kids[0].text, t.kids[1]
	if (what == "user" || what == "client") && arg.is("all") {
		return cond{is: isAll}, nil // emqttd: anyone, also who has no user name
	}
	if arg.kind != text || arg.text == "" {
		return cond{}, errWho
	}
	switch what {
	case "user":
		return cond{is: isUser, text: arg.text}, nil
	case "client":
		return cond{is: isClient, text: arg.text}, nil
	case "ipaddr":
		prefix, err := ParseNetwork(arg.text)
		return cond{is: isAddr, prefix: prefix}, err
	}
	return cond{}, errWho
}
