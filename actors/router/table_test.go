// SPDX-License-Identifier: Apache-2.0

package router_test

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/actors/cast"
	"emqttd/actors/router"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// naive is the table as a list.
type naive struct {
	plain  []*cast.Subscription
	groups map[[2]string][]*cast.Subscription // by filter and group
}

// want is who gets a message: of the plain subscriptions each session once, with
// what all of its subscriptions that match say together.
func (n *naive) want(name, from string) map[*cell.Cell]*cast.Subscription {
	out := map[*cell.Cell]*cast.Subscription{}
	for _, s := range n.plain {
		if !topic.Match(s.Filter, name) || s.NoLocal && s.ClientID == from {
			continue
		}
		m := out[s.Session]
		if m == nil {
			m = &cast.Subscription{Subscriber: s.Subscriber, Lookup: true, Durable: s.Durable}
			m.Start.Store(math.MaxUint64)
			out[s.Session] = m
		}
		m.QoS = max(m.QoS, s.QoS)
		m.AsPub = m.AsPub || s.AsPub
		m.Lookup = m.Lookup && s.Lookup
		m.Start.Store(min(m.Start.Load(), s.Start.Load()))
		ids := cast.SubIDs(slices.Concat(m.IDs.All(), s.IDs.All()))
		m.IDs = &ids
	}
	return out
}

func (n *naive) len() (subs int) {
	for _, g := range n.groups {
		subs += len(g)
	}
	return subs + len(n.plain)
}

var (
	filters = []string{"a", "a/b", "+", "a/+", "#", "a/#", "+/b", "b", "$SYS/#", "$SYS/a"}
	names   = []string{"a", "a/b", "b", "a/b/c", "$SYS/a", "c/b"}
)

// edit draws a change, applies it to both and returns it.
func (n *naive) edit(t *rapid.T, table *router.Table, ss *sessions) {
	i := rapid.IntRange(0, 3).Draw(t, "session")
	filter := rapid.SampledFrom(filters).Draw(t, "filter")
	group := ""
	if rapid.IntRange(0, 3).Draw(t, "shared") == 0 {
		group = rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group")
	}
	member := func() *cast.Subscription {
		if group == "" {
			return ss.member(i, filter)
		}
		return shared(group, ss.member(i, filter))
	}
	var next *cast.Subscription
	if rapid.IntRange(0, 2).Draw(t, "what") > 0 {
		next = member()
		next.QoS = packet.QoS(rapid.IntRange(0, 2).Draw(t, "qos"))
		next.AsPub, next.Lookup = rapid.Bool().Draw(t, "as published"), rapid.Bool().Draw(t, "lookup")
		next.Start.Store(rapid.Uint64Range(0, 9).Draw(t, "start"))
		if id := rapid.Uint32Range(0, 5).Draw(t, "id"); id > 0 {
			next.IDs = &cast.SubIDs{id}
		}
	}
	list := &n.plain
	if group != "" {
		members := n.groups[[2]string{filter, group}]
		list = &members
		defer func() { n.groups[[2]string{filter, group}] = members }()
	} else if next != nil {
		next.NoLocal = rapid.Bool().Draw(t, "no local")
	}
	at := slices.IndexFunc(*list, func(s *cast.Subscription) bool {
		match, _ := s.Share()
		return s.Session == ss.cells[i] && match == filter
	})
	var old *cast.Subscription
	switch {
	case at >= 0:
		old = (*list)[at]
	case rapid.IntRange(0, 9).Draw(t, "wrong") == 0:
		old = member() // one that is not there, which changes nothing
	}
	table.Accept(route(old, next))
	if at >= 0 {
		*list = slices.Delete(slices.Clone(*list), at, at+1)
	}
	if next != nil {
		*list = append(*list, next)
	}
}

func (n *naive) check(t *rapid.T, table *router.Table) {
	require.EqualValues(t, n.len(), table.Subscriptions())
	for _, name := range names {
		from := rapid.SampledFrom([]string{"c0", "c1", "nobody"}).Draw(t, "from")
		want := n.want(name, from)
		var got []target
		chosen := map[[2]string]int{}
		for _, g := range match(table, name, from) {
			if g.share == nil {
				got = append(got, g)
				continue
			}
			key := [2]string{g.share.Filter, g.share.Group}
			chosen[key]++
			require.Contains(t, n.groups[key], g.sub)
			require.True(t, topic.Match(g.share.Filter, name))
		}
		require.Len(t, got, len(want), "%s", name)
		for _, g := range got {
			w := want[g.session]
			require.NotNil(t, w)
			require.Equal(t, w.QoS, g.sub.QoS)
			require.Equal(t, w.AsPub, g.sub.AsPub)
			require.Equal(t, w.Lookup, g.sub.Lookup)
			require.Equal(t, w.Start.Load(), g.sub.Start.Load())
			require.ElementsMatch(t, w.IDs.All(), g.sub.IDs.All())
		}
		for key, members := range n.groups {
			times := 0
			if len(members) > 0 && topic.Match(key[0], name) {
				times = 1
			}
			require.Equal(t, times, chosen[key], "one of each group gets %s", name)
		}
	}
}

func TestTheTableFindsWhatAListFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, ss := router.NewTable(0), newSessions(4)
		n := &naive{groups: map[[2]string][]*cast.Subscription{}}
		for range rapid.IntRange(1, 40).Draw(t, "changes") {
			before := table.Version()
			n.edit(t, table, ss)
			require.Greater(t, table.Version(), before)
		}
		n.check(t, table)
		for _, s := range n.plain {
			table.Accept(route(s, nil))
		}
		for _, g := range n.groups {
			for _, s := range g {
				table.Accept(route(s, nil))
			}
		}
		require.Zero(t, table.Filters(), "nothing is left of what is gone")
		require.Zero(t, table.Subscriptions())
	})
}

func TestAChangeSaysFromWhichPositionItIsEffective(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(1)
	s := ss.sub(0, "t", 1)
	s.Lookup = true
	table.Accept(&cast.Route{Changes: []cast.Change{{New: s}}, Position: position(77)})
	require.EqualValues(t, 77, s.Start.Load())
}

type position uint64

func (p position) Position() uint64 { return uint64(p) }

// TestAListOfSubscribersGrowsAndShrinks: places of those who left are used no
// more than once more before the list is made anew.
func TestAListOfSubscribersGrowsAndShrinks(t *testing.T) {
	const n = 3000
	table, ss := router.NewTable(0), newSessions(n)
	subs := make([]*cast.Subscription, n)
	for i := range subs {
		subs[i] = ss.sub(i, "t", 0)
		subscribe(table, subs[i])
	}
	require.LessOrEqual(t, router.Slots(table, "t"), 2*n)
	for i := range n {
		if i%16 != 0 {
			table.Accept(route(subs[i], nil))
		}
	}
	require.Len(t, match(table, "t", ""), (n+15)/16)
	require.LessOrEqual(t, router.Slots(table, "t"), 4*n/16)
	for range 10 * n { // one comes and goes
		s := ss.sub(1, "t", 0)
		subscribe(table, s)
		table.Accept(route(s, nil))
	}
	require.LessOrEqual(t, router.Slots(table, "t"), 4*n/16)
	require.Len(t, match(table, "t", ""), (n+15)/16)
}

func TestReadersNeverMissWhatIsNotBeingChanged(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(40)
	for i := range 10 {
		s := ss.sub(i, "a/+", 1)
		subscribe(table, s)
		table.Accept(route(s, ss.sub(i, "a/+", 2)))
	}
	join(table, "g", ss.member(38, "#"), ss.member(39, "#"))
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !stop.Load() {
				seen := map[*cell.Cell]int{}
				shared := 0
				for _, g := range match(table, "a/b", "") {
					if g.share != nil {
						shared++
						continue
					}
					seen[g.session]++
				}
				for i := range 10 {
					if seen[ss.cells[i]] != 1 {
						t.Errorf("session %d found %d times", i, seen[ss.cells[i]])
					}
				}
				if shared != 1 {
					t.Errorf("the group got %d", shared)
				}
			}
		})
	}
	for round := range 400 {
		var subs []*cast.Subscription
		for i := 10; i < 38; i++ {
			s := ss.sub(i, "a/+", 1)
			subs = append(subs, s)
			subscribe(table, s)
		}
		m := ss.member(37, "#")
		join(table, "g", m)
		for i, s := range subs {
			if (i+round)%3 == 0 {
				next := ss.sub(i+10, "a/+", 2)
				table.Accept(route(s, next))
				s = next
			}
			table.Accept(route(s, nil))
		}
		table.Accept(route(m, nil))
	}
	stop.Store(true)
	readers.Wait()
	require.EqualValues(t, 12, table.Subscriptions())
}

func TestTheTableKnowsWhetherAFilterBeginsWithADollar(t *testing.T) {
	who, table := newSessions(2), router.NewTable(0)
	require.False(t, table.System())
	plain, shared := who.sub(0, "$SYS/#", 0), who.member(1, "$share/g/$SYS/#")
	subscribe(table, who.sub(0, "#", 0), who.sub(0, "+/$SYS", 0), who.member(0, "$share/$SYS/a"))
	require.False(t, table.System(), "a wildcard does not match it")
	subscribe(table, plain)
	require.True(t, table.System())
	subscribe(table, shared)
	table.Accept(route(plain, nil))
	require.True(t, table.System(), "one is left")
	table.Accept(route(plain, nil)) // once more, which changes nothing
	require.True(t, table.System())
	table.Accept(route(shared, nil))
	require.False(t, table.System())
}

func TestTheFiltersThatMatchAreAsSubscribersWroteThem(t *testing.T) {
	who, table := newSessions(3), router.NewTable(0)
	first, second := who.sub(0, "a/+", 0), who.sub(1, "a/+", 0)
	subscribe(table, first, second, who.sub(2, "a/b", 1), who.member(0, "$share/g/a/#"), who.member(1, "$share/g/a/#"),
		who.member(1, "$share/h/a/#"), who.sub(0, "b", 0))
	matching := func(name string) []string {
		filters, complete := table.MatchFilters(name, 1000)
		require.True(t, complete)
		return filters
	}
	all := []string{"a/+", "a/b", "$share/g/a/#", "$share/h/a/#"}
	require.ElementsMatch(t, all, matching("a/b"))
	table.Accept(route(first, nil))
	require.ElementsMatch(t, all, matching("a/b"), "another session has it")
	table.Accept(route(second, nil))
	require.ElementsMatch(t, all[1:], matching("a/b"))
	require.Empty(t, matching("c"))
	_, complete := table.MatchFilters("a/b", 1)
	require.False(t, complete)
}
