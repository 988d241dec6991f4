// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// Who owns a client identifier.

func TestTakeover(t *testing.T) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			b := brokertest.Start(t)
			c := kept(v, "me")
			c.Will = &packet.Will{Topic: "will", Payload: []byte("first")}
			witness := join(t, b, clean(v, "witness"))
			witness.subscribe(packet.QoS1, "will")
			first := join(t, b, c)
			first.subscribe(packet.QoS1, "t")
			p := join(t, b, clean(v, "p"))
			p.publish(packet.QoS1, 1, "t", "one")
			require.Equal(t, "one", string(want[*packet.Publish](first).Payload)) // not acknowledged
			second, ack := present(t, open(t, b, "ws"), kept(v, "me"))
			require.True(t, ack.SessionPresent)
			first.turnedOut(packet.SessionTakenOver)
			m := second.hears("t", "one")
			require.True(t, m.Dup) // [v3.1.1 MQTT-4.4.0-1]
			witness.hears("will", "first")
			p.publish(packet.QoS1, 1, "t", "two")
			second.hears("t", "two")
			third, ack := present(t, open(t, b, "tcp"), clean(v, "me"))
			require.False(t, ack.SessionPresent)
			second.turnedOut(packet.SessionTakenOver)
			p.publish(packet.QoS1, 1, "t", "three")
			third.fence() // the subscription went with the session
			for _, c := range []*peer{witness, p, third} {
				c.leave()
			}
			settled(t, b)
			eventually(t, "sessions end", func() bool { return b.Metrics().Sessions.Load() == 0 })
			require.Zero(t, b.Figures().Subscriptions())
		})
	}
}

func TestTakeoverStormLeavesOneOwnerAndNothingElse(t *testing.T) {
	b := brokertest.Start(t, "runtime.loops=2")
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 25 {
				nc := open(t, b, transports[i%2])
				c := kept(packet.V5, "contested")
				c.CleanStart = n%5 == 0
				p := speak(t, nc, c.Version)
				_ = p.Send(c) // the broker may close at any time
				_ = p.Send(&packet.Pingreq{})
				if n%2 == 0 {
					_, _ = p.next()
				}
				if n%3 == 0 {
					_ = p.Close()
				}
			}
		})
	}
	all.Wait()
	last := join(t, b, clean(packet.V5, "contested"))
	last.fence()
	p := kindOf(b.Broker, "protocol")
	eventually(t, "one connection is left", func() bool { return p.Cells.Load() == 1 })
	require.Equal(t, int64(1), b.Metrics().Connected.Load())
	last.leave()
	settled(t, b)
	eventually(t, "no session is left", func() bool { return b.Metrics().Sessions.Load() == 0 })
	s := kindOf(b.Broker, "session")
	eventually(t, "no session actor is left", func() bool { return s.Cells.Load() == 0 })
}

func TestAMemberThatWasTakenOverAndLeftIsNotConnected(t *testing.T) {
	b := brokertest.Start(t)
	for range 3 { // each takes over from the one before
		m := join(t, b, kept(packet.V5, "away"))
		m.subscribe(packet.QoS1, "$share/g/t")
		t.Cleanup(func() { _ = m.Close() })
	}
	last := join(t, b, kept(packet.V5, "away"))
	last.leave()
	here := join(t, b, kept(packet.V5, "here"))
	here.subscribe(packet.QoS1, "$share/g/t")
	p := join(t, b, clean(packet.V5, "p"))
	for i := range 10 {
		p.publish(packet.QoS1, 1, "t", fmt.Sprint(i))
		here.hears("t", fmt.Sprint(i))
	}
}
