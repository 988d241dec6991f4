// SPDX-License-Identifier: Apache-2.0

package router

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"emqttd/actors/cast"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// Table is the routing table: emqttd's trie, route and subscriber tables in one.
// Publishers match on it in place and never wait; changes are Accepted one by one
// (cell.Acceptor), as the effects of router actors, and are visible to every
// match that begins after.
type Table struct {
	trie    *topic.Trie[entry]
	version atomic.Uint64 // of the table: changes so far
	subs    atomic.Int64
	system  atomic.Int64 // filters that begin with '$'
	mu      sync.Mutex
}

// NewTable makes an empty table for filters of at most maxLevels levels.
func NewTable(maxLevels int) *Table { return &Table{trie: topic.NewTrie[entry](maxLevels)} }

// NewSeededTable makes an empty table whose order of a match the seed decides,
// for a simulation.
func NewSeededTable(maxLevels int, seed uint64) *Table {
	return &Table{trie: topic.NewSeededTrie[entry](maxLevels, seed)}
}

// Version counts the changes; a match list is good as long as it stands still.
func (t *Table) Version() uint64 { return t.version.Load() }

// Subscriptions is the number of subscriptions in the table.
func (t *Table) Subscriptions() int64 { return t.subs.Load() }

// Filters is the number of distinct filters.
func (t *Table) Filters() int { return t.trie.Len() }

// System reports whether any filter may match a topic that begins with '$', which
// those that begin with a wildcard do not [v3.1.1 MQTT-4.7.2-1, v5 MQTT-4.7.2-1].
func (t *Table) System() bool { return t.system.Load() > 0 }

// manyFilters is from how many filters on it pays to look ahead.
const manyFilters = 1 << 15

// Large reports whether the table is larger than what is matched on it can stay in
// the processor's cache: then a publisher that has several names had better tell
// them Ahead.
func (t *Table) Large() bool { return t.trie.Len() >= manyFilters }

// Ahead reads what Match of names, of the first topic.Lanes of them, will have to
// wait for, for all of them together. What it returns says nothing; a caller that
// keeps it keeps the compiler from leaving the reading out.
func (t *Table) Ahead(names [][]byte) (touched uint32) {
	var subs [topic.Lanes]*cast.Subscription
	for i, e := range t.trie.Ahead(names) {
		if e != nil {
			subs[i] = e.one.Load()
		}
	}
	for _, s := range subs {
		if s != nil {
			touched += s.Life
		}
	}
	return touched
}

// entry is what the table has for one filter. Readers load, the writer (who
// holds Table.mu) stores. Most filters of a large table have one subscriber: he
// needs no list.
type entry struct {
	one    atomic.Pointer[cast.Subscription]
	many   atomic.Pointer[slots] // who came while there was one
	groups atomic.Pointer[[]*group]
}

// oneSlot is the Slot of the subscription that an entry has without a list.
const oneSlot = -1

func (e *entry) empty() bool {
	return e.one.Load() == nil && e.many.Load() == nil && e.groups.Load() == nil
}

// each calls f for every subscription that is not of a group.
func (e *entry) each(f func(*cast.Subscription)) {
	if s := e.one.Load(); s != nil {
		f(s)
	}
	e.many.Load().each(f)
}

// any is one of them, nil when there is none.
func (e *entry) any() *cast.Subscription {
	if s := e.one.Load(); s != nil {
		return s
	}
	return e.many.Load().any()
}

// has reports whether sub is one of them.
func (e *entry) has(sub *cast.Subscription) bool {
	if sub == nil {
		return false
	}
	if sub.Slot == oneSlot {
		return e.one.Load() == sub
	}
	return e.many.Load().has(sub)
}

// add adds sub, which has no place in the table yet.
func (e *entry) add(sub *cast.Subscription) {
	if e.one.Load() == nil {
		sub.Slot = oneSlot
		e.one.Store(sub)
		return
	}
	e.many.Store(e.many.Load().with(sub))
}

// remove takes sub away, which it has.
func (e *entry) remove(sub *cast.Subscription) {
	if sub.Slot == oneSlot {
		e.one.Store(nil)
		return
	}
	e.many.Store(e.many.Load().without(sub))
}

// replace puts sub in the place of old, which it has.
func (e *entry) replace(old, sub *cast.Subscription) {
	sub.Slot = old.Slot
	if old.Slot == oneSlot {
		e.one.Store(sub)
		return
	}
	e.many.Load().list[old.Slot].Store(sub)
}

// slots is a list that readers walk while the writer appends to it or empties
// single slots: adding and removing one of a hundred thousand subscribers of one
// filter copies nothing.
type slots struct {
	n    atomic.Int64 // slots in use, empty ones included
	dead int          // of them, empty ones; writer's
	list []atomic.Pointer[cast.Subscription]
}

// each calls f for every subscription of the list.
func (s *slots) each(f func(*cast.Subscription)) {
	if s == nil {
		return
	}
	for i := range s.n.Load() {
		if sub := s.list[i].Load(); sub != nil {
			f(sub)
		}
	}
}

// any is a subscription of the list, nil when there is none.
func (s *slots) any() *cast.Subscription {
	if s == nil {
		return nil
	}
	for i := range s.n.Load() {
		if sub := s.list[i].Load(); sub != nil {
			return sub
		}
	}
	return nil
}

// with is s with sub added: s itself while it has room.
func (s *slots) with(sub *cast.Subscription) *slots {
	n := int64(0)
	if s != nil {
		n = s.n.Load()
	}
	if s == nil || n == int64(len(s.list)) {
		s = s.compact(1)
		n = s.n.Load()
	}
	sub.Slot = int32(n)
	s.list[n].Store(sub)
	s.n.Store(n + 1)
	return s
}

// has reports whether sub stands in the list.
func (s *slots) has(sub *cast.Subscription) bool {
	return s != nil && int64(sub.Slot) < s.n.Load() && s.list[sub.Slot].Load() == sub
}

// without is s without sub, which it has; nil when that was the last.
func (s *slots) without(sub *cast.Subscription) *slots {
	s.list[sub.Slot].Store(nil)
	s.dead++
	live := int(s.n.Load()) - s.dead
	if live == 0 {
		return nil
	}
	if s.dead > 8 && s.dead > live {
		return s.compact(0)
	}
	return s
}

// compact copies the live subscriptions to a new list with room for more.
func (s *slots) compact(more int) *slots {
	live := 0
	s.each(func(*cast.Subscription) { live++ })
	size := live
	if more > 0 {
		size = live + max(more, live) // 1, 2, 4, ...
	}
	out := &slots{list: make([]atomic.Pointer[cast.Subscription], size)}
	n := 0
	s.each(func(sub *cast.Subscription) {
		sub.Slot = int32(n)
		out.list[n].Store(sub)
		n++
	})
	out.n.Store(int64(n))
	return out
}

// Accept implements cell.Acceptor for *cast.Route.
func (t *Table) Accept(m cell.Message) {
	r := m.(*cast.Route)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range r.Changes {
		if c.Either() != nil {
			t.change(c)
		}
	}
	t.version.Add(1)
	if r.Position == nil {
		return
	}
	now := r.Position.Position()
	for _, c := range r.Changes {
		if c.New != nil && c.New.Lookup {
			c.New.Start.Store(now)
		}
	}
}

func (t *Table) change(c cast.Change) {
	filter, group := c.Either().Share()
	system := strings.HasPrefix(filter, "$")
	t.trie.Upsert(filter, func(e *entry) *entry {
		if e == nil {
			if c.New == nil {
				return nil
			}
			e = new(entry)
			if system {
				t.system.Add(1)
			}
		}
		if group != "" {
			t.changeGroup(e, cast.ShareRef{Group: group, Filter: filter}, c)
		} else {
			t.changePlain(e, c)
		}
		if e.empty() {
			if system {
				t.system.Add(-1)
			}
			return nil
		}
		return e
	})
}

func (t *Table) changePlain(e *entry, c cast.Change) {
	had := e.has(c.Old)
	switch {
	case had && c.New != nil:
		e.replace(c.Old, c.New)
	case had:
		e.remove(c.Old)
		t.subs.Add(-1)
	case c.New != nil:
		e.add(c.New)
		t.subs.Add(1)
	}
}

// group is a shared subscription: one filter, one group name, its members.
type group struct {
	name    string
	ref     *cast.ShareRef
	members []*cast.Subscription // immutable; a change makes a new group
	durable bool                 // one of them outlives its connection
	next    *atomic.Uint64       // round robin, kept over changes
	sticky  *atomic.Pointer[cast.Subscriber]
}

func (t *Table) changeGroup(e *entry, ref cast.ShareRef, c cast.Change) {
	var old []*group
	if p := e.groups.Load(); p != nil {
		old = *p
	}
	groups := slices.Clone(old)
	i := slices.IndexFunc(groups, func(g *group) bool { return g.name == ref.Group })
	if i < 0 {
		if c.New == nil {
			return
		}
		mine := ref // on the heap, so not before there is a group
		groups = append(groups, &group{name: ref.Group, ref: &mine, next: new(atomic.Uint64), sticky: new(atomic.Pointer[cast.Subscriber])})
		i = len(groups) - 1
	}
	g := *groups[i]
	g.members = slices.Clone(g.members)
	if c.Old != nil {
		if j := slices.Index(g.members, c.Old); j >= 0 {
			g.members = slices.Delete(g.members, j, j+1)
			t.subs.Add(-1)
		}
	}
	if c.New != nil {
		g.members = append(g.members, c.New)
		t.subs.Add(1)
	}
	g.durable = slices.ContainsFunc(g.members, func(s *cast.Subscription) bool { return s.Durable })
	groups[i] = &g
	if len(g.members) == 0 {
		groups = slices.Delete(groups, i, i+1)
	}
	if len(groups) == 0 {
		e.groups.Store(nil)
		return
	}
	e.groups.Store(&groups)
}

// choose is the member that gets the next message: a connected one with room
// in its window, else a connected one, else any; among them by the strategy.
// Members in not are passed over. Nil when there is none.
func (g *group) choose(strategy, from, name string, not *cell.Cell) *cast.Subscription {
	if i := g.pick(strategy, from, name, not, func(int) int64 { return 0 }); i >= 0 {
		return g.members[i]
	}
	return nil
}

// pick is choose by the member's place, -1 when there is none; dealt is how many
// messages a member has been given that its figures do not know of.
func (g *group) pick(strategy, from, name string, not *cell.Cell, dealt func(member int) int64) int {
	best, bestRank := -1, -1
	n := len(g.members)
	start := g.start(strategy, from, name, n)
	for k := range n {
		i := (start + k) % n
		sub := g.members[i]
		if sub.Session == not || sub.Session.Ended() {
			continue
		}
		rank := rankOf(sub.Subscriber, dealt(i))
		if strategy == "sticky" && rank > 0 && g.sticky.Load() == sub.Subscriber {
			return i
		}
		if rank > bestRank {
			best, bestRank = i, rank
		}
		if rank == 2 && strategy != "sticky" {
			break
		}
	}
	if best >= 0 && strategy == "sticky" {
		g.sticky.Store(g.members[best].Subscriber)
	}
	return best
}

// alive reports whether there is a member besides not.
func (g *group) alive(not *cell.Cell) bool {
	return slices.ContainsFunc(g.members, func(s *cast.Subscription) bool { return s.Session != not && !s.Session.Ended() })
}

func rankOf(m *cast.Subscriber, dealt int64) int {
	switch {
	case m.Online.Load() == 0:
		return 0
	case m.Busy.Load()+dealt >= m.Window.Load():
		return 1
	}
	return 2
}

func (g *group) start(strategy, from, name string, n int) int {
	if n == 0 {
		return 0
	}
	switch strategy {
	case "random":
		return rand.IntN(n)
	case "hash_clientid":
		return int(fnv(from) % uint64(n))
	case "hash_topic":
		return int(fnv(name) % uint64(n))
	case "sticky":
		return 0
	}
	return int((g.next.Add(1) - 1) % uint64(n))
}

// fnv is FNV-1a: the same for the same text in every process, so that a hash
// strategy keeps its choice over a restart.
func fnv(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
