// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
)

// startOn starts a broker on an engine that outlives it, as a disk would.
func startOn(t *testing.T, e store.Engine) *broker.Broker {
	t.Helper()
	cfg, _, err := config.Load(config.Sources{Sets: []string{"listeners.tcp.default.bind=127.0.0.1:0", "dashboard.bind=", "listeners.ws.default.bind="}})
	require.NoError(t, err)
	b, err := broker.StartWith(cfg, zerolog.Nop(), e)
	require.NoError(t, err)
	return b
}

// raw is a client that speaks packet by packet.
type raw struct {
	*client.Conn
	t *testing.T
}

func connectRaw(t *testing.T, b *broker.Broker, p *packet.Connect) (raw, *packet.Connack) {
	t.Helper()
	nc, err := b.Dial(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	r := raw{client.New(nc, client.Options{Version: p.Version}), t}
	require.NoError(t, r.Send(p))
	ack, ok := r.next().(*packet.Connack)
	require.True(t, ok)
	return r, ack
}

func (r raw) next() packet.Packet {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p, err := r.Receive(ctx)
	require.NoError(r.t, err)
	return p
}

func TestARestartGivesBackWhatTheStoreHas(t *testing.T) {
	e := memory.New()
	b := startOn(t, e)
	persistent := &packet.Connect{Version: packet.V5, ClientID: "keeper", KeepAlive: 60, Properties: &packet.Properties{SessionExpiry: 600}}
	persistent.Properties.Set(packet.PropSessionExpiry)

	sub, ack := connectRaw(t, b, persistent)
	require.False(t, ack.SessionPresent)
	props := &packet.Properties{SubscriptionIDs: []uint32{7}}
	require.NoError(t, sub.Send(&packet.Subscribe{ID: 1, Properties: props, Subscriptions: []packet.Subscription{{Filter: "a/#", QoS: packet.QoS2}}}))
	require.IsType(t, &packet.Suback{}, sub.next())

	pub, _ := connectRaw(t, b, &packet.Connect{Version: packet.V311, ClientID: "pub", CleanStart: true})
	publish := func(topic, payload string, qos packet.QoS, id packet.ID, retain bool) {
		require.NoError(t, pub.Send(&packet.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos, ID: id, Retain: retain}))
		if qos > 0 {
			require.Equal(t, id, pub.next().(*packet.Ack).ID)
		}
	}
	// One message in flight in each state, one QoS 2 message of the client's own
	// awaiting its release, and two that wait while it is away.
	publish("a/1", "sent", packet.QoS1, 1, false)
	sent := sub.next().(*packet.Publish)
	publish("a/2", "released", packet.QoS2, 2, false)
	released := sub.next().(*packet.Publish)
	require.NoError(t, sub.Send(&packet.Ack{Kind: packet.PUBREC, ID: released.ID}))
	require.Equal(t, packet.PUBREL, sub.next().Type())
	require.NoError(t, sub.Send(&packet.Publish{Topic: []byte("own"), QoS: packet.QoS2, ID: 9}))
	require.Equal(t, packet.PUBREC, sub.next().Type())
	require.NoError(t, sub.NetConn().Close())
	require.Eventually(t, func() bool { return b.Metrics().Connected.Load() == 1 }, 10*time.Second, time.Millisecond)
	publish("a/3", "kept", packet.QoS1, 3, true)
	publish("a/4", "queued", packet.QoS2, 4, false)
	require.NoError(t, b.Shutdown(context.Background()))

	b = startOn(t, e)
	defer func() { require.NoError(t, b.Shutdown(context.Background())) }()
	again, ack := connectRaw(t, b, persistent)
	require.True(t, ack.SessionPresent)
	var payloads []string
	for range 4 { // three messages in order and a PUBREL, whose place among them is free
		switch p := again.next().(type) {
		case *packet.Ack:
			require.Equal(t, packet.PUBREL, p.Kind)
			require.Equal(t, released.ID, p.ID)
		case *packet.Publish:
			payloads = append(payloads, string(p.Payload))
			require.Equal(t, len(payloads) == 1, p.Dup)
			require.Equal(t, []uint32{7}, p.Properties.SubscriptionIDs)
			if len(payloads) == 1 {
				require.Equal(t, sent.ID, p.ID)
				require.Equal(t, packet.QoS1, p.QoS)
			}
		}
	}
	require.Equal(t, []string{"sent", "kept", "queued"}, payloads)
	// The repetition of the client's own message is known, and released once.
	require.NoError(t, again.Send(&packet.Publish{Topic: []byte("own"), QoS: packet.QoS2, ID: 9, Dup: true}))
	require.Equal(t, packet.PUBREC, again.next().Type())
	require.NoError(t, again.Send(&packet.Ack{Kind: packet.PUBREL, ID: 9}))
	require.Equal(t, packet.Success, again.next().(*packet.Ack).Code)

	late, _ := connectRaw(t, b, &packet.Connect{Version: packet.V311, ClientID: "late", CleanStart: true})
	require.NoError(t, late.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a/3"}}}))
	require.IsType(t, &packet.Suback{}, late.next())
	require.Equal(t, "kept", string(late.next().(*packet.Publish).Payload))
}

func TestASessionThatExpiredAndCameBackIsKept(t *testing.T) {
	e := memory.New()
	b := startOn(t, e)
	connect := func(seconds uint32) (raw, *packet.Connack) {
		p := &packet.Connect{Version: packet.V5, ClientID: "phoenix", Properties: &packet.Properties{SessionExpiry: seconds}}
		p.Properties.Set(packet.PropSessionExpiry)
		return connectRaw(t, b, p)
	}
	first, _ := connect(600)
	// A DISCONNECT that ends the session now, and the same client id at once: the
	// session may be over but not ended yet.
	d := &packet.Disconnect{Properties: &packet.Properties{}}
	d.Properties.Set(packet.PropSessionExpiry)
	require.NoError(t, first.Send(d))
	second, ack := connect(600)
	require.False(t, ack.SessionPresent)
	require.NoError(t, second.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", QoS: packet.QoS1}}}))
	require.IsType(t, &packet.Suback{}, second.next())
	require.NoError(t, b.Shutdown(context.Background()))

	b = startOn(t, e)
	defer func() { require.NoError(t, b.Shutdown(context.Background())) }()
	_, ack = connect(600)
	require.True(t, ack.SessionPresent, "the record written last is of the session that came back")
}

func TestASessionThatEndsWithItsConnectionDoesNotSurviveATakeover(t *testing.T) {
	b := startOn(t, memory.New())
	defer func() { require.NoError(t, b.Shutdown(context.Background())) }()
	connectRaw(t, b, &packet.Connect{Version: packet.V311, ClientID: "one", CleanStart: true})
	_, ack := connectRaw(t, b, &packet.Connect{Version: packet.V311, ClientID: "one"})
	require.False(t, ack.SessionPresent, "[v3.1.1 MQTT-3.1.2-6]")
	_, ack = connectRaw(t, b, &packet.Connect{Version: packet.V311, ClientID: "one"})
	require.True(t, ack.SessionPresent, "the second one was kept")
}
