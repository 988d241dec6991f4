// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/listeners/api"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/config"
)

// crowd is a broker with n entries in its directory. They share one connection,
// so that what is measured is the list and not the machine's memory.
func crowd(b *testing.B, n int) inspector {
	cfg, _, err := config.Load(config.Sources{Sets: []string{"listeners.tcp.default.bind=", "listeners.ws.default.bind=", "dashboard.bind=",
		"store.engine=memory"}})
	require.NoError(b, err)
	br, err := Start(cfg, zerolog.Nop())
	require.NoError(b, err)
	b.Cleanup(br.Close)
	c, err := client.NewClient(client.Config{Dial: br.Dial, Connect: packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "one"}})
	require.NoError(b, err)
	_, err = c.Connect(context.Background())
	require.NoError(b, err)
	b.Cleanup(func() { _ = c.Close() })
	br.Crowd("one", n)
	return inspector{br}
}

// Crowd adds n entries to the directory that share the connection of a client.
func (b *Broker) Crowd(client string, n int) {
	one, _ := b.directory.Client(client)
	for i := range n {
		b.directory.Accept(&cast.Client{ClientID: fmt.Sprintf("client-%06d", i), Username: fmt.Sprintf("user-%d", i%100), Peer: one.Peer,
			Version: one.Version, ConnectedAt: one.ConnectedAt + int64(i*7919%n), Epoch: 1, Conn: one.Conn, Session: one.Session})
	}
}

// BenchmarkAPageOfAHundredThousandClients is what one request costs.
func BenchmarkAPageOfAHundredThousandClients(b *testing.B) {
	in := crowd(b, 100_000)
	for name, q := range map[string]api.Query{
		"in order":  {Page: 1000, Sort: "client_id"},
		"sorted":    {Page: 2, Sort: "connected_at", Desc: true},
		"by a part": {Page: 1, Sort: "client_id", Search: "0042"},
		"filtered":  {Page: 1, Sort: "client_id", Filters: map[string]string{"username": "user-7"}},
	} {
		q.Limit, q.Scan = 50, 1_000_000
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				p, err := in.Clients(context.Background(), q)
				if err != nil || len(p.Items) == 0 {
					b.Fatal(err, len(p.Items))
				}
			}
		})
	}
}

// BenchmarkAStopOfTheLoop is how long an event loop stands still for one piece of
// a list: 64 clients.
func BenchmarkAStopOfTheLoop(b *testing.B) {
	in := crowd(b, chunk)
	clients := make([]*cast.Client, 0, chunk)
	for c := range in.directory.Clients().All {
		if len(clients) < chunk {
			clients = append(clients, c)
		}
	}
	rows := make([]api.Client, chunk)
	for i, c := range clients {
		rows[i] = clientOf(c)
	}
	b.ResetTimer()
	for range b.N {
		err := clients[0].Conn.Client.Group().Do(context.Background(), func() {
			for i := range clients {
				connFigures(clients[i].Conn, rows[i].Figures)
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
