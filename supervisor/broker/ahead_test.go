// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// TestATLSClientMaySayMuchBehindItsHandshake: a client need not wait for the
// broker's last word of the handshake [RFC 8446 2]. However much it says meanwhile,
// what of it is held is bounded, and nothing is lost.
func TestATLSClientMaySayMuchBehindItsHandshake(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.files(t.TempDir(), "127.0.0.1")
	const publishes, rounds = 200, 10
	said := encode(t, clean(packet.V311, "hasty"))
	for id := range publishes {
		said = append(said, encodeAs(t, packet.V311, &packet.Publish{Topic: []byte("t"), QoS: packet.QoS1, ID: packet.ID(id + 1), Payload: bytes.Repeat([]byte("x"), 1024)})...)
	}
	for _, engine := range []string{"epoll", "goroutine"} {
		t.Run(engine, func(t *testing.T) {
			b := brokertest.Start(t, "runtime.engine="+engine,
				"listeners.tls.default={bind: \"127.0.0.1:0\", tls: {max_handshake: 4KiB, cert_file: "+cert+", key_file: "+key+"}}")
			for range rounds {
				nc, err := tls.Dial("tcp", b.Addr("listeners.tls.default").String(), ca.config())
				require.NoError(t, err)
				wrote := make(chan error, 1)
				go func() { _, err := nc.Write(said); wrote <- err }()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				c := client.New(nc, client.Options{Version: packet.V311})
				p, err := c.Receive(ctx)
				require.NoError(t, err)
				require.IsType(t, &packet.Connack{}, p)
				for id := range publishes {
					p, err := c.Receive(ctx)
					require.NoError(t, err)
					require.Equal(t, packet.ID(id+1), p.(*packet.Ack).ID)
				}
				require.NoError(t, <-wrote)
				cancel()
				require.NoError(t, nc.Close())
			}
		})
	}
}
