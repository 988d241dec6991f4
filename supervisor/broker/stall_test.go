// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// An actor whose code does not return: everything on its loop stands still, until
// the watch gives the loop to another goroutine.

// stuck holds the first message of an actor that it means, until it is let go.
type stuck struct {
	phase   cell.Phase
	means   func(c *cell.Cell, m cell.Message) bool
	began   chan struct{}
	release chan struct{}
	once    bool // touched by the actor's goroutine alone, before it waits
}

func (h *stuck) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if p != h.phase || h.began == nil || !h.means(c, m) || h.once {
		return
	}
	h.once = true
	close(h.began)
	c.Touch()
	<-h.release
}

func holding(t *testing.T, phase cell.Phase, means func(c *cell.Cell, m cell.Message) bool) *stuck {
	h := &stuck{phase: phase, means: means, began: make(chan struct{}), release: make(chan struct{})}
	hooked(t, h)
	return h
}

func (h *stuck) wait(t *testing.T) {
	t.Helper()
	select {
	case <-h.began:
	case <-time.After(10 * time.Second):
		t.Fatal("the actor was never stuck")
	}
}

// carries says whether m is, or brings, a PUBLISH to the topic "stall".
func carries(m cell.Message) bool {
	switch m := m.(type) {
	case *cast.Data:
		return len(m.Bytes) > 9 && string(m.Bytes[4:9]) == "stall"
	case *cast.Received:
		p, ok := m.Current().(*packet.Publish)
		return ok && string(p.Topic) == "stall"
	case *cast.Dispatch:
		return m.Messages[0].Topic == "stall"
	}
	return false
}

func TestAnActorThatIsStuckCostsItsConnectionAlone(t *testing.T) {
	for _, engine := range []string{"epoll", "goroutine"} {
		for _, transport := range transports {
			for _, tt := range []struct {
				kind  string
				phase cell.Phase
			}{{"ws_loop", cell.Before}, {"ws_client", cell.Between}, {"protocol", cell.Decide}, {"session", cell.Before}} {
				t.Run(fmt.Sprint(engine, "/", transport, "/", tt.kind, " ", tt.phase), func(t *testing.T) {
					b := brokertest.AllowCrashes(t, "runtime.engine="+engine, "runtime.loops=1", "runtime.stall_after=100ms", "ban.poison_count=0")
					other := join(t, b, clean(packet.V5, "other"))
					other.subscribe(packet.QoS1, "t")
					weak := enter(t, open(t, b, transport), kept(packet.V5, "weak"))
					weak.subscribe(packet.QoS1, "stall")
					h := holding(t, tt.phase, func(c *cell.Cell, m cell.Message) bool { return c.Kind().Name == tt.kind && carries(m) })
					weak.send(pub(packet.QoS0, 0, "stall", "x"))
					h.wait(t)
					other.publish(packet.QoS1, 7, "t", "meanwhile") // waits for the watch, and not for the actor
					other.hears("t", "meanwhile")
					for { // what was on its way may come yet
						if _, err := weak.next(); err != nil {
							break
						}
					}
					require.EqualValues(t, 1, kindOf(b.Broker, tt.kind).By[cell.ByStall].Load())
					back, ack := present(t, open(t, b, transport), kept(packet.V5, "weak"))
					require.Equal(t, packet.Success, ack.Code)
					require.True(t, ack.SessionPresent, "the session was not lost with its connection")
					back.publish(packet.QoS1, 1, "t", "back")
					other.hears("t", "back")
					close(h.release)
					other.publish(packet.QoS1, 8, "t", "behind") // the one that was stuck has come back, to nothing
					other.hears("t", "behind")
					back.leave()
					other.fence()
					other.leave()
				})
			}
		}
	}
}

// TestAServiceThatIsStuckIsReplaced: all services live on one loop with
// connections; the request that stuck is answered as poison, the next one as
// ever.
func TestAServiceThatIsStuckIsReplaced(t *testing.T) {
	for _, tt := range []struct{ kind, name string }{{"sm", "sm/0"}, {"router", "router/0"}, {"store", "store"}, {"retainer", "retainer"}} {
		t.Run(tt.kind, func(t *testing.T) {
			b := brokertest.AllowCrashes(t, "runtime.loops=1", "runtime.stall_after=100ms", "ban.poison_count=0")
			other := join(t, b, clean(packet.V5, "other"))
			h := holding(t, cell.Before, func(c *cell.Cell, _ cell.Message) bool { return c.Kind().Name == tt.kind })
			weak := speak(t, open(t, b, "tcp"), packet.V5)
			weak.send(kept(packet.V5, "weak"), &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "r", QoS: 1}}})
			h.wait(t)
			other.fence()
			eventually(t, "the service is back", func() bool { return b.Ready() == nil })
			n, ok := node(b.Tree(0), tt.name)
			require.True(t, ok)
			require.Equal(t, 1, n.Restarts)
			require.Contains(t, n.Reason, "stall")
			require.Contains(t, n.Stack, "stall_test.go")
			close(h.release)
			_ = weak.Close()
			again := join(t, b, kept(packet.V5, "again"))
			again.subscribe(packet.QoS1, "r")
			other.publish(packet.QoS1, 3, "r", "x")
			again.hears("r", "x")
			again.leave()
			other.leave()
		})
	}
}
