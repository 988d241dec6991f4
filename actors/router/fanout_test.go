// SPDX-License-Identifier: Apache-2.0

package router_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/router"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

func TestOverlappingSubscriptionsOfASessionAreOneDelivery(t *testing.T) {
	// [v3.1.1 MQTT-3.3.5-1, v5 MQTT-3.3.4-2 -4]
	table, ss := router.NewTable(0), newSessions(2)
	a, b, other := ss.sub(0, "a/#", 0), ss.sub(0, "a/+", 2), ss.sub(1, "a/b", 1)
	a.IDs, b.IDs, b.AsPub = &cast.SubIDs{7}, &cast.SubIDs{9}, true
	a.Lookup, a.Durable, b.Durable = true, true, true
	a.Start.Store(3)
	b.Start.Store(5)
	subscribe(table, a, b, other)
	got := match(table, "a/b", "")
	require.Equal(t, []string{"c0", "c1"}, clients(got))
	m := got[0].sub
	require.EqualValues(t, 2, m.QoS)
	require.ElementsMatch(t, []uint32{7, 9}, m.IDs.All())
	require.True(t, m.AsPub)
	require.True(t, m.Durable)
	require.False(t, m.Lookup, "one of them wants it live")
	require.EqualValues(t, 3, m.Start.Load())
	require.Same(t, other, got[1].sub, "a subscription that is alone goes as it is")
}

// TestSubscriptionsOfTwoLivesOfASessionAreTwoDeliveries: the session refuses what
// is for the one that it has replaced, whose route is about to go.
func TestSubscriptionsOfTwoLivesOfASessionAreTwoDeliveries(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(1)
	old, now, overlap := ss.sub(0, "a/#", 2), ss.sub(0, "a/+", 1), ss.sub(0, "a/b", 0)
	old.Life, now.Life, overlap.Life = 1, 2, 2
	for _, s := range []*cast.Subscription{old, now, overlap} {
		s.Durable = true
	}
	subscribe(table, now, old, overlap)
	got := match(table, "a/b", "")
	require.Len(t, got, 2)
	require.Equal(t, []uint32{1, 2}, []uint32{got[0].sub.Life, got[1].sub.Life})
	require.EqualValues(t, 1, got[1].sub.QoS, "nothing of the old one's")
	f := table.Match("a/b", router.Options{Steps: 100})
	require.Equal(t, []uint64{1}, f.DurableSessions(nil, 2), "it is stored once")
}

func TestNoLocal(t *testing.T) {
	// [v5 MQTT-3.8.3-3]
	table, ss := router.NewTable(0), newSessions(2)
	mine, also := ss.sub(0, "t", 1), ss.sub(0, "#", 0)
	mine.NoLocal = true
	subscribe(table, mine, also, ss.sub(1, "t", 1))
	require.Equal(t, []string{"c0", "c1"}, clients(match(table, "t", "c1")))
	got := match(table, "t", "c0")
	require.Equal(t, []string{"c0", "c1"}, clients(got))
	require.Same(t, also, got[0].sub, "the other subscription stands by itself")
}

func TestARunOfMessagesToOneTopicIsOneFanout(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(2)
	subscribe(table, ss.sub(0, "t", 1), ss.sub(1, "t", 1))
	f := table.Match("t", router.Options{})
	first, second := &message.Message{Topic: "t"}, &message.Message{Topic: "t"}
	f.First(first)
	require.Equal(t, "t", f.Topic())
	require.Equal(t, 2, f.Targets())
	require.True(t, f.Same("t", packet.QoS1))
	require.False(t, f.Same("u", packet.QoS1))
	f.Join(second)
	for i := range f.Len() {
		to, m := f.At(i)
		require.Same(t, ss.cells[i], to)
		require.Equal(t, []*message.Message{first, second}, m.(*cast.Dispatch).Messages)
	}
	subscribe(table, ss.sub(0, "u", 1))
	require.False(t, f.Same("t", packet.QoS1), "the table has changed: match again")
	f.Done()
}

func TestNothingJoinsAFanoutToADurableGroupOrAFreshOne(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(1)
	subscribe(table, ss.sub(0, "t", 1))
	f := table.Match("t", router.Options{Fresh: true})
	require.False(t, f.Same("t", packet.QoS1))
	f.Discard()
	kept := ss.member(0, "t")
	kept.Durable = true
	join(table, "g", kept)
	f = table.Match("t", router.Options{})
	require.False(t, f.Same("t", packet.QoS1), "the member is written with the message, and the next one is another's")
	f.Discard()
}

// run is what each client gets of n messages that go as one run.
func run(table *router.Table, n int) map[string][]*message.Message {
	f := table.Match("t", router.Options{Strategy: "round_robin"})
	f.First(&message.Message{Topic: "t", At: 1})
	for i := range n - 1 {
		f.Join(&message.Message{Topic: "t", At: int64(i + 2)})
	}
	out := map[string][]*message.Message{}
	for i := range f.Len() {
		_, m := f.At(i)
		d := m.(*cast.Dispatch)
		out[d.Sub.ClientID] = d.Messages
	}
	f.Done()
	return out
}

func TestARunToAGroupIsDealtMessageByMessage(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(4)
	subscribe(table, ss.sub(3, "t", 1))
	join(table, "g", ss.member(0, "t"), ss.member(1, "t"), ss.member(2, "t"))
	require.True(t, table.Match("t", router.Options{}).Same("t", packet.QoS1))
	for range 3 {
		got := run(table, 30)
		require.Len(t, got["c3"], 30, "who is not of the group gets all")
		for _, member := range []string{"c0", "c1", "c2"} {
			require.Len(t, got[member], 10)
			require.IsIncreasing(t, []int64{got[member][0].At, got[member][4].At, got[member][9].At})
		}
	}
}

func TestWhatIsDealtCountsAsUnderWay(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(2)
	narrow, wide := ss.member(0, "t"), ss.member(1, "t")
	narrow.Window.Store(2)
	wide.Window.Store(100)
	join(table, "g", narrow, wide)
	got := run(table, 20)
	require.Len(t, got["c0"], 2, "as many as its window takes")
	require.Len(t, got["c1"], 18)
}

func TestAFanoutThatGoesOnAfterACrashIsNotDealtAgain(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(2)
	join(table, "g", ss.member(0, "t"), ss.member(1, "t"))
	f := table.Match("t", router.Options{Strategy: "round_robin"}).First(&message.Message{Topic: "t"})
	require.Equal(t, 1, f.Targets())
	require.Equal(t, 1, f.Len())
	first, _ := f.At(0)
	require.Equal(t, 1, f.Len())
	again, _ := f.At(0)
	require.Same(t, first, again)
	f.Done()
}

// TestAFreshFanoutIsMatchedAgainOnce: a crash between two pushes makes the effect
// go on behind those that are done. The list was once matched anew at that point,
// and whoever had moved in it got the message twice, or never.
func TestAFreshFanoutIsMatchedAgainOnce(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(4)
	subscribe(table, ss.sub(0, "t", 1))
	stale := table.Match("t", router.Options{})
	fresh := table.Match("t", router.Options{Fresh: true})
	subscribe(table, ss.sub(1, "t", 1), ss.sub(2, "t", 1))
	require.Equal(t, 1, stale.Len())
	require.Equal(t, 3, fresh.Len(), "performed after the change")
	first, _ := fresh.At(0)
	require.Same(t, ss.cells[0], first)
	subscribe(table, ss.sub(3, "+", 1))
	require.Equal(t, 3, fresh.Len())
	for i := 1; i < 3; i++ {
		to, _ := fresh.At(i)
		require.Same(t, ss.cells[i], to)
	}
	stale.Done()
	fresh.Done()
}

func TestDurableSessionsAreThoseThatMustFindTheMessage(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(4)
	a, b, c, d := ss.sub(0, "t", 1), ss.sub(1, "t", 0), ss.sub(2, "t", 2), ss.member(3, "t")
	a.Durable, b.Durable, d.Durable = true, true, true
	subscribe(table, a, b, c)
	join(table, "g", d)
	f := table.Match("t", router.Options{})
	require.True(t, f.Durable)
	require.ElementsMatch(t, []uint64{1, 4}, f.DurableSessions(nil, 1))
	require.Empty(t, f.DurableSessions(nil, 0), "QoS 0 is owed to nobody")
	f.Discard()
	subscribe(table, ss.sub(2, "u", 2))
	f = table.Match("u", router.Options{})
	require.False(t, f.Durable)
	f.Discard()
}

func TestAMatchThatGivesUpSaysSo(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(1)
	for _, filter := range []string{"a/b/c/d", "+/b/c/d", "a/+/c/d", "a/b/+/d", "+/+/c/d", "#"} {
		subscribe(table, ss.sub(0, filter, 0))
	}
	f := table.Match("a/b/c/d", router.Options{Steps: 2})
	require.False(t, f.Complete)
	f.Discard()
	f = table.Match("a/b/c/d", router.Options{Steps: 1000})
	require.True(t, f.Complete)
	require.Equal(t, 1, f.Targets())
	f.Discard()
}

// TestWhoIsChokedIsLeftOutOfQoS0: a run that leaves somebody out because it is QoS
// 0 takes no QoS 1.
func TestWhoIsChokedIsLeftOutOfQoS0(t *testing.T) {
	table, ss := router.NewTable(0), newSessions(3)
	subs := []*cast.Subscription{ss.sub(0, "t", 0), ss.sub(1, "t", 1), ss.sub(2, "t", 1)}
	subscribe(table, subs...)
	subs[0].Choked.Store(1)
	subs[1].Choked.Store(1)
	for _, tt := range []struct {
		of              router.Options
		want, left      int
		joins0, joins12 bool
	}{
		{router.Options{QoS0: true, Choked: true}, 1, 2, true, false},
		{router.Options{Choked: true}, 2, 1, true, true},
		{router.Options{QoS0: true}, 3, 0, true, true},
	} {
		tt.of.Steps = 100
		f := table.Match("t", tt.of)
		require.Equal(t, tt.want, f.Len(), "%+v", tt.of)
		require.Equal(t, tt.left, f.LeftOut)
		require.Equal(t, 3, f.Targets())
		require.Equal(t, tt.joins0, f.Same("t", packet.QoS0))
		require.Equal(t, tt.joins12, f.Same("t", packet.QoS1))
		f.Discard()
	}
}
