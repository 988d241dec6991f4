// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhatNoTraceWantsIsKnownBefore an event is made up: the answer is that of the
// rule, and Near's is that of a rule about a client or an address.
func TestWhatNoTraceWantsIsKnownBefore(t *testing.T) {
	now := time.Unix(1000, 0)
	here, there := netip.MustParseAddrPort("10.1.2.3:4"), netip.MustParseAddrPort("[::ffff:192.0.2.1]:5")
	for _, r := range []Rule{{By: ByClient, Value: "a"}, {By: ByTopic, Value: "room/#"}, {By: ByIP, Value: "10.0.0.0/8"}} {
		tr := New(Bounds{Traces: 1, Events: 1, Longest: time.Minute}, nil)
		require.False(t, tr.Wants(now.UnixNano(), "a", "a", "room/4", here), "nothing runs")
		started, err := tr.Start(r, 0, "", now)
		require.NoError(t, err)
		for _, client := range []string{"a", "b"} {
			for _, from := range []string{"", "a", "c"} {
				for _, about := range []string{"", "room/4", "hall"} {
					for _, addr := range []netip.AddrPort{{}, here, there} {
						e := Event{Client: client, From: from, Topic: about, Addr: addr}
						want := started.rule.wants(&e)
						require.Equal(t, want, tr.Wants(now.UnixNano(), client, from, about, addr), "%v %v", r, e)
						if from != "a" {
							require.Equal(t, want && r.By != ByTopic, tr.Near(now.UnixNano(), client, addr), "%v %v", r, e)
						}
					}
				}
			}
		}
		require.Equal(t, r.By == ByTopic, tr.Topics())
		require.Equal(t, r.By != ByTopic, tr.Clients())
		require.Equal(t, r.By == ByTopic, tr.About("room/4"))
		require.False(t, tr.About("hall"))
		require.False(t, tr.About(""), "a packet without a topic")
		over := now.Add(time.Hour).UnixNano()
		require.True(t, tr.Wants(over, "b", "c", "hall", there), "by which it is ended")
		require.True(t, tr.Near(over, "b", there))
	}
}

// TestTheFirstTraceWhoseTimeIsOverIsEnded, whatever the others want.
func TestTheFirstTraceWhoseTimeIsOverIsEnded(t *testing.T) {
	now := time.Unix(1000, 0)
	tr := New(Bounds{Traces: 3, Events: 1, Longest: time.Hour}, nil)
	for i, d := range []time.Duration{3 * time.Minute, time.Minute, 2 * time.Minute} {
		_, err := tr.Start(Rule{By: ByClient, Value: string(rune('a' + i))}, d, "", now)
		require.NoError(t, err)
	}
	at := func(d time.Duration) bool {
		return tr.Wants(now.Add(d).UnixNano(), "z", "z", "t", netip.AddrPort{})
	}
	require.False(t, at(time.Minute-1))
	for i := 1; i <= 3; i++ {
		over := now.Add(time.Duration(i) * time.Minute)
		require.True(t, at(time.Duration(i)*time.Minute))
		tr.Accept(&note{event: Event{At: over, Client: "z"}})
		require.False(t, at(time.Duration(i)*time.Minute), "it is ended, and the next is not over yet")
	}
	require.False(t, tr.On())
}
