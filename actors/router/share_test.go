// SPDX-License-Identifier: Apache-2.0

package router_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/router"
	"emqttd/protocol/message"
)

// pick publishes once to the only group.
func pick(t *testing.T, table *router.Table, strategy, name, from string) *cast.Subscription {
	got := targets(table.Match(name, router.Options{Strategy: strategy, From: from}).First(&message.Message{Topic: name}))
	require.Len(t, got, 1)
	return got[0].sub
}

func TestStrategiesOfSharedGroups(t *testing.T) {
	const n = 300
	for _, c := range []struct {
		strategy string
		check    func(t *testing.T, times map[string]int, byTopic, byClient map[string]map[string]bool)
	}{
		{"round_robin", func(t *testing.T, times map[string]int, _, _ map[string]map[string]bool) {
			require.Equal(t, map[string]int{"c0": n / 3, "c1": n / 3, "c2": n / 3}, times)
		}},
		{"random", func(t *testing.T, times map[string]int, _, _ map[string]map[string]bool) {
			require.Len(t, times, 3)
		}},
		{"sticky", func(t *testing.T, times map[string]int, _, _ map[string]map[string]bool) {
			require.Len(t, times, 1)
		}},
		{"hash_topic", func(t *testing.T, times map[string]int, byTopic, _ map[string]map[string]bool) {
			require.Len(t, times, 3)
			for _, members := range byTopic {
				require.Len(t, members, 1)
			}
		}},
		{"hash_clientid", func(t *testing.T, times map[string]int, _, byClient map[string]map[string]bool) {
			require.Len(t, times, 3)
			for _, members := range byClient {
				require.Len(t, members, 1)
			}
		}},
	} {
		t.Run(c.strategy, func(t *testing.T) {
			table, ss := router.NewTable(0), newSessions(3)
			join(table, "g", ss.member(0, "#"), ss.member(1, "#"), ss.member(2, "#"))
			times := map[string]int{}
			byTopic, byClient := map[string]map[string]bool{}, map[string]map[string]bool{}
			note := func(m map[string]map[string]bool, key, who string) {
				if m[key] == nil {
					m[key] = map[string]bool{}
				}
				m[key][who] = true
			}
			for i := range n {
				name, from := fmt.Sprint("t", i%10), fmt.Sprint("p", i%7)
				who := pick(t, table, c.strategy, name, from).ClientID
				times[who]++
				note(byTopic, name, who)
				note(byClient, from, who)
			}
			c.check(t, times, byTopic, byClient)
		})
	}
}

func TestAGroupPrefersMembersThatCanTakeIt(t *testing.T) {
	for _, strategy := range []string{"round_robin", "random", "sticky", "hash_topic", "hash_clientid"} {
		t.Run(strategy, func(t *testing.T) {
			table, ss := router.NewTable(0), newSessions(3)
			m := []*cast.Subscription{ss.member(0, "t"), ss.member(1, "t"), ss.member(2, "t")}
			join(table, "g", m...)
			only := func(want *cast.Subscription, why string) {
				for range 30 {
					require.Same(t, want, pick(t, table, strategy, "t", "p"), why)
				}
			}
			m[0].Online.Store(0)
			m[1].Busy.Store(10)
			only(m[2], "connected, with room in its window")
			m[2].Online.Store(0)
			only(m[1], "connected")
			m[1].Online.Store(0)
			require.Contains(t, m, pick(t, table, strategy, "t", "p"), "any: it is kept for it")
			m[2].Online.Store(1)
			only(m[2], "connected again")
		})
	}
}

func TestAStickyMemberIsKeptWhileItIsConnected(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(3)
	m := []*cast.Subscription{ss.member(0, "t"), ss.member(1, "t"), ss.member(2, "t")}
	join(table, "g", m...)
	first := pick(t, table, "sticky", "t", "p")
	first.Busy.Store(1000)
	require.Same(t, first, pick(t, table, "sticky", "t", "p"))
	table.Accept(route(m[2], shared("g", ss.member(2, "t"))))
	require.Same(t, first, pick(t, table, "sticky", "t", "p"), "a change of another member changes nothing")
	first.Online.Store(0)
	second := pick(t, table, "sticky", "t", "p")
	require.NotSame(t, first, second)
	first.Online.Store(1)
	first.Busy.Store(0)
	require.Same(t, second, pick(t, table, "sticky", "t", "p"))
}

func TestRoundRobinGoesOnWhereItWasWhenTheGroupChanges(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(4)
	join(table, "g", ss.member(0, "t"), ss.member(1, "t"), ss.member(2, "t"))
	require.Equal(t, "c0", pick(t, table, "round_robin", "t", "").ClientID)
	join(table, "g", ss.member(3, "t"))
	require.Equal(t, "c1", pick(t, table, "round_robin", "t", "").ClientID)
}

func TestEveryGroupAndEverySubscriberOutsideGetsTheMessage(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(5)
	join(table, "g", ss.member(0, "t"), ss.member(1, "t"))
	join(table, "h", ss.member(2, "t"))
	join(table, "g", ss.member(3, "#")) // another filter is another group
	subscribe(table, ss.sub(0, "t", 1), ss.sub(4, "+", 1))
	var shared []string
	plain := 0
	for _, g := range match(table, "t", "") {
		if g.share == nil {
			plain++
			continue
		}
		shared = append(shared, g.share.Group+" "+g.share.Filter+" "+g.sub.ClientID)
	}
	require.ElementsMatch(t, []string{"g t c0", "h t c2", "g # c3"}, shared)
	require.Equal(t, 2, plain)
}

func TestOthersTellsWhetherAGroupHasAnotherConnectedMember(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(2)
	ref := &cast.ShareRef{Group: "g", Filter: "t"}
	require.False(t, table.Others(ref, ss.cells[0]))
	a, b := ss.member(0, "t"), ss.member(1, "t")
	join(table, "g", a, b)
	require.True(t, table.Others(ref, ss.cells[0]))
	b.Online.Store(0)
	require.False(t, table.Others(ref, ss.cells[0]))
	require.True(t, table.Others(ref, ss.cells[1]))
	require.False(t, table.Others(&cast.ShareRef{Group: "h", Filter: "t"}, ss.cells[0]))
}
