// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// Every limit: what happens at it, and that nobody else notices.

func drops(b *brokertest.Broker) map[string]int64 {
	out := map[string]int64{}
	for reason, n := range b.Metrics().Drops {
		out[reason] = n
	}
	return out
}

// A client above its rate is not read, which is no silence of its.
func TestAClientAboveItsRateIsSlowedDownAndNotDropped(t *testing.T) {
	b := brokertest.Start(t, "mqtt.rate.messages=10", "mqtt.rate.messages_burst=1")
	sub := join(t, b, clean(packet.V5, "sub"))
	sub.subscribe(packet.QoS0, "t")
	c := clean(packet.V5, "fast")
	c.KeepAlive = 1
	p := join(t, b, c)
	begin := time.Now()
	var all []byte
	for i := range 20 {
		all = append(all, encodeAs(t, packet.V5, pub(packet.QoS0, 0, "t", fmt.Sprint(i)))...)
	}
	require.NoError(t, p.SendRaw(all))
	for i := range 20 {
		sub.hears("t", fmt.Sprint(i))
	}
	require.GreaterOrEqual(t, time.Since(begin), 1800*time.Millisecond)
	p.fence()
}

func TestConnectionsAboveTheMaximumAreTurnedAway(t *testing.T) {
	b := brokertest.Start(t, "listeners.tcp.default.max_connections=3")
	var in []*peer
	for i := range 3 {
		in = append(in, join(t, b, clean(packet.V5, fmt.Sprint(i))))
	}
	w := onWire(t, b.TCP())
	w.ends()
	enter(t, open(t, b, "ws"), clean(packet.V5, "other listener")).fence()
	in[0].leave()
	eventually(t, "the place is free", func() bool { return b.Metrics().Connections.Load() == 3 })
	join(t, b, clean(packet.V5, "next")).fence()
	in[1].fence()
}

func TestConnectsAboveTheRateAreToldSo(t *testing.T) {
	b := brokertest.Start(t, "listeners.tcp.default.max_connect_rate=3")
	codes := map[packet.ReasonCode]int{}
	for i := range 8 {
		p, ack := present(t, open(t, b, "tcp"), clean(packet.V5, fmt.Sprint(i)))
		if codes[ack.Code]++; ack.Code.Failed() {
			p.closed()
		}
	}
	require.GreaterOrEqual(t, codes[packet.Success], 3)
	require.Equal(t, 8, codes[packet.Success]+codes[packet.ConnectionRateExceeded])
	require.Positive(t, codes[packet.ConnectionRateExceeded])
}

func TestPacketsAboveTheMaximumAreRefusedAtTheirHeader(t *testing.T) {
	b := brokertest.Start(t, "mqtt.max_packet_size=1000")
	for _, v := range []packet.Version{packet.V5, packet.V311} {
		p := join(t, b, clean(v, "c"))
		fits := pub(packet.QoS1, 1, "t", strings.Repeat("x", 1000-3-3-2-1))
		if v == packet.V311 {
			fits.Payload = append(fits.Payload, 'x')
		}
		require.Len(t, encodeAs(t, v, fits), 1000)
		p.send(fits)
		p.ack(packet.PUBACK)
		fits.Payload = append(fits.Payload, 'x')
		require.NoError(t, p.SendRaw(encodeAs(t, v, fits)[:3])) // type and length only
		p.turnedOut(packet.PacketTooLarge)
	}
}

func TestNothingAboveTheClientsMaximumIsSent(t *testing.T) {
	b := brokertest.Start(t)
	c := clean(packet.V5, "small")
	c.Properties = props(packet.PropMaximumPacketSize, func(q *packet.Properties) { q.MaximumPacketSize = 100 })
	small := join(t, b, c)
	small.subscribe(packet.QoS2, "t")
	p := join(t, b, clean(packet.V5, "p"))
	p.publish(packet.QoS1, 1, "t", strings.Repeat("x", 200))
	p.publish(packet.QoS1, 1, "t", "fits")
	small.hears("t", "fits")
	require.Equal(t, int64(1), drops(b)["too_large"])
}

func TestServerKeepAliveIsToldAndObeyed(t *testing.T) {
	b := brokertest.Start(t, "mqtt.max_keep_alive=1s")
	for _, asked := range []uint16{0, 60} {
		c := clean(packet.V5, fmt.Sprint("c", asked))
		c.KeepAlive = asked
		p, ack := present(t, open(t, b, "tcp"), c)
		require.True(t, ack.Properties.Has(packet.PropServerKeepAlive))
		require.Equal(t, uint16(1), ack.Properties.ServerKeepAlive)
		if asked == 60 {
			p.turnedOut(packet.KeepAliveTimeout)
		}
	}
}

func TestReceiveMaximumOfTheBrokerIsHeldTo(t *testing.T) {
	b := brokertest.Start(t, "mqtt.receive_maximum=4")
	p, ack := present(t, open(t, b, "tcp"), clean(packet.V5, "p"))
	require.Equal(t, uint16(4), ack.Properties.ReceiveMaximum)
	for id := packet.ID(1); id <= 4; id++ {
		p.send(pub(packet.QoS2, id, "t", "x"))
		p.ack(packet.PUBREC)
	}
	p.send(pub(packet.QoS2, 5, "t", "x"))
	p.turnedOut(packet.ReceiveMaximumExceeded)
	// Before 5.0 nobody told the client: it is not read until it is below.
	old := join(t, b, clean(packet.V311, "old"))
	for id := packet.ID(1); id <= 4; id++ {
		old.send(pub(packet.QoS2, id, "t", "x"))
		old.ack(packet.PUBREC)
	}
	old.send(&packet.Ack{Kind: packet.PUBREL, ID: 1})
	old.ack(packet.PUBCOMP)
	old.send(pub(packet.QoS2, 5, "t", "x"))
	old.ack(packet.PUBREC)
}

func TestReceiveMaximumOfTheClientIsAWindow(t *testing.T) {
	b := brokertest.Start(t)
	c := clean(packet.V5, "sub")
	c.Properties = props(packet.PropReceiveMaximum, func(q *packet.Properties) { q.ReceiveMaximum = 3 })
	sub := join(t, b, c)
	sub.subscribe(packet.QoS1, "t")
	p := join(t, b, clean(packet.V5, "p"))
	for i := range 10 {
		p.publish(packet.QoS1, 1, "t", fmt.Sprint(i))
	}
	var ids []packet.ID
	for i := range 3 {
		m := want[*packet.Publish](sub)
		require.Equal(t, fmt.Sprint(i), string(m.Payload))
		ids = append(ids, m.ID)
	}
	sub.fence()
	for i := 3; i < 10; i++ {
		sub.send(&packet.Ack{Kind: packet.PUBACK, ID: ids[0]})
		m := want[*packet.Publish](sub)
		require.Equal(t, fmt.Sprint(i), string(m.Payload))
		ids = append(ids[1:], m.ID)
		sub.fence()
	}
}

func TestAFullQueueLosesItsOldestForACountedReason(t *testing.T) {
	b := brokertest.Start(t, "session.max_queued_messages=5")
	away := join(t, b, kept(packet.V5, "away"))
	away.subscribe(packet.QoS1, "t")
	away.leave()
	p := join(t, b, clean(packet.V5, "p"))
	for i := range 12 {
		p.publish(packet.QoS1, 1, "t", fmt.Sprint(i))
	}
	back := join(t, b, kept(packet.V5, "away"))
	for i := 7; i < 12; i++ {
		back.hears("t", fmt.Sprint(i))
	}
	back.fence()
	require.Equal(t, int64(7), drops(b)["queue_full"])
}

// Rules for addresses hold for the client's, not for the proxy's.
func TestAccessRulesLookBehindTheProxy(t *testing.T) {
	b := brokertest.Start(t, `listeners.tcp.proxied={bind: "127.0.0.1:0", proxy_protocol: both, allow_anonymous: true, access: ["deny 192.0.2.0/24"]}`)
	address := b.Addr("listeners.tcp.proxied")
	for _, version := range []byte{1, 2} {
		nc, err := dialBehind(t.Context(), address, version, net.IPv4(198, 51, 100, 7))
		require.NoError(t, err)
		enter(t, nc, clean(packet.V5, "welcome")).leave()
		nc, err = dialBehind(t.Context(), address, version, net.IPv4(192, 0, 2, 7))
		require.NoError(t, err)
		denied := speak(t, nc, packet.V5)
		_ = denied.Send(clean(packet.V5, "denied"))
		denied.closed()
	}
}

// A slow reader gets all retained messages, however small its queue is.
func TestASlowReaderGetsEveryRetainedMessage(t *testing.T) {
	topics := 40_000
	if underRace {
		topics /= 10
	}
	for name, settings := range map[string][]string{
		"as configured": nil,
		"small queue":   {"session.max_queued_messages=100", "session.max_queued_bytes=4KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			b := brokertest.Start(t, append([]string{"retained.max_count=100000"}, settings...)...)
			p := join(t, b, clean(packet.V311, "p"))
			var all []byte
			for i := range topics {
				all = append(all, encode(t, retained(pub(packet.QoS1, packet.ID(i+1), fmt.Sprint("r/", i), "payload "+fmt.Sprint(i))))...)
			}
			done := make(chan error, 1)
			go func() { done <- p.SendRaw(all) }()
			for range topics {
				p.ack(packet.PUBACK)
			}
			require.NoError(t, <-done)
			for _, qos := range []packet.QoS{packet.QoS0, packet.QoS1} {
				slow := join(t, b, clean(packet.V311, "slow"))
				slow.subscribe(qos, "r/+")
				seen := map[string]bool{}
				for i := range topics {
					m := want[*packet.Publish](slow)
					require.False(t, seen[string(m.Topic)], m.Topic)
					seen[string(m.Topic)] = true
					if i%1000 == 0 {
						p.fence() // while it does not read, others are served
					}
					if qos == packet.QoS1 {
						slow.send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
					}
				}
				slow.fence()
				slow.leave()
			}
		})
	}
}
