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
		run := Run{}
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
		for range 2 {
			require.Equal(t, r.By == ByClient, run.Wants(tr, now.UnixNano(), "b", "a", "hall", there), "a run asks once")
		}
		require.Equal(t, r.By == ByTopic, run.Wants(tr, now.UnixNano(), "b", "c", "room/4", there), "and again for another message")
		over := now.Add(time.Hour).UnixNano()
		require.True(t, tr.Wants(over, "b", "c", "hall", there), "by which it is ended")
		require.True(t, tr.Near(over, "b", there))
	}
}
