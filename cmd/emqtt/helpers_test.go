// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outcome is what a command left.
type outcome struct {
	code     int
	out, err string
}

var clock = time.Date(2026, 11, 21, 9, 5, 7, 123456789, time.FixedZone("CET", 3600))

// emqtt runs a command in this process.
func emqtt(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	w := &world{
		in: strings.NewReader(stdin), out: &out, err: &lockedWriter{w: &errs}, pid: 77,
		getenv: func(string) string { return "" }, now: func() time.Time { return clock },
	}
	code := run(t.Context(), w, args)
	return outcome{code, out.String(), errs.String()}
}

// broker is a scripted server on loopback. It keeps what it received.
type broker struct {
	port string
	l    net.Listener
	wg   sync.WaitGroup

	connack packet.Connack
	onPub   func(c *client.Conn, m *packet.Publish) // nil: acknowledge
	suback  packet.ReasonCode
	deliver []*packet.Publish // sent behind SUBACK

	mu   sync.Mutex
	got  []packet.Packet
	open []net.Conn
}

func (b *broker) start(t *testing.T, l net.Listener) {
	t.Helper()
	if l == nil {
		var err error
		l, err = net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
	}
	b.l = l
	_, b.port, _ = net.SplitHostPort(l.Addr().String())
	b.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.open = append(b.open, nc)
			b.mu.Unlock()
			b.wg.Go(func() { defer nc.Close(); b.serve(client.New(nc, client.Options{Server: true})) })
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
}

func (b *broker) serve(c *client.Conn) {
	for {
		p, err := c.Receive(context.Background())
		if err != nil {
			return
		}
		b.mu.Lock()
		b.got = append(b.got, p)
		b.mu.Unlock()
		switch m := p.(type) {
		case *packet.Connect:
			a := b.connack
			_ = c.Send(&a)
			if a.Code.Failed() {
				return
			}
		case *packet.Publish:
			if b.onPub != nil {
				b.onPub(c, m)
			} else if m.QoS > 0 {
				_ = c.Send(&packet.Ack{Kind: packet.PUBACK + packet.Type(m.QoS) - 1, ID: m.ID})
			}
		case *packet.Ack:
			if m.Kind == packet.PUBREL {
				_ = c.Send(&packet.Ack{Kind: packet.PUBCOMP, ID: m.ID})
			}
			if m.Kind == packet.PUBREC {
				_ = c.Send(&packet.Ack{Kind: packet.PUBREL, ID: m.ID})
			}
		case *packet.Subscribe:
			codes := make([]packet.ReasonCode, len(m.Subscriptions))
			for i := range codes {
				codes[i] = b.suback
			}
			_ = c.Send(&packet.Suback{ID: m.ID, Codes: codes})
			for _, p := range b.deliver {
				_ = c.Send(p)
			}
		case *packet.Unsubscribe:
			_ = c.Send(&packet.Unsuback{ID: m.ID, Codes: make([]packet.ReasonCode, len(m.Filters))})
		case *packet.Disconnect:
			return
		}
	}
}

// first is the first packet of its kind that the broker received.
func first[P packet.Packet](t *testing.T, b *broker) P {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.got {
		if p, ok := p.(P); ok {
			return p
		}
	}
	require.Fail(t, "no such packet received")
	panic("unreachable")
}

func (b *broker) types() (types []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.got {
		types = append(types, p.Type().String())
	}
	return types
}

// join writes values with spaces in between.
func join(values ...any) string { return strings.TrimSuffix(fmt.Sprintln(values...), "\n") }
