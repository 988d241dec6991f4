// SPDX-License-Identifier: Apache-2.0

package router

import (
	"math/rand/v2"
	"slices"
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

// entry is what the table has for one filter. Readers load, the writer (who
// holds Table.mu) stores.
type entry struct {
	plain  atomic.Pointer[slots]
	groups atomic.Pointer[[]*group]
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
	sub.Slot = int(n)
	s.list[n].Store(sub)
	s.n.Store(n + 1)
	return s
}

// has reports whether sub stands in the list.
func (s *slots) has(sub *cast.Subscription) bool {
	return s != nil && sub != nil && int64(sub.Slot) < s.n.Load() && s.list[sub.Slot].Load() == sub
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
		sub.Slot = n
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
	t.trie.Upsert(r.Filter, func(e *entry) *entry {
		if e == nil {
			if r.New == nil {
				return nil
			}
			e = new(entry)
		}
		if r.Group != "" {
			t.changeGroup(e, r)
		} else {
			t.changePlain(e, r)
		}
		if e.plain.Load() == nil && e.groups.Load() == nil {
			return nil
		}
		return e
	})
	t.version.Add(1)
	if r.Position != nil && r.New != nil {
		r.New.Start.Store(r.Position.Position())
	}
}

func (t *Table) changePlain(e *entry, r *cast.Route) {
	s := e.plain.Load()
	if s.has(r.Old) {
		if r.New != nil {
			r.New.Slot = r.Old.Slot
			s.list[r.Old.Slot].Store(r.New)
			return
		}
		s = s.without(r.Old)
		t.subs.Add(-1)
	}
	if r.New != nil {
		s = s.with(r.New)
		t.subs.Add(1)
	}
	e.plain.Store(s)
}

// group is a shared subscription: one filter, one group name, its members.
type group struct {
	name    string
	ref     *cast.ShareRef
	members []*cast.Subscription // immutable; a change makes a new group
	durable bool                 // one of them outlives its connection
	next    *atomic.Uint64       // round robin, kept over changes
	sticky  *atomic.Pointer[cast.Member]
}

func (t *Table) changeGroup(e *entry, r *cast.Route) {
	var old []*group
	if p := e.groups.Load(); p != nil {
		old = *p
	}
	groups := slices.Clone(old)
	i := slices.IndexFunc(groups, func(g *group) bool { return g.name == r.Group })
	if i < 0 {
		if r.New == nil {
			return
		}
		groups = append(groups, &group{name: r.Group, ref: &cast.ShareRef{Group: r.Group, Filter: r.Filter},
			next: new(atomic.Uint64), sticky: new(atomic.Pointer[cast.Member])})
		i = len(groups) - 1
	}
	g := *groups[i]
	g.members = slices.Clone(g.members)
	if r.Old != nil {
		if j := slices.Index(g.members, r.Old); j >= 0 {
			g.members = slices.Delete(g.members, j, j+1)
			t.subs.Add(-1)
		}
	}
	if r.New != nil {
		g.members = append(g.members, r.New)
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
		rank := rankOf(sub.Share, dealt(i))
		if strategy == "sticky" && rank > 0 && g.sticky.Load() == sub.Share {
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
		g.sticky.Store(g.members[best].Share)
	}
	return best
}

// alive reports whether there is a member besides not.
func (g *group) alive(not *cell.Cell) bool {
	return slices.ContainsFunc(g.members, func(s *cast.Subscription) bool { return s.Session != not && !s.Session.Ended() })
}

func rankOf(m *cast.Member, dealt int64) int {
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
