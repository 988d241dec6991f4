// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/microscope"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/brokertest"
)

// TestAWatchSeesItsConnectionAndNoOther follows one of two clients that speak at
// the same time.
func TestAWatchSeesItsConnectionAndNoOther(t *testing.T) {
	b := brokertest.Start(t)
	in := broker.Inside()
	nc := open(t, b, "tcp")
	hops := make(chan *microscope.Hop, 1000)
	stop := in.Watch(netip.MustParseAddrPort(nc.LocalAddr().String()), func(_ time.Time, h *microscope.Hop) { hops <- h })
	other := join(t, b, clean(packet.V311, "other"))
	c := enter(t, nc, clean(packet.V311, "watched"))
	c.subscribe(packet.QoS0, "a/#")
	c.fence()
	other.subscribe(packet.QoS0, "b/#")
	other.fence()
	stop()
	c.fence()
	var seen []string
	for range len(hops) {
		h := <-hops
		seen = append(seen, h.Kind+" "+h.Message)
		require.NotContains(t, h.Detail, "other")
		require.NotContains(t, h.Detail, "b/#")
	}
	for _, want := range []string{"ws_loop Data", "ws_client Received", "protocol Received", "sm StartSession", "session Attach", "protocol SessionStarted",
		"ws_client Connected", "ws_client Send", "session Subscribe", "router Route"} {
		require.Contains(t, seen, want, fmt.Sprint(seen))
	}
}

// BenchmarkWatchedElsewhere is a PINGREQ of a connection that nobody watches,
// while nobody or somebody watches another one.
func BenchmarkWatchedElsewhere(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", on), func(b *testing.B) {
			br := brokertest.Start(b)
			c := join(b, br, clean(packet.V311, "c"))
			if on {
				b.Cleanup(broker.Inside().Watch(netip.MustParseAddrPort("127.0.0.1:1"), func(time.Time, *microscope.Hop) {}))
			}
			for b.Loop() {
				c.fence()
			}
		})
	}
}
