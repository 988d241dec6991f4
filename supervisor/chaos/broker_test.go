// SPDX-License-Identifier: Apache-2.0

package chaos_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/chaos"
)

func TestTheBrokerKeepsTheContract(t *testing.T) {
	b := brokertest.Start(t)
	for seed := range uint64(3) {
		requirePass(t, chaos.Run(t.Context(), dial(b), chaos.Plan{Seed: seed + 1, WillDelay: int(seed % 2)}))
	}
}

func TestTheBrokerKeepsTheContractWhileItsActorsCrash(t *testing.T) {
	for _, line := range []string{
		"at=*/*/decide do=panic when=p:0.001,seed:1",
		"at=*/*/between do=goexit when=p:0.001,seed:2",
		"at=*/* do=stop when=p:0.001,seed:3",
	} {
		t.Run(line, func(t *testing.T) {
			b := brokertest.AllowCrashes(t, "runtime.actor_max_crashes=1000000")
			f, err := chaos.Parse(line)
			require.NoError(t, err)
			in := chaos.NewInjector(chaos.Options{})
			defer in.ClearAll()
			_, err = in.Add(f)
			require.NoError(t, err)
			requirePass(t, chaos.Run(t.Context(), dial(b), chaos.Plan{Seed: 1}))
			require.Positive(t, in.List()[0].Hits)
		})
	}
}

// TestRunCatches plays with what passes between the clients and the broker, and
// wants to be found out.
func TestRunCatches(t *testing.T) {
	b := brokertest.Start(t)
	for _, tt := range []struct {
		name   string
		clause chaos.Clause
		play   func(m *middle) trick
	}{
		{"a message that is lost", chaos.ClauseLost, func(m *middle) trick {
			n := 0
			return func(p packet.Packet) bool {
				pub, ok := p.(*packet.Publish)
				if !ok || pub.QoS == 0 || !m.is("witness") || !strings.Contains(string(pub.Topic), "/live/") {
					return true
				}
				n++
				if n < 10 || n > 12 {
					return true
				}
				m.acknowledge(pub)
				return false
			}
		}},
		{"a second copy of QoS 2", chaos.ClauseOnce, func(m *middle) trick {
			return func(p packet.Packet) bool {
				if pub, ok := p.(*packet.Publish); ok && pub.QoS == packet.QoS2 && !pub.Dup {
					again := *pub
					again.QoS, again.ID = 0, 0
					m.toClient(&again)
				}
				return true
			}
		}},
		{"messages that change places", chaos.ClauseOrder, func(m *middle) trick {
			held := map[string]*packet.Publish{}
			return func(p packet.Packet) bool {
				pub, ok := p.(*packet.Publish)
				if !ok || pub.QoS != 0 || !m.is("witness") {
					return true
				}
				if h := held[string(pub.Topic)]; h != nil {
					m.toClient(pub)
					m.toClient(h)
					delete(held, string(pub.Topic))
				} else {
					held[string(pub.Topic)] = pub
				}
				return false
			}
		}},
		{"an acknowledgement that does not come", chaos.ClauseAnswered, func(m *middle) trick {
			return func(p packet.Packet) bool {
				a, ok := p.(*packet.Ack)
				return !ok || a.Kind != packet.PUBACK || !m.is("client-0") || a.ID%8 != 0
			}
		}},
		{"a session that is denied", chaos.ClausePresent, func(*middle) trick {
			return func(p packet.Packet) bool {
				if c, ok := p.(*packet.Connack); ok {
					c.SessionPresent = false
				}
				return true
			}
		}},
		{"a client that is refused", chaos.ClauseUndisturbed, func(m *middle) trick {
			return func(p packet.Packet) bool {
				if c, ok := p.(*packet.Connack); ok && m.is("after") {
					c.Code = packet.ServerUnavailable
				}
				return true
			}
		}},
		{"a connection that is cut", chaos.ClauseUndisturbed, func(m *middle) trick {
			n := 0
			return func(packet.Packet) bool {
				if n++; n == 40 && m.is("client-1") {
					_ = m.near.Close()
				}
				return true
			}
		}},
		{"wills that are lost", chaos.ClauseWill, func(m *middle) trick { return m.lose("/will/", false) }},
		{"retained messages that are lost", chaos.ClauseRetained, func(m *middle) trick { return m.lose("/kept/", true) }},
		{"a SUBACK without effect", chaos.ClauseEffective, func(m *middle) trick {
			if !m.is("client-2") {
				return nil
			}
			return m.lose("/live/", false)
		}},
		{"an old connection that stays", chaos.ClauseOwner, func(m *middle) trick {
			m.stays = true
			return func(p packet.Packet) bool {
				d, ok := p.(*packet.Disconnect)
				return !ok || d.Code != packet.SessionTakenOver
			}
		}},
		{"an answer to nothing", chaos.ClauseProtocol, func(m *middle) trick {
			return func(p packet.Packet) bool {
				if _, ok := p.(*packet.Suback); ok {
					m.toClient(&packet.Ack{Kind: packet.PUBACK, ID: 4711})
				}
				return true
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan := chaos.Plan{Seed: 1, Steps: 300, Clients: 3, Durable: true, Timeout: 500 * time.Millisecond}
			switch tt.clause {
			case chaos.ClauseAnswered:
				plan.Odds = chaos.Odds{Publish: 1}
			case chaos.ClauseRetained:
				plan.Odds, plan.Pace = chaos.Odds{Retain: 1, Subscribe: 8}, 300*time.Microsecond
			case chaos.ClauseOwner:
				plan.Odds = chaos.Odds{Publish: 60, Takeover: 1}
			}
			r := chaos.Run(t.Context(), through(b, tt.play), plan)
			require.True(t, slices.ContainsFunc(r.Violations, func(v chaos.Violation) bool { return v.Clause == tt.clause }), "%v", r.Violations)
			require.NotEmpty(t, r.Trace)
		})
	}
}

// middle stands between one client and the broker.
type middle struct {
	id        string
	near, far *client.Conn
	stays     bool // a connection that the broker has closed seems open
}

// trick is shown what the broker sends, and says whether it goes on to the
// client; nil: all of it does.
type trick func(p packet.Packet) bool

func (m *middle) is(name string) bool { return strings.HasSuffix(m.id, name) }

func (m *middle) toClient(p packet.Packet) { _ = m.near.Send(p) }

// acknowledge answers a message in the client's place.
func (m *middle) acknowledge(p *packet.Publish) {
	switch p.QoS {
	case packet.QoS1:
		_ = m.far.Send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	case packet.QoS2:
		_ = m.far.Send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
	}
}

// lose acknowledges the messages of a kind of topic and hands none on.
func (m *middle) lose(topic string, retained bool) trick {
	var ids [1 << 16]atomic.Bool // PUBREC was sent in the client's place
	return func(p packet.Packet) bool {
		switch p := p.(type) {
		case *packet.Publish:
			if !strings.Contains(string(p.Topic), topic) || retained && !p.Retain {
				return true
			}
			ids[p.ID].Store(p.QoS == packet.QoS2)
			m.acknowledge(p)
			return false
		case *packet.Ack:
			if p.Kind == packet.PUBREL && ids[p.ID].Swap(false) {
				_ = m.far.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
				return false
			}
		}
		return true
	}
}

// through dials the broker with somebody in the middle.
func through(b *brokertest.Broker, play func(*middle) trick) chaos.Dial {
	return func(ctx context.Context, id string) (net.Conn, error) {
		far, err := new(net.Dialer).DialContext(ctx, "tcp", b.TCP())
		if err != nil {
			return nil, err
		}
		here, near := net.Pipe()
		m := &middle{id: id, near: client.New(near, client.Options{Server: true}), far: client.New(far, client.Options{})}
		go func() {
			pass(m.near, m.far, nil)
			_ = m.far.Close()
		}()
		go func() {
			pass(m.far, m.near, play(m))
			if !m.stays {
				_ = m.near.Close()
			}
		}()
		return here, nil
	}
}

func pass(from, to *client.Conn, tr trick) {
	for {
		p, err := from.Receive(context.Background())
		if err != nil {
			return
		}
		if (tr == nil || tr(p)) && to.Send(p) != nil {
			return
		}
	}
}

func dial(b *brokertest.Broker) chaos.Dial {
	return func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", b.TCP())
	}
}

func requirePass(t *testing.T, r chaos.Report) {
	t.Helper()
	var out strings.Builder
	require.NoError(t, r.Write(&out))
	require.True(t, r.Pass(), out.String())
	require.Greater(t, r.Received, r.Published, "the run was about nothing")
}
