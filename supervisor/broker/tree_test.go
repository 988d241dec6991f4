// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// node finds an actor of the live tree by name.
func node(n supervisor.Node, name string) (supervisor.Node, bool) {
	if n.Name == name {
		return n, true
	}
	for _, c := range n.Children {
		if found, ok := node(c, name); ok {
			return found, true
		}
	}
	return supervisor.Node{}, false
}

func TestTheTreeIsTheBootListAndWhatRunsBelow(t *testing.T) {
	b := brokertest.Start(t)
	eventually(t, "it is up", func() bool { return b.Ready() == nil })
	c := join(t, b, clean(packet.V5, "c"))
	tree := b.Tree(10)
	require.Equal(t, "emqttd_sup", tree.Name)
	for name, module := range map[string]string{"store": "emqttd_backend", "retainer": "emqttd_retainer", "router/0": "", "sm/0": "emqttd_sm",
		"sys": "emqttd_broker", "session/c": "emqttd_session", "tcp:default/1/loop": "emqttd_ws", "tcp:default/1/client": "",
		"tcp:default/1/protocol": "emqttd_protocol"} {
		n, ok := node(tree, name)
		require.True(t, ok, name)
		require.Equal(t, cell.Up, n.Life, name)
		require.Zero(t, n.Restarts)
		if module != "" {
			require.Contains(t, n.Module, strings.TrimPrefix(module, "emqttd_ws"), name)
		}
	}
	sup, _ := node(tree, "client_sup/0")
	require.Equal(t, "simple_one_for_one", sup.Strategy)
	require.Len(t, sup.Children, 3)
	less, _ := node(b.Tree(1), "client_sup/0")
	require.Len(t, less.Children, 1)
	require.Equal(t, 2, less.More)
	c.leave()
	b.Stop()
	require.ErrorIs(t, b.Ready(), broker.ErrClosed)
}

// TestARestartIsSeenInTheTree: how often, why, and how long it took.
func TestARestartIsSeenInTheTree(t *testing.T) {
	b := brokertest.AllowCrashes(t)
	c := join(t, b, clean(packet.V5, "c"))
	off := hooked(t, &firstAttempts{name: "tcp:default/1/protocol"})
	c.fence()
	off()
	n, ok := node(b.Tree(10), "tcp:default/1/protocol")
	require.True(t, ok)
	require.Equal(t, cell.Up, n.Life)
	require.Equal(t, 1, n.Restarts)
	require.Equal(t, "first attempt", n.Reason)
	require.Equal(t, "cast.Received", n.Message)
	require.Contains(t, n.Stack, "poison_test.go")
	require.False(t, n.Poison)
	k := kindOf(b.Broker, "protocol")
	require.EqualValues(t, 1, k.By[cell.ByPanic].Load())
	require.EqualValues(t, 1, k.Recovery.Count())
	require.Positive(t, k.Recovery.Sum())
}

// breakage makes a service impossible to restart: its next message stops it.
type breakage struct {
	kind string
	on   atomic.Bool
	done bool
}

// At implements cell.Hook. The kind is changed where alone it is read.
func (h *breakage) At(c *cell.Cell, p cell.Phase, _ cell.Message) {
	if p != cell.Before || c.Kind().Name != h.kind || h.done {
		return
	}
	h.done = true
	k := c.Kind()
	sound := k.New
	k.New = func(c *cell.Cell) cell.Stage {
		if h.on.Load() {
			panic("no incarnation")
		}
		return sound(c)
	}
	c.Stop()
}

func TestTheBrokerIsNotReadyWhileAServiceCanNotBeRestarted(t *testing.T) {
	b := brokertest.AllowCrashes(t, "runtime.loops=1")
	eventually(t, "it is up", func() bool { return b.Ready() == nil })
	h := &breakage{kind: "sm"}
	h.on.Store(true)
	hooked(t, h)
	c := speak(t, open(t, b, "tcp"), packet.V5)
	c.send(clean(packet.V5, "c"))
	eventually(t, "the session manager is down", func() bool { return b.Ready() != nil })
	require.EqualError(t, b.Ready(), "broker: not up: sm/0")
	waiting := speak(t, open(t, b, "tcp"), packet.V5)
	waiting.send(clean(packet.V5, "waiting"))
	h.on.Store(false)
	for _, p := range []*peer{c, waiting} {
		require.Equal(t, packet.Success, want[*packet.Connack](p).Code, "nobody was turned away")
	}
	require.NoError(t, b.Ready())
}
