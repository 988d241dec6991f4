// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/stagetest"
)

// What was perhaps sent before a kill carries DUP when it is sent again
// [v3.1.1 MQTT-3.3.1-1, v5 MQTT-3.3.1-1].
func TestWhatWasPerhapsSentBeforeAKillCarriesDup(t *testing.T) {
	for gone, want := range map[int64][]string{0: {"q1 #1 one dup", "q2 #2 two"}, 1: {"q1 #1 one", "q2 #2 two"}} {
		d := newDesk(t, stagetest.New(t))
		one, two := msg(1, "t", "one"), msg(2, "t", "two")
		one.ID.Seq, two.ID.Seq = 1, 2
		in := store.Stored{Session: 1, Record: store.Record{ClientID: "c", Version: packet.V5, Expiry: 0xFFFFFFFF, Disconnected: gone},
			Filters: []store.Filter{{Text: "t", QoS: 2}}}
		in.Queue = append(in.Queue, one, two)
		d.s = session.Restore(session.Kind(d.env), d.pub, in, d.w.Group, d.w.Clock.Now(), 0)
		d.w.Start(d.s.Cell())
		e := d.attach(kept)
		require.Equal(t, want, slices.Sorted(slices.Values(e.sent())))
	}
}

// A kill between the answer of a clean start and the end of what it replaced
// would give the old session back.
func TestConnackOfACleanStartWaitsForTheEndOfTheOldRecord(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.open(nil) // a first connection, so that there is a session to attach to
	d.engine.hold = true
	e, _ := d.knockWith(nil, 7)
	require.Empty(t, e.answered())
	d.sync()
	require.Equal(t, []string{"started present false"}, e.answered())
}

// TestARestoredMessageOfAGroupGoesToOneOtherMember: a message that came both by a
// subscription of the session's own and as a member's of a shared group is
// restored twice, but was the group's once; and not at all, as long as its own
// subscription explains it.
func TestARestoredMessageOfAGroupGoesToOneOtherMember(t *testing.T) {
	for name, c := range map[string]struct {
		filters []store.Filter
		other   []string
	}{
		"a member":                       {[]store.Filter{{Text: "$share/g/t", QoS: 1}}, []string{"x"}},
		"with a subscription of its own": {[]store.Filter{{Text: "$share/g/t", QoS: 1}, {Text: "t", QoS: 1}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			x := msg(1, "t", "x")
			x.ID.Seq = 1
			in := store.Stored{Session: 1, Record: store.Record{ClientID: "c", Version: packet.V5, Expiry: 0xFFFFFFFF}, Filters: c.filters,
				Inflight: []store.Inflight{{ID: 1, Message: x, QoS: 1}, {ID: 2, Message: x, QoS: 1}}, Queue: []*message.Message{x}}
			d.s = session.Restore(session.Kind(d.env), d.pub, in, d.w.Group, d.w.Clock.Now(), 0)
			other := d.member("g", "t")
			d.w.Start(d.s.Cell())
			d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
			require.Equal(t, c.other, heard(other))
		})
	}
}
