// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/trace"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// BenchmarkTraceOfSomebodyElse is what a message costs from one client to another
// while nothing is traced, and while a third one is. An operation is a window of
// messages through a whole broker over TCP, clients included.
func BenchmarkTraceOfSomebodyElse(b *testing.B) {
	const window = 100
	for _, tc := range []struct {
		name   string
		traced trace.By
		value  string
	}{{"off", "", ""}, {"client", trace.ByClient, "somebody/else"}, {"topic", trace.ByTopic, "somebody/+/else"}, {"ip", trace.ByIP, "192.0.2.0/24"}} {
		b.Run(tc.name, func(b *testing.B) {
			br := brokertest.Start(b)
			if tc.traced != "" {
				_, err := br.Trace().Start(trace.Rule{By: tc.traced, Value: tc.value}, 0, "", time.Now())
				require.NoError(b, err)
			}
			sub := join(b, br, clean(packet.V311, "sub"))
			sub.subscribe(packet.QoS0, "room/+")
			p := join(b, br, clean(packet.V311, "pub"))
			run := make([]packet.Packet, window)
			for i := range run {
				run[i] = pub(packet.QoS0, 0, "room/"+string(rune('a'+i%16)), "21.5")
			}
			for b.Loop() {
				p.send(run...)
				for range window {
					want[*packet.Publish](sub)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/window, "ns/message")
		})
	}
}
