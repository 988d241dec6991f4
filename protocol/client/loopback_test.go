// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// acknowledger is a server on loopback that acknowledges everything and hands
// every QoS 0 message back; it drops each connection after dropAfter packets.
type acknowledger struct {
	l         net.Listener
	dropAfter int // 0: never
	wg        sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
}

func listen(tb testing.TB, dropAfter int) *acknowledger {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	a := &acknowledger{l: l, dropAfter: dropAfter, open: make(map[net.Conn]bool)}
	a.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.open[nc] = true
			a.mu.Unlock()
			a.wg.Go(func() { defer nc.Close(); a.serve(New(nc, Options{Server: true})) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		a.mu.Lock()
		for nc := range a.open {
			_ = nc.Close()
		}
		a.mu.Unlock()
		a.wg.Wait()
	})
	return a
}

func (a *acknowledger) serve(c *Conn) {
	for n := 1; a.dropAfter == 0 || n <= a.dropAfter; n++ {
		p, err := c.Receive(context.Background())
		if err != nil {
			return
		}
		switch m := p.(type) {
		case *packet.Connect:
			err = c.Send(&packet.Connack{SessionPresent: !m.CleanStart})
		case *packet.Publish:
			switch m.QoS {
			case packet.QoS0:
				err = c.Send(m)
			case packet.QoS1:
				err = c.Send(ack(packet.PUBACK, m.ID))
			default:
				err = c.Send(ack(packet.PUBREC, m.ID))
			}
		case *packet.Ack:
			err = c.Send(ack(packet.PUBCOMP, m.ID))
		case *packet.Disconnect:
			return
		}
		if err != nil {
			return
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Run("many publishers on a network that fails: every publish ends well", func(t *testing.T) {
		a := listen(t, 97)
		c, err := NewClient(Config{
			Dial: TCP(a.l.Addr().String()), Connect: persistent(packet.V5), Window: 16,
			Reconnect: &Backoff{Min: time.Millisecond, Max: time.Millisecond},
		})
		require.NoError(t, err)
		_, err = c.Connect(t.Context())
		require.NoError(t, err)
		var wg sync.WaitGroup
		errs := make(chan error, 8*100)
		for g := range 8 {
			wg.Go(func() {
				for i := range 100 {
					_, err := c.Publish(t.Context(), &Message{Topic: fmt.Sprint(g), QoS: packet.QoS(1 + i%2), Payload: make([]byte, i)})
					errs <- err
				}
			})
		}
		wg.Wait()
		for range 8 * 100 {
			require.NoError(t, <-errs)
		}
		require.NoError(t, c.Disconnect(t.Context(), nil))
		<-c.Done()
		require.Empty(t, c.sess.busy)
		require.Equal(t, 16, c.slot.free)
	})

	t.Run("QoS 0 comes back in order", func(t *testing.T) {
		a := listen(t, 0)
		const n = 5000
		got := make(chan string, n)
		c, err := NewClient(Config{Dial: TCP(a.l.Addr().String()), Connect: v(packet.V311), Handler: func(m *Message) { got <- string(m.Payload) }})
		require.NoError(t, err)
		_, err = c.Connect(t.Context())
		require.NoError(t, err)
		for i := range n {
			require.NoError(t, c.PublishAsync(t.Context(), &Message{Topic: "t", Payload: fmt.Append(nil, i)}, nil))
		}
		for i := range n {
			require.Equal(t, fmt.Sprint(i), <-got)
		}
		require.NoError(t, c.Disconnect(t.Context(), nil))
		<-c.Done()
	})
}

func BenchmarkPublish(b *testing.B) {
	for _, qos := range []packet.QoS{0, 1, 2} {
		b.Run(fmt.Sprintf("qos%d_64", qos), func(b *testing.B) {
			a := listen(b, 0)
			c, err := NewClient(Config{Dial: TCP(a.l.Addr().String()), Connect: v(packet.V311)})
			require.NoError(b, err)
			_, err = c.Connect(b.Context())
			require.NoError(b, err)
			b.ReportAllocs()
			m := &Message{Topic: "bench/topic", Payload: make([]byte, 64), QoS: qos}
			var wg sync.WaitGroup
			for b.Loop() {
				wg.Add(1)
				if err := c.PublishAsync(b.Context(), m, func(Result) { wg.Done() }); err != nil {
					b.Fatal(err)
				}
			}
			wg.Wait()
			require.NoError(b, c.Close())
			<-c.Done()
		})
	}
}
