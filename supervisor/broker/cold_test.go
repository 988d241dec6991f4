// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"testing"
	"time"

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

// TestALongQueueWaitsInTheStore has four messages of it in memory, also behind a
// restart, and delivers all of it in its order.
func TestALongQueueWaitsInTheStore(t *testing.T) {
	sets := []string{"store.engine=pebble", "node.data_dir=" + t.TempDir(), "store.min_free_bytes=0", "session.queue_window=4", "session.max_inflight=3"}
	b := brokertest.Start(t, sets...)
	again := func() *peer {
		s, ack := present(t, open(t, b, "tcp"), kept(packet.V5, "s"))
		require.True(t, ack.SessionPresent)
		return s
	}
	s := join(t, b, kept(packet.V5, "s"))
	s.subscribe(packet.QoS2, "t/#")
	s.leave()
	p := join(t, b, clean(packet.V5, "p"))
	const n = 60
	publish := func(from, to int) {
		for i := from; i < to; i++ {
			p.publish(packet.QoS1, packet.ID(i+1), fmt.Sprint("t/", i%3), fmt.Sprint(i))
		}
	}
	take := func(s *peer, from, to int) {
		for i := from; i < to; i++ {
			m := s.hears(fmt.Sprint("t/", i%3), fmt.Sprint(i))
			s.send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
		}
	}
	publish(0, n/2)
	s = again()
	take(s, 0, 10)
	publish(n/2, n) // while it is there
	take(s, 10, 20)
	s.send(&packet.Disconnect{})
	for { // what is in flight comes once more
		if _, err := s.next(); err != nil {
			break
		}
	}
	b.Stop()
	b = brokertest.Start(t, sets...)
	s = again()
	// Up to three were in flight when it left, and come first.
	take(s, 20, n)
	s.fence()
	require.Eventually(t, func() bool { return b.Metrics().QueuedBytes.Load() == 0 }, 10*time.Second, time.Millisecond)
}
