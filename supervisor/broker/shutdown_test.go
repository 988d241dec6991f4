// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
)

// lines is a log that may be read while it is written.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logged is a broker on loopback whose whole log is kept.
func logged(t *testing.T, e store.Engine, sets ...string) (*broker.Broker, *lines) {
	t.Helper()
	cfg, _, err := config.Load(config.Sources{Sets: append([]string{"listeners.tcp.default.bind=127.0.0.1:0", "dashboard.bind=",
		"listeners.ws.default.bind=127.0.0.1:0", "store.engine=memory"}, sets...)})
	require.NoError(t, err)
	log := new(lines)
	b, err := broker.StartWith(cfg, zerolog.New(log), e)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	return b, log
}

// TestTheTreeStopsInTheReverseOrderOfItsStart: nobody is stopped while somebody who
// needs it still runs.
func TestTheTreeStopsInTheReverseOrderOfItsStart(t *testing.T) {
	b, log := logged(t, nil, "runtime.loops=2")
	for range 4 {
		c, err := b.Dial(t.Context())
		require.NoError(t, err)
		mqtt, err := client.NewClient(client.Config{Dial: func(context.Context) (net.Conn, error) { return c, nil },
			Connect: packet.Connect{Version: packet.V5, CleanStart: true}})
		require.NoError(t, err)
		_, err = mqtt.Connect(t.Context())
		require.NoError(t, err)
	}
	eventually(t, "it is up", func() bool { return b.Ready() == nil })
	require.NoError(t, b.Shutdown(t.Context()))
	var order []string
	for _, m := range regexp.MustCompile(`"actor":"([^"]+)","supervisor":"[^"]+","message":"stopped"`).FindAllStringSubmatch(log.String(), -1) {
		name := m[1]
		switch {
		case strings.HasPrefix(name, "session/"):
			continue // some have ended with their connection
		case strings.HasPrefix(name, "local/"):
			name = "connections"
		}
		order = append(order, name)
	}
	require.Equal(t, strings.Fields("listener/ws:default listener/tcp:default esockd_sup connections client_sup/1 connections client_sup/0 "+
		"session_sup/1 session_sup/0 sys sm/0 sm_sup router/0 pubsub_sup retainer store"), slices.Compact(order))
	for _, l := range b.Loops() {
		require.Zero(t, l.Len())
	}
	for _, name := range []string{"store", "session_sup/1", "emqttd_sup"} {
		n, ok := node(b.Tree(0), name)
		require.True(t, ok)
		require.Equal(t, cell.Waiting, n.Life, name)
	}
}

// lagging is an engine that answers only when it is let.
type lagging struct {
	store.Engine
	mu   sync.Mutex
	held []func()
	free bool
}

// Write implements store.Engine.
func (l *lagging) Write(group []*store.Commit, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free {
		l.Engine.Write(group, done)
		return
	}
	l.held = append(l.held, func() { l.Engine.Write(group, done) })
}

func (l *lagging) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free = true
	for _, f := range l.held {
		f()
	}
	l.held = nil
}

// TestWhatIsOwedToTheStoreIsWrittenBeforeItStops: commits that wait while another is
// written are the engine's before it is closed.
func TestWhatIsOwedToTheStoreIsWrittenBeforeItStops(t *testing.T) {
	e := &lagging{Engine: memory.New()}
	b, _ := logged(t, e)
	for range 3 {
		b.Commit(&store.Commit{})
	}
	stopped := make(chan error, 1)
	go func() { stopped <- b.Shutdown(t.Context()) }()
	eventually(t, "the store is asked to stop", func() bool { return b.Stopping() == "emqttd_sup > store" })
	select {
	case err := <-stopped:
		require.Fail(t, "it did not wait", "%v", err)
	default:
	}
	e.release()
	require.NoError(t, <-stopped)
}

// TestAServiceThatDoesNotStopIsKilled: the stop goes on without it, and says so.
func TestAServiceThatDoesNotStopIsKilled(t *testing.T) {
	b, log := logged(t, &lagging{Engine: memory.New()}, "runtime.child_shutdown=50ms")
	b.Commit(&store.Commit{})
	err := b.Shutdown(t.Context())
	require.ErrorIs(t, err, broker.ErrKilled)
	require.EqualError(t, err, "broker: killed: store did not stop within runtime.child_shutdown")
	require.Contains(t, log.String(), `"actor":"store","supervisor":"emqttd_sup","mailbox":0,"shutdown":50,"message":"killed: it did not stop in its time"`)
}

// TestAClientThatDoesNotReadKeepsNobodyFromStopping: its connection is dropped when
// the time of all connections is over.
func TestAClientThatDoesNotReadKeepsNobodyFromStopping(t *testing.T) {
	b, log := logged(t, nil, "runtime.child_shutdown=100ms", "mqtt.write_timeout=1h")
	deaf, err := net.Dial("tcp", b.Addr("listeners.tcp.default").String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = deaf.Close() })
	require.NoError(t, deaf.(*net.TCPConn).SetReadBuffer(4096))
	d := speak(t, deaf, packet.V5)
	d.send(clean(packet.V5, "deaf"))
	want[*packet.Connack](d)
	d.subscribe(packet.QoS0, "t")
	eventually(t, "its buffers are full", func() bool {
		require.NoError(t, b.Publish(t.Context(), &client.Message{Topic: "t", Payload: make([]byte, 200_000)}))
		return b.Metrics().QueuedBytes.Load() > 0
	})
	begin := time.Now()
	require.NoError(t, b.Shutdown(t.Context()), "a client's own fault is no failure of the stop")
	require.Less(t, time.Since(begin), 5*time.Second)
	require.Regexp(t, `"actor":"tcp:default/\d+/\w+","supervisor":"client_sup/0",.*killed: it did not stop in its time`, log.String())
}

// TestTheTimeForAStopIsOver: what is waited for has a name.
func TestTheTimeForAStopIsOver(t *testing.T) {
	b, _ := logged(t, &lagging{Engine: memory.New()}, "runtime.child_shutdown=1h")
	b.Commit(&store.Commit{})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- b.Shutdown(ctx) }()
	eventually(t, "the store is asked to stop", func() bool { return b.Stopping() == "emqttd_sup > store" })
	cancel()
	require.EqualError(t, <-stopped, "broker: the time for shutdown is over, with 0 connections left: emqttd_sup > store has not stopped")
}

// TestClientsAreToldAlthoughActorsCrashDuringTheShutdown: a crash is repaired also
// while the tree stops.
func TestClientsAreToldAlthoughActorsCrashDuringTheShutdown(t *testing.T) {
	b := brokertest.AllowCrashes(t)
	c := join(t, b, clean(packet.V5, "c"))
	hooked(t, &firstAttempts{name: "tcp:default/1/protocol"})
	stopped := make(chan error, 1)
	go func() { stopped <- b.Shutdown(t.Context()) }()
	require.Equal(t, packet.ServerShuttingDown, want[*packet.Disconnect](c).Code)
	require.NoError(t, <-stopped)
}
