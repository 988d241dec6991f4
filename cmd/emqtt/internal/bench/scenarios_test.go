// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// small is every scenario with numbers that take a moment.
var small = []Config{
	{Scenario: "p2p", QoS: 0, Messages: 5000},
	{Scenario: "p2p", QoS: 1, Messages: 5000, Publishers: 3, Subscribers: 7},
	{Scenario: "p2p", QoS: 2, Messages: 2000, Publishers: 7, Subscribers: 3},
	{Scenario: "p2p", QoS: 0, Messages: 100, Size: 100_000},
	{Scenario: "p2p", QoS: 1, Warmup: 50 * time.Millisecond, Duration: 100 * time.Millisecond},
	{Scenario: "p2p", QoS: 0, Messages: 5000, Deaf: 2},
	{Scenario: "fanout", QoS: 1, Messages: 200, Subscribers: 50},
	{Scenario: "fanin", QoS: 1, Messages: 5000, Publishers: 20},
	{Scenario: "shared", QoS: 1, Messages: 5000},
	{Scenario: "route", QoS: 0, Messages: 2000, Filters: 2500},
	{Scenario: "latency", QoS: 1, Rate: 2000, Messages: 500},
	{Scenario: "idle", Connections: 50, Duration: 50 * time.Millisecond},
	{Scenario: "churn", Duration: 200 * time.Millisecond},
	{Scenario: "offline", QoS: 1, Messages: 3000},
	{Scenario: "offline", QoS: 2, Messages: 900, Subscribers: 3},
	{Scenario: "durable", QoS: 1, Messages: 1000, Publishers: 20},
	{Scenario: "durable", QoS: 2, Messages: 300, Publishers: 5, Window: 10},
	{Scenario: "retained", QoS: 1, Messages: 1500, Subscribers: 2},
}

func TestEveryScenarioIsCleanAgainstOurBroker(t *testing.T) {
	b := brokertest.Start(t)
	addresses := map[string]string{"tcp": "mqtt://" + b.TCP(), "websocket": b.WS()}
	for transport, url := range addresses {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			for _, c := range small {
				c.URL, c.Version, c.Limit, c.Patience = url, v, 2*time.Minute, time.Minute
				name := strings.Join([]string{transport, v.String(), c.Scenario, "QoS", string(rune('0' + c.QoS))}, " ")
				t.Run(name, func(t *testing.T) {
					if processCPUKnown() {
						c.PID = os.Getpid()
					}
					r, err := Run(t.Context(), c)
					for err == nil && r.Count == 0 && c.Messages == 0 && c.Duration < time.Minute {
						c.Duration *= 2 // a machine this busy needs longer to do anything
						r, err = Run(t.Context(), c)
					}
					require.NoError(t, err)
					require.True(t, r.OK, "%+v", r)
					require.Positive(t, r.Count)
					require.Equal(t, r.Tally.Expected, r.Tally.Delivered)
					require.GreaterOrEqual(t, r.Tally.Sent, c.Messages)
					if c.Messages > 0 {
						require.Equal(t, c.Messages, r.Tally.Sent)
					}
				})
			}
		}
	}
}

func processCPUKnown() bool {
	_, err := processCPU(os.Getpid())
	return err == nil
}

// TestDeafConnectionsReadNothing: more comes for them than buffers hold, so the
// broker has to drop, and nobody else misses anything.
func TestDeafConnectionsReadNothing(t *testing.T) {
	b := brokertest.Start(t)
	dropped := func() int64 { return b.Metrics().Dropped[metrics.DropQoS0Slow].Load() }
	for _, url := range []string{"mqtt://" + b.TCP(), b.WS()} {
		before := dropped()
		r, err := Run(t.Context(), Config{Scenario: "p2p", URL: url, Messages: 20_000, Size: 2048, Deaf: 2, Patience: time.Minute})
		require.NoError(t, err)
		require.True(t, r.OK, "%+v", r)
		require.Greater(t, dropped(), before)
	}
}

// A broker that stops for a moment is charged for every message that was due
// meanwhile, not for one: there is no way to hide behind a generator that waits.
func TestAPauseOfTheBrokerIsInTheLatencyOfAllThatWasDue(t *testing.T) {
	const pause, rate, messages = 200 * time.Millisecond, 1000, 600
	b := (&scripted{alter: func(n int, m *packet.Publish) []*packet.Publish {
		if n == 200 {
			<-time.After(pause) // the broker holds everything up
		}
		return []*packet.Publish{m}
	}}).start(t, nil)
	r, err := Run(t.Context(), Config{Scenario: "latency", URL: "mqtt://" + b.addr, Publishers: 1, Subscribers: 1, Rate: rate, Messages: messages, Patience: time.Minute})
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r.Tally)
	// A third of the messages fell into the pause; half of those waited for more
	// than half of it.
	require.GreaterOrEqual(t, r.Latency.Max, float64(pause.Microseconds())*0.9)
	require.GreaterOrEqual(t, r.Latency.P99, float64(pause.Microseconds())*0.5)
}

func TestARunEndsByItself(t *testing.T) {
	b := (&scripted{alter: func(int, *packet.Publish) []*packet.Publish { return nil }}).start(t, nil)
	begin := time.Now()
	_, err := Run(t.Context(), Config{Scenario: "p2p", URL: "mqtt://" + b.addr, Duration: time.Hour, Limit: 200 * time.Millisecond})
	require.ErrorIs(t, err, errSlow)
	require.Less(t, time.Since(begin), 30*time.Second)

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = Run(ctx, Config{Scenario: "p2p", URL: "mqtt://" + b.addr, Duration: time.Hour})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestTheRelayForwardsWholePacketsInOrder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the relay needs Linux")
	}
	ctx, cancel := context.WithCancel(t.Context())
	at, ended := make(chan netip.AddrPort, 1), make(chan error, 1)
	go func() { ended <- Relay(ctx, "127.0.0.1:0", time.Minute, func(a netip.AddrPort) { at <- a }) }()
	url := "mqtt://" + (<-at).String()
	for _, c := range []Config{
		{Scenario: "p2p", Messages: 20_000},
		{Scenario: "p2p", Messages: 300, Size: 300_000, Publishers: 3, Subscribers: 1},
		{Scenario: "fanout", Messages: 500, Subscribers: 20},
		{Scenario: "fanin", Messages: 20_000, QoS: 0},
		{Scenario: "latency", Messages: 200, Rate: 5000},
	} {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			c.URL, c.Version, c.Patience = url, v, time.Minute
			r, err := Run(t.Context(), c)
			require.NoError(t, err, c.Scenario)
			require.True(t, r.OK, "%+v", r)
		}
	}
	_, err := Run(t.Context(), Config{Scenario: "p2p", URL: url, QoS: 1, Messages: 10})
	require.Error(t, err, "the relay has no QoS 1")
	cancel()
	require.NoError(t, <-ended)
	require.ErrorContains(t, Relay(t.Context(), "0.0.0.0:0", time.Second, func(netip.AddrPort) {}), "loopback")
}

func TestTheJournalAcknowledgesWhatItHasSynced(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the journal needs Linux")
	}
	ctx, cancel := context.WithCancel(t.Context())
	at, ended, dir := make(chan netip.AddrPort, 1), make(chan error, 1), t.TempDir()
	go func() {
		ended <- Journal(ctx, dir, "127.0.0.1:0", time.Minute, func(a netip.AddrPort) { at <- a })
	}()
	url := "mqtt://" + (<-at).String()
	sum := 0
	for _, c := range []Config{
		{Scenario: "durable", Messages: 500, QoS: 1, Publishers: 20},
		{Scenario: "durable", Messages: 500, QoS: 1, Publishers: 1, Window: 50},
		{Scenario: "durable", Messages: 10, QoS: 1, Publishers: 2, Size: 300_000},
	} {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			c.URL, c.Version, c.Patience = url, v, time.Minute
			r, err := Run(t.Context(), c)
			require.NoError(t, err)
			require.True(t, r.OK, "%+v", r)
			require.EqualValues(t, c.Messages, r.Count, "a message counts when it is acknowledged")
			require.Positive(t, r.Latency.P50)
			sum += int(c.Messages) * r.Size
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := os.Stat(files[0])
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(sum), "all of it was written")
	_, err = Run(t.Context(), Config{Scenario: "durable", URL: url, QoS: 2, Messages: 10})
	require.Error(t, err, "it has no QoS 2")
	_, err = Run(t.Context(), Config{Scenario: "durable", URL: url, QoS: 0, Messages: 10})
	require.ErrorContains(t, err, "durable needs")
	cancel()
	require.NoError(t, <-ended)
	require.NoFileExists(t, files[0])
	require.ErrorContains(t, Journal(t.Context(), dir, "0.0.0.0:0", time.Second, nil), "loopback")
	require.Error(t, Journal(t.Context(), filepath.Join(dir, "none"), "127.0.0.1:0", time.Second, nil))
}

func TestNumbersThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []Config{
		{Scenario: "nothing"},
		{Scenario: "p2p", Size: 23},
		{Scenario: "p2p", Size: maxSize + 1},
		{Scenario: "p2p", Publishers: -1},
		{Scenario: "p2p", Publishers: maxTraffic + 1},
		{Scenario: "p2p", QoS: 3},
		{Scenario: "p2p", Window: 65_536},
		{Scenario: "p2p", Messages: -1},
		{Scenario: "p2p", Rate: -1},
		{Scenario: "p2p", Duration: -1},
		{Scenario: "p2p", Duration: 25 * time.Hour},
		{Scenario: "idle", Connections: maxConnections + 1},
	} {
		_, err := c.settle()
		require.Error(t, err, "%+v", c)
	}
	c := Config{Scenario: "p2p", Size: 24, Window: 65_535, QoS: -1}
	_, err := c.settle()
	require.NoError(t, err)
	require.Equal(t, 4, c.Publishers)
	require.Zero(t, c.QoS)
}

func TestPairsFanOutAndFanInAreOneRule(t *testing.T) {
	for _, tt := range []struct{ pubs, subs, topics, sum int }{
		{4, 4, 4, 4}, {1, 500, 1, 500}, {100, 1, 1, 100}, {3, 7, 3, 7}, {7, 3, 3, 7},
	} {
		r := &run{Config: &Config{Publishers: tt.pubs, Subscribers: tt.subs}}
		require.Equal(t, tt.topics, r.topics())
		sum := 0
		for i := range tt.pubs {
			n := 0
			for j := range tt.subs {
				if r.topicOf(j) == r.topicOf(i) {
					n++
				}
			}
			require.Equal(t, n, r.fanOf(i))
			require.Positive(t, n)
			sum += n
		}
		require.Equal(t, tt.sum, sum)
	}
}

func TestTheClassicCommandsCountWhatTheyDo(t *testing.T) {
	b := brokertest.Start(t)
	base := Classic{Count: 5, Topic: "bench/%i", Out: &bytes.Buffer{}}
	base.URL, base.Version, base.Window, base.Size = "mqtt://"+b.TCP(), packet.V311, 10, 256

	var heard bytes.Buffer
	sub := base
	sub.Kind, sub.Topic, sub.Count, sub.Messages, sub.Duration, sub.Out = "sub", "bench/#", 1, 50, 20*time.Second, &heard
	subscribed := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { subscribed <- RunClassic(ctx, sub) }()

	pub := base
	pub.Kind, pub.QoS, pub.Messages, pub.Interval, pub.Duration = "pub", 1, 0, time.Millisecond, 20*time.Second
	published := make(chan error, 1)
	go func() { published <- RunClassic(ctx, pub) }()
	require.NoError(t, <-subscribed, "ends after its 50 messages")
	require.Contains(t, heard.String(), "connected=1 failed=0 total=")
	require.Contains(t, heard.String(), "p50=")
	cancel()
	require.NoError(t, <-published)
	require.Contains(t, pub.Out.(*bytes.Buffer).String(), "connected=5 failed=0 total=")

	conn := base
	conn.Kind, conn.Keep, conn.Duration, conn.Out = "conn", time.Second, 100*time.Millisecond, &bytes.Buffer{}
	require.NoError(t, RunClassic(t.Context(), conn))
	require.Contains(t, conn.Out.(*bytes.Buffer).String(), "conn connected=5 failed=0")

	for name, break_ := range map[string]func(*Classic){
		"no client":       func(c *Classic) { c.Count = 0 },
		"no topic":        func(c *Classic) { c.Topic = "" },
		"a negative time": func(c *Classic) { c.Every = -1 },
		"QoS 3":           func(c *Classic) { c.QoS = 3 },
		"no window":       func(c *Classic) { c.Window = 0 },
	} {
		c := base
		c.Kind = "pub"
		break_(&c)
		require.Error(t, RunClassic(t.Context(), c), name)
	}
}
