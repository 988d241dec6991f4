// SPDX-License-Identifier: Apache-2.0

// Package brokertest starts brokers on loopback, port 0, for tests of this
// module and of its users.
package brokertest

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
)

func init() { message.Scribble = true }

// Broker is a running broker with the addresses it was given.
type Broker struct {
	*broker.Broker
	t testing.TB
}

// Start starts a broker that the test's end stops. Each set is a key and value as
// for --set, such as "mqtt.max_qos=1"; tcp.default and ws.default listen on free
// ports, and state is kept in memory. An "unexpected message" or "actor crashed" in the log fails the test
// unless it asks for AllowCrashes. EMQTTD_ENGINE in the environment is the
// runtime.engine of tests that ask for none.
func Start(t testing.TB, sets ...string) *Broker {
	t.Helper()
	return start(t, &watch{t: t}, nil, sets)
}

// On is Start with a store engine of the caller's, such as one that outlives the
// broker as a disk does.
func On(t testing.TB, e store.Engine, sets ...string) *Broker {
	t.Helper()
	return start(t, &watch{t: t}, e, sets)
}

// AllowCrashes is Start for tests that crash actors on purpose.
func AllowCrashes(t testing.TB, sets ...string) *Broker {
	t.Helper()
	return AllowCrashesOn(t, nil, sets...)
}

// AllowCrashesOn is On for tests that crash actors on purpose.
func AllowCrashesOn(t testing.TB, e store.Engine, sets ...string) *Broker {
	t.Helper()
	return start(t, &watch{t: t, crashes: true}, e, sets)
}

func start(t testing.TB, w *watch, e store.Engine, sets []string) *Broker {
	t.Helper()
	base := []string{"listeners.tcp.default.bind=127.0.0.1:0", "dashboard.bind=", "listeners.ws.default.bind=127.0.0.1:0", "store.engine=memory"}
	if engine := os.Getenv("EMQTTD_ENGINE"); engine != "" {
		base = append(base, "runtime.engine="+engine)
	}
	cfg, _, err := config.Load(config.Sources{Sets: append(base, sets...)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.StartWith(cfg, zerolog.New(w).Level(zerolog.InfoLevel), e)
	if err != nil {
		t.Fatal(err)
	}
	out := &Broker{b, t}
	t.Cleanup(out.Stop)
	return out
}

// Stop stops the broker in order, at most once.
func (b *Broker) Stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.Shutdown(ctx); err != nil {
		b.t.Errorf("shutdown: %v", err)
	}
}

// TCP is the address of the default TCP listener.
func (b *Broker) TCP() string { return b.Addr("listeners.tcp.default").String() }

// WS is the URL of the default WebSocket listener.
func (b *Broker) WS() string { return "ws://" + b.Addr("listeners.ws.default").String() + "/mqtt" }

// Conn opens a TCP connection to the broker that the test's end closes.
func (b *Broker) Conn() net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp", b.TCP())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// watch is the log: it fails the test for lines that must not appear.
type watch struct {
	t       testing.TB
	crashes bool
}

// Write implements io.Writer.
func (w *watch) Write(line []byte) (int, error) {
	s := string(line)
	if strings.Contains(s, "unexpected message") || !w.crashes && strings.Contains(s, "actor crashed") {
		w.t.Errorf("log: %s", s)
	}
	return len(line), nil
}
