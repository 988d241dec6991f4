// SPDX-License-Identifier: Apache-2.0

package chaos_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/ws"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/chaos"
)

// TestStampede crashes every kind of actor in every way under load, over TCP and
// WebSocket: nobody notices, a new client can still connect (the run's last step),
// and nothing is left over. A part of the matrix, chosen so that every two of its
// dimensions meet; EMQTTD_STAMPEDE=all takes the whole.
func TestStampede(t *testing.T) {
	kinds := []string{"ws_loop", "ws_client", "protocol", "session", "sm", "router", "retainer", "store", "sys", "listener"}
	ways := []string{"before do=panic", "decide do=panic", "between do=panic", "decide do=goexit", "before do=stop"}
	crashes := int64(0)
	for i, kind := range kinds {
		for j, way := range ways {
			for k, transport := range []string{"tcp", "ws"} {
				if os.Getenv("EMQTTD_STAMPEDE") != "all" && (i+j)%2 != k {
					continue
				}
				t.Run(fmt.Sprint(kind, " ", way, " ", transport), func(t *testing.T) {
					crashes += stampede(t, fmt.Sprintf("at=%s/*/%s when=p:0.1,seed:%d", kind, way, 1+i*10+j), transport)
				})
			}
		}
	}
	t.Logf("%d crashes", crashes)
	require.Greater(t, crashes, int64(1000))
}

func stampede(t *testing.T, line, transport string) int64 {
	before := runtime.NumGoroutine()
	b := brokertest.AllowCrashes(t, "chaos.enabled=true")
	f, err := chaos.Parse(line)
	require.NoError(t, err)
	in := chaos.NewInjector(chaos.Options{})
	defer in.ClearAll()
	_, err = in.Add(f)
	require.NoError(t, err)
	way := dial(b)
	if transport == "ws" {
		way = func(ctx context.Context, _ string) (net.Conn, error) { return ws.Dial(ctx, b.WS(), nil, nil) }
	}
	requirePass(t, chaos.Run(t.Context(), way, chaos.Plan{Seed: 1, Steps: 150, Slack: 100 * time.Millisecond}))
	hits := in.List()[0].Hits
	in.ClearAll()
	require.Eventually(t, func() bool { return left(b) == 0 }, 10*time.Second, time.Millisecond, "actors of connections and sessions are left")
	b.Stop()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, time.Millisecond,
		"goroutines are left (one is the condition's own)")
	return hits
}

// left counts the actors that come and go with clients.
func left(b *brokertest.Broker) (n int64) {
	b.Kinds(func(k *cell.Kind) bool {
		switch k.Name {
		case "ws_loop", "ws_client", "protocol", "session":
			n += k.Cells.Load()
		}
		return true
	})
	return n
}
