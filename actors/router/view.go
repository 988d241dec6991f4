// SPDX-License-Identifier: Apache-2.0

package router

import (
	"math"

	"emqttd/actors/cast"
)

// Route is one filter of the table, for administration.
type Route struct {
	Filter      string // of shared subscriptions, the inner one
	Subscribers int    // without groups
	Groups      []Group
}

// Group is a shared subscription of a Route.
type Group struct {
	Name    string
	Members int
}

// Routes calls yield for every filter, in no order that a reader would
// recognise, until it returns false. Like a match it takes no lock; what changes
// meanwhile is seen or not.
func (t *Table) Routes(yield func(Route) bool) {
	t.trie.Walk("", math.MaxInt, func(filter string, e *entry) bool {
		r := Route{Filter: filter}
		e.each(func(*cast.Subscription) { r.Subscribers++ })
		if groups := e.groups.Load(); groups != nil {
			for _, g := range *groups {
				r.Groups = append(r.Groups, Group{g.name, len(g.members)})
			}
		}
		return yield(r)
	})
}

// MatchFilters are the filters that match a topic, as those who subscribe have written
// them: of shared subscriptions with "$share/" and the group. complete is false when
// the match gave up after so many steps.
func (t *Table) MatchFilters(name string, steps int) (filters []string, complete bool) {
	found, complete := t.trie.Match(make([]*entry, 0, 16), name, steps)
	for _, e := range found {
		if s := e.any(); s != nil {
			filters = append(filters, s.Filter)
		}
		if groups := e.groups.Load(); groups != nil {
			for _, g := range *groups {
				filters = append(filters, g.members[0].Filter)
			}
		}
	}
	return filters, complete
}

// All calls yield for every subscription, as Routes does. The group is "" for one
// that is not shared.
func (t *Table) All(yield func(group string, s *cast.Subscription) bool) {
	t.trie.Walk("", math.MaxInt, func(_ string, e *entry) bool {
		more := true
		e.each(func(s *cast.Subscription) { more = more && yield("", s) })
		if groups := e.groups.Load(); groups != nil && more {
			for _, g := range *groups {
				for _, s := range g.members {
					if !yield(g.name, s) {
						return false
					}
				}
			}
		}
		return more
	})
}

// Subscribers is the number of subscriptions whose filter is this text, groups
// included.
func (t *Table) Subscribers(filter string) (n int) {
	e := t.trie.Get(filter)
	if e == nil {
		return 0
	}
	e.each(func(*cast.Subscription) { n++ })
	if groups := e.groups.Load(); groups != nil {
		for _, g := range *groups {
			n += len(g.members)
		}
	}
	return n
}
