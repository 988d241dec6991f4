// SPDX-License-Identifier: Apache-2.0

package chaos_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/chaos"
)

// reader is a client with a session that stays, which counts what it is given:
// QoS 2 by its identifier, also over connections.
type reader struct {
	t    *testing.T
	conn *client.Conn
	got  map[string]int
	held map[packet.ID]bool
}

func (r *reader) connect(p *process) {
	r.t.Helper()
	nc, err := net.Dial("tcp", p.address)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = nc.Close() })
	r.conn = client.New(nc, client.Options{Version: packet.V311})
	require.NoError(r.t, r.conn.Send(&packet.Connect{Version: packet.V311, ClientID: "reader", KeepAlive: 60}))
	require.IsType(r.t, &packet.Connack{}, r.next())
}

func (r *reader) next() packet.Packet {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p, err := r.conn.Receive(ctx)
	require.NoError(r.t, err)
	return p
}

// read takes and acknowledges packets until so many messages are there.
func (r *reader) read(messages int) {
	r.t.Helper()
	for len(r.got) < messages {
		switch p := r.next().(type) {
		case *packet.Publish:
			if !r.held[p.ID] {
				r.got[string(p.Topic)]++
			}
			if p.QoS == packet.QoS2 {
				r.held[p.ID] = true
				require.NoError(r.t, r.conn.Send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID}))
			} else {
				require.NoError(r.t, r.conn.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID}))
			}
		case *packet.Ack:
			if p.Kind == packet.PUBREL {
				delete(r.held, p.ID)
				require.NoError(r.t, r.conn.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}))
			}
		}
	}
}

// A client that was promised retained messages, and was given some of them when
// the process was killed, is given the others by the next one.
func TestALookupOutlivesKill9(t *testing.T) {
	const messages, before = 60, 9
	for qos := packet.QoS1; qos <= packet.QoS2; qos++ {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("QoS %d, away %v", qos, away), func(t *testing.T) {
				p := newProcess(t, nil)
				p.note = func(chaos.Event) {}
				r := &reader{t: t, got: map[string]int{}, held: map[packet.ID]bool{}}
				r.connect(p)
				for i := range messages {
					require.NoError(t, r.conn.Send(&packet.Publish{Topic: fmt.Appendf(nil, "kept/%d", i), Payload: []byte("x"), QoS: packet.QoS2, ID: packet.ID(i + 1), Retain: true}))
					require.Equal(t, packet.PUBREC, r.next().Type())
					require.NoError(t, r.conn.Send(&packet.Ack{Kind: packet.PUBREL, ID: packet.ID(i + 1)}))
					require.Equal(t, packet.PUBCOMP, r.next().Type())
				}
				require.NoError(t, r.conn.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "kept/+", QoS: qos}}}))
				require.IsType(t, &packet.Suback{}, r.next())
				r.read(before)
				if away {
					require.NoError(t, r.conn.NetConn().Close())
				}
				require.NoError(t, p.cmd.Process.Kill())
				p.revive()
				r.connect(p)
				r.read(messages)
				if qos == packet.QoS2 {
					for name, times := range r.got {
						require.Equal(t, 1, times, name)
					}
				}
			})
		}
	}
}
