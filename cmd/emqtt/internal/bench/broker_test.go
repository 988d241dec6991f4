// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// scripted is a broker of exact topics that does to deliveries what a test
// wants: alter says what becomes of the n-th one.
type scripted struct {
	alter   func(n int, m *packet.Publish) []*packet.Publish
	connack packet.ReasonCode
	suback  func(packet.QoS) packet.ReasonCode
	noAck   bool // QoS 1 is never acknowledged
	hangUp  int  // close the connection that delivers this one; 0: none

	addr string
	mu   sync.Mutex
	subs map[string][]*client.Conn
	open []net.Conn
	n    int
	wg   sync.WaitGroup
}

func (b *scripted) start(t *testing.T, conf *tls.Config) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b.addr, b.subs = l.Addr().String(), map[string][]*client.Conn{}
	if conf != nil {
		l = tls.NewListener(l, conf)
	}
	b.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.open = append(b.open, nc)
			b.mu.Unlock()
			b.wg.Go(func() { defer nc.Close(); b.serve(client.New(nc, client.Options{Server: true, ReadBuffer: 64 << 10})) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		b.mu.Lock()
		for _, nc := range b.open {
			_ = nc.Close()
		}
		b.mu.Unlock()
		b.wg.Wait()
	})
	return b
}

func (b *scripted) serve(c *client.Conn) {
	for {
		p, err := c.Receive(context.Background())
		if err != nil {
			return
		}
		switch m := p.(type) {
		case *packet.Connect:
			_ = c.Send(&packet.Connack{Code: b.connack})
		case *packet.Subscribe:
			b.subscribe(c, m)
		case *packet.Publish:
			if m.QoS == packet.QoS1 && !b.noAck {
				_ = c.Send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID})
			}
			b.deliver(m)
		case *packet.Pingreq:
			_ = c.Send(&packet.Pingresp{})
		case *packet.Disconnect:
			return
		}
	}
}

func (b *scripted) subscribe(c *client.Conn, m *packet.Subscribe) {
	b.mu.Lock()
	defer b.mu.Unlock()
	codes := make([]packet.ReasonCode, len(m.Subscriptions))
	for i, s := range m.Subscriptions {
		codes[i] = packet.ReasonCode(s.QoS)
		if b.suback != nil {
			codes[i] = b.suback(s.QoS)
		}
		filter := s.Filter
		if strings.HasPrefix(filter, "$share/") {
			filter = strings.SplitN(filter, "/", 3)[2]
		}
		b.subs[filter] = append(b.subs[filter], c)
	}
	_ = c.Send(&packet.Suback{ID: m.ID, Codes: codes})
}

func (b *scripted) deliver(m *packet.Publish) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs[string(m.Topic)] {
		b.n++
		if b.n == b.hangUp {
			_ = s.Close()
			return
		}
		out := []*packet.Publish{m}
		if b.alter != nil {
			out = b.alter(b.n, m)
		}
		for _, m := range out {
			_ = s.Send(m)
		}
	}
}

// copyOf is m with its bytes its own.
func copyOf(m *packet.Publish) *packet.Publish {
	c := *m
	c.Topic, c.Payload = append([]byte(nil), m.Topic...), append([]byte(nil), m.Payload...)
	return &c
}

func TestWhatABrokerDoesWrongIsFound(t *testing.T) {
	keep := func(m *packet.Publish) []*packet.Publish { return []*packet.Publish{m} }
	var held *packet.Publish
	for _, tt := range []struct {
		name string
		b    *scripted
		qos  int
		play string
		want func(*Tally) int64
	}{
		{"nothing is wrong", &scripted{}, 0, "p2p", func(n *Tally) int64 { return n.Delivered - 499 }},
		{"one is lost", &scripted{alter: func(n int, m *packet.Publish) []*packet.Publish {
			if n == 100 {
				return nil
			}
			return keep(m)
		}}, 0, "p2p", func(n *Tally) int64 { return n.Lost }},
		{"the last one is lost", &scripted{alter: func(n int, m *packet.Publish) []*packet.Publish {
			if n == 500 {
				return nil
			}
			return keep(m)
		}}, 0, "p2p", func(n *Tally) int64 { return n.Lost }},
		{"one comes twice", &scripted{alter: func(n int, m *packet.Publish) []*packet.Publish {
			if n == 100 {
				return []*packet.Publish{m, m}
			}
			return keep(m)
		}}, 0, "p2p", func(n *Tally) int64 { return n.Duplicated }},
		{"two are exchanged", &scripted{alter: func(n int, m *packet.Publish) []*packet.Publish {
			switch n {
			case 100:
				held = copyOf(m)
				return nil
			case 101:
				return []*packet.Publish{m, held}
			}
			return keep(m)
		}}, 0, "p2p", func(n *Tally) int64 { return n.Reordered }},
		{"a message of somebody else", &scripted{alter: func(n int, m *packet.Publish) []*packet.Publish {
			if n == 100 {
				return []*packet.Publish{m, {Topic: []byte("x"), Payload: []byte("y")}}
			}
			return keep(m)
		}}, 0, "p2p", func(n *Tally) int64 { return n.Foreign }},
		{"a message that was never sent", &scripted{alter: func(n int, m *packet.Publish) []*packet.Publish {
			if n == 500 {
				more := copyOf(m)
				more.Payload[15]++
				return []*packet.Publish{m, more}
			}
			return keep(m)
		}}, 0, "p2p", func(n *Tally) int64 { return n.Foreign }},
		{"two members of a group get it", &scripted{}, 0, "shared", func(n *Tally) int64 { return n.Duplicated - 499 }},
		{"no acknowledgement", &scripted{noAck: true}, 1, "p2p", func(n *Tally) int64 { return n.Unacked - 9 }},
		{"a connection is closed", &scripted{hangUp: 100}, 0, "p2p", func(n *Tally) int64 { return n.Dropped }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.b.start(t, nil)
			c := Config{Scenario: tt.play, URL: "mqtt://" + b.addr, QoS: tt.qos, Publishers: 1, Subscribers: 1, Window: 10, Messages: 500, Patience: 2 * time.Second}
			if tt.play == "shared" {
				c.Subscribers = 2
			}
			r, err := Run(t.Context(), c)
			require.NotNil(t, r)
			if tt.b.hangUp > 0 {
				require.ErrorContains(t, err, "closed")
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, tt.name == "nothing is wrong", r.OK, "%+v", r.Tally)
			require.Equal(t, int64(1), tt.want(&r.Tally), "%+v", r.Tally)
		})
	}
}

func TestARunThatCannotBeginSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		name string
		b    *scripted
		want string
	}{
		{"CONNECT is refused", &scripted{connack: packet.NotAuthorized}, "refused CONNECT"},
		{"SUBSCRIBE is refused", &scripted{suback: func(packet.QoS) packet.ReasonCode { return packet.UnspecifiedError }}, "0x80"},
		{"a lower QoS is granted", &scripted{suback: func(packet.QoS) packet.ReasonCode { return packet.Success }}, "not QoS 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.b.start(t, nil)
			r, err := Run(t.Context(), Config{Scenario: "p2p", URL: "mqtt://" + b.addr, QoS: 1, Messages: 10})
			require.ErrorContains(t, err, tt.want)
			require.False(t, r.OK)
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		ports, err := freePorts(1)
		require.NoError(t, err)
		_, err = Run(t.Context(), Config{Scenario: "p2p", URL: "mqtt://127.0.0.1:" + ports[0], Messages: 10})
		require.ErrorContains(t, err, "refused")
	})
}

func TestTLSIsLoadedByGoroutines(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	b := (&scripted{}).start(t, &tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	trust := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	r, err := Run(t.Context(), Config{Scenario: "p2p", URL: "mqtts://" + b.addr, TLS: trust, Publishers: 3, Subscribers: 5, Messages: 3000, Patience: time.Minute})
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r.Tally)
	require.Equal(t, r.Tally.Expected, r.Tally.Delivered)

	_, err = Run(t.Context(), Config{Scenario: "p2p", URL: "mqtts://" + b.addr, Messages: 10})
	require.ErrorContains(t, err, "certificate")
}
