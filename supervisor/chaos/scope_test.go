// SPDX-License-Identifier: Apache-2.0

package chaos_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/chaos"
)

// A fault for one client, topic or listener hits every kind of actor that works
// for it, and nobody else.
func TestAScopedFaultHitsWhomItIsMeantFor(t *testing.T) {
	for _, tt := range []struct{ at, scope string }{
		{"ws_loop/data", "client:a"},
		{"ws_client/received", "client:a"},
		{"ws_client/deliver", "topic:room/a"},
		{"protocol/received", "client:a"},
		{"protocol/received", "topic:room/a"},
		{"protocol/answer", "client:a"},
		{"session/dispatch", "topic:room/a"},
		{"session/acked", "client:a"},
		{"session/releases", "topic:room/a"},
		{"sm/startsession", "client:a"},
		{"router/route", "client:a"},
		{"store/commit", "topic:room/a"},
		{"sys/clientconnected", "client:a"},
		{"listener/knock", "listener:tcp:default"},
		{"session/*", "listener:tcp:default"},
	} {
		t.Run(tt.at+" "+tt.scope, func(t *testing.T) {
			b := brokertest.AllowCrashes(t, "chaos.enabled=true")
			f, err := chaos.Parse("at=" + tt.at + " do=panic scope=" + tt.scope)
			require.NoError(t, err)
			var mu sync.Mutex
			var hits []chaos.Hit
			in := chaos.NewInjector(chaos.Options{OnHit: func(h chaos.Hit) { mu.Lock(); defer mu.Unlock(); hits = append(hits, h) }})
			defer in.ClearAll()
			_, err = in.Add(f)
			require.NoError(t, err)
			for _, id := range []string{"a", "b"} {
				talk(t, b, id)
			}
			mu.Lock()
			defer mu.Unlock()
			require.NotEmpty(t, hits)
			require.False(t, slices.ContainsFunc(hits, func(h chaos.Hit) bool {
				return f.Scope.Client != "" && h.Scope.Client != "a" || f.Scope.Topic != "" && h.Scope.Topic != "room/a"
			}), "%v", hits)
		})
	}
}

// talk is a client that hears what it says, with every QoS.
func talk(t *testing.T, b *brokertest.Broker, id string) {
	heard := make(chan packet.QoS, 3)
	c, err := client.NewClient(client.Config{Dial: func(ctx context.Context) (net.Conn, error) { return dial(b)(ctx, id) }, Connect: packet.Connect{Version: packet.V5, ClientID: id,
		Properties: (&packet.Properties{SessionExpiry: 60}).Set(packet.PropSessionExpiry)},
		Handler: func(m *client.Message) { heard <- m.QoS }})
	require.NoError(t, err)
	ctx := context.Background()
	_, err = c.Connect(ctx)
	require.NoError(t, err)
	_, err = c.Subscribe(ctx, nil, packet.Subscription{Filter: "room/" + id, QoS: 2})
	require.NoError(t, err)
	for qos := range packet.QoS(3) {
		_, err := c.Publish(ctx, &client.Message{Topic: "room/" + id, QoS: qos, Payload: []byte("x")})
		require.NoError(t, err)
	}
	for range 3 {
		<-heard
	}
	require.NoError(t, c.Disconnect(ctx, nil))
}
