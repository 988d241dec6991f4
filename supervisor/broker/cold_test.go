// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// TestRetainedMessagesThatStayInTheStoreAreFound keeps no payload in memory.
func TestRetainedMessagesThatStayInTheStoreAreFound(t *testing.T) {
	sets := []string{"store.engine=pebble", "node.data_dir=" + t.TempDir(), "store.min_free_bytes=0", "retained.max_memory=0", "retained.batch=7"}
	b := brokertest.Start(t, sets...)
	p := join(t, b, clean(packet.V5, "p"))
	const n = 50
	want := map[string]string{}
	for i := range n {
		topic := fmt.Sprint("t/", i)
		p.publish(packet.QoS1, packet.ID(i+1), topic, "not retained")
		p.send(retained(pub(packet.QoS1, packet.ID(i+1), topic, fmt.Sprint("value ", i))))
		p.ack(packet.PUBACK)
		want[topic] = fmt.Sprint("value ", i)
	}
	hear := func(b *brokertest.Broker, id string) {
		c := clean(packet.V5, id)
		c.Properties = props(packet.PropReceiveMaximum, func(q *packet.Properties) { q.ReceiveMaximum = 3 })
		s := join(t, b, c)
		s.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t/+", QoS: packet.QoS1}}})
		got := map[string]string{}
		for acked := false; !acked || len(got) < len(want); {
			q, err := s.next()
			require.NoError(t, err)
			switch q := q.(type) {
			case *packet.Suback:
				acked = true
			case *packet.Publish:
				require.True(t, q.Retain)
				got[string(q.Topic)] = string(q.Payload)
				s.send(&packet.Ack{Kind: packet.PUBACK, ID: q.ID})
			}
		}
		s.fence()
		require.Equal(t, want, got)
	}
	hear(b, "first")
	syncs := b.Metrics().StoreSync.Distribution()
	require.Positive(t, syncs.Count, "the acknowledgements waited for them")
	require.GreaterOrEqual(t, b.Metrics().StoreCommits.Load(), int64(n))
	p.send(retained(pub(packet.QoS1, 1, "t/3", "")), retained(pub(packet.QoS1, 2, "t/4", "changed")))
	p.ack(packet.PUBACK)
	p.ack(packet.PUBACK)
	delete(want, "t/3")
	want["t/4"] = "changed"
	hear(b, "second")
	b.Stop()
	b = brokertest.Start(t, sets...)
	hear(b, "third")
}
