// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store/memory"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// Poison at every step: while clients come and go, the nth message that an actor
// handles crashes it both times. Who pays is said elsewhere; here, whatever it was,
// nothing of the clients may be left when they are gone and their sessions ended.

// spoiler makes the nth message poison.
type spoiler struct {
	mu    sync.Mutex
	n     int
	bad   cell.Message
	left  int // crashes
	where string
}

// At implements cell.Hook.
func (h *spoiler) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if p != cell.Decide || c.Kind().Name == "supervisor" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bad == nil {
		if h.n--; h.n == 0 {
			h.bad, h.left, h.where = m, 2, fmt.Sprintf("%s, %T", c.Kind().Name, m)
		}
	}
	if h.bad == m && h.left > 0 {
		h.left--
		panic("injected")
	}
}

// poisoned is the message that was poison, "" if none was, while the loops go on.
func (h *spoiler) poisoned() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.where
}

// aDayWithoutManners is what clients do that wait for nothing. Any of them may be
// closed at any time.
func aDayWithoutManners(t testing.TB, b *brokertest.Broker) {
	says := func(c *packet.Connect, packets ...packet.Packet) {
		hangUp := true
		buf, err := serializer.Append(nil, c, c.Version)
		require.NoError(t, err)
		for _, p := range packets {
			buf, err = serializer.Append(buf, p, c.Version)
			require.NoError(t, err)
			hangUp = hangUp && p.Type() != packet.DISCONNECT
		}
		nc := b.Conn()
		defer nc.Close()
		_, err = nc.Write(buf)
		require.NoError(t, err)
		require.NoError(t, nc.SetReadDeadline(time.Now().Add(patience)))
		for answer := make([]byte, 4096); ; {
			_, err := nc.Read(answer)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the broker neither answers nor closes the connection")
			if err != nil || hangUp {
				return // lost when there was an answer, or closed
			}
		}
	}
	dying := kept(packet.V5, "subscriber")
	dying.Will = &packet.Will{Topic: "t/will", Payload: []byte("gone"), QoS: 1}
	says(dying, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t/#", QoS: 2}, {Filter: "$share/g/s", QoS: 2}}},
		retained(pub(packet.QoS1, 2, "t/1", "x")), pub(packet.QoS2, 3, "t/2", "x"), &packet.Ack{Kind: packet.PUBREL, ID: 3})
	member := clean(packet.V311, "member")
	member.Will = &packet.Will{Topic: "t/will", Payload: []byte("gone"), QoS: 1}
	says(member, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "$share/g/s", QoS: 1}, {Filter: "t/+", QoS: 1}}},
		pub(packet.QoS1, 2, "s", "x"), pub(packet.QoS1, 3, "s", "x"), pub(packet.QoS2, 4, "t/1", "x"))
	says(dying, &packet.Unsubscribe{ID: 4, Filters: []string{"t/#"}}, pub(packet.QoS1, 2, "s", "x"), &packet.Disconnect{})
	says(clean(packet.V5, "subscriber"), &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t/#", QoS: 1}}})
	says(dying, &packet.Disconnect{})
	says(member, &packet.Disconnect{})
}

// spoilt makes every message of one kind of actor poison.
type spoilt string

// At implements cell.Hook.
func (kind spoilt) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if _, answer := m.(*cell.Poison); !answer && p == cell.Decide && c.Kind().Name == string(kind) {
		panic("injected")
	}
}

func TestPoisonLeavesNothingBehind(t *testing.T) {
	stride := 7
	switch {
	case os.Getenv(everyStep) != "":
		stride = 1
	case underRace:
		stride = 29
	}
	for n := 1; ; n += stride {
		h := &spoiler{n: n}
		nothingIsLeft(t, h, func() string { return fmt.Sprintf("message %d: %s", n, h.poisoned()) })
		if h.poisoned() == "" {
			require.Greater(t, n, 100, "the day has become short")
			return
		}
	}
}

func TestOnlyPoisonLeavesNothingBehind(t *testing.T) {
	for _, kind := range []string{"ws_loop", "ws_client", "protocol", "session", "sm", "router", "retainer", "store"} {
		t.Run(kind, func(t *testing.T) {
			nothingIsLeft(t, spoilt(kind), func() string { return kind }, "chaos.enabled=true", "ban.poison_count=0")
		})
	}
}

// nothingIsLeft plays the day under a hook, ends all sessions, and looks.
func nothingIsLeft(t *testing.T, h cell.Hook, what func() string, settings ...string) {
	t.Helper()
	off := hooked(t, h)
	disk := memory.New()
	b := brokertest.AllowCrashesOn(t, disk, append(settings, "runtime.actor_max_crashes=1000000")...)
	aDayWithoutManners(t, b)
	for _, id := range []string{"subscriber", "member"} {
		b.EndSession(id)
	}
	for name, left := range map[string]func() int64{
		"sessions":              b.Metrics().Sessions.Load,
		"actors of sessions":    kindOf(b.Broker, "session").Cells.Load,
		"actors of connections": kindOf(b.Broker, "protocol").Cells.Load,
		"subscriptions":         b.Figures().Subscriptions,
		"filters":               func() int64 { return int64(b.Filters()) },
	} {
		eventually(t, name+" are left, "+what(), func() bool { return left() == 0 })
	}
	settled(t, b)
	off()
	sub := join(t, b, clean(packet.V5, "subscriber"))
	sub.subscribe(packet.QoS1, "new")
	sub.send(pub(packet.QoS0, 0, "new", "and a new client can still connect"))
	require.Equal(t, "new", string(sub.message().Topic))
	b.Stop()
	b = brokertest.On(t, disk)
	require.Zero(t, b.Metrics().Sessions.Load(), "the store has sessions, %s", what())
	b.Stop()
}
