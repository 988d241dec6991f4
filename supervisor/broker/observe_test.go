// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/listeners/openmetrics"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// scrape is the answer of /metrics in the format that accept asks for.
func scrape(t *testing.T, b *brokertest.Broker, accept string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", accept)
	openmetrics.Handler(openmetrics.NewGatherer(b.Sources())).ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	return w
}

func TestMetrics(t *testing.T) {
	b := brokertest.Start(t)
	c := join(t, b, clean(packet.V311, "a"))
	c.subscribe(packet.QoS0, "t")
	c.publish(packet.QoS0, 0, "t", "x")
	c.hears("t", "x")
	c.publish(packet.QoS1, 3, "nobody/listens", "x")

	t.Run("every line is well formed and well named", func(t *testing.T) {
		text := scrape(t, b, "text/plain").Body.String()
		problems, err := promlint.New(strings.NewReader(text)).Lint()
		require.NoError(t, err)
		require.Empty(t, problems)
		require.True(t, strings.HasSuffix(scrape(t, b, "application/openmetrics-text; version=1.0.0").Body.String(), "# EOF\n"))
	})
	t.Run("what happened is counted where it belongs", func(t *testing.T) {
		var parser expfmt.TextParser
		families, err := parser.TextToMetricFamilies(scrape(t, b, "text/plain").Body)
		require.NoError(t, err)
		value := func(name string, labels ...string) int {
			f := families[name]
			require.NotNil(t, f, name)
		next:
			for _, m := range f.Metric {
				for i := 0; i < len(labels); i += 2 {
					found := false
					for _, l := range m.Label {
						found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
					}
					if !found {
						continue next
					}
				}
				return int(m.GetCounter().GetValue()+m.GetGauge().GetValue()) + int(m.GetHistogram().GetSampleCount())
			}
			require.Fail(t, "no such series", "%s %v", name, labels)
			return 0
		}
		require.Equal(t, 2, value("emqttd_packets_total", "direction", "in", "type", "publish"))
		require.Equal(t, 1, value("emqttd_packets_total", "direction", "out", "type", "publish"))
		require.Equal(t, 1, value("emqttd_messages_total", "direction", "in", "qos", "1"))
		require.Equal(t, 1, value("emqttd_messages_total", "direction", "out", "qos", "0"))
		require.Equal(t, 1, value("emqttd_messages_dropped_total", "reason", "no_subscriber"))
		require.Equal(t, 0, value("emqttd_messages_dropped_total", "reason", "queue_full"))
		require.Equal(t, 1, value("emqttd_clients_connected"))
		require.Equal(t, 1, value("emqttd_subscriptions"))
		require.Equal(t, 1, value("emqttd_actors", "kind", "protocol"))
		require.Equal(t, 0, value("emqttd_actor_restarts_total", "kind", "session", "reason", "panic"))
		require.Equal(t, 0, value("emqttd_actor_recovery_seconds", "kind", "session"))
		require.Equal(t, 0, value("emqttd_poison_messages_total", "kind", "session"))
		require.Equal(t, 0, value("emqttd_mailbox_messages", "actor", "store"))
		require.Equal(t, 1, value("emqttd_listener_connections", "listener", "tcp:default"))
		require.Positive(t, value("emqttd_received_bytes_total"))
		require.Positive(t, value("emqttd_loop_turn_seconds"))
		require.GreaterOrEqual(t, value("emqttd_connection_memory_bytes"), 0, "a collection may have left less than there was at the start")
		require.Positive(t, value("go_goroutines"))
	})
	t.Run("what a client chooses is no label", func(t *testing.T) {
		join(t, b, clean(packet.V311, "zzz")).subscribe(packet.QoS0, "zzz/#")
		require.NotContains(t, scrape(t, b, "text/plain").Body.String(), "zzz")
	})
}

// atFirstDispatch crashes a session at the first message that comes to it.
type atFirstDispatch struct{ done bool }

// At implements cell.Hook.
func (h *atFirstDispatch) At(_ *cell.Cell, p cell.Phase, m cell.Message) {
	if _, ok := m.(*cast.Dispatch); ok && p == cell.Decide && !h.done {
		h.done = true
		panic("once")
	}
}

// TestRecoveryIsMeasured: what a crash costs is counted by kind and cause.
func TestRecoveryIsMeasured(t *testing.T) {
	b := brokertest.AllowCrashes(t)
	c := join(t, b, clean(packet.V5, "a"))
	c.subscribe(packet.QoS1, "t")
	hooked(t, &atFirstDispatch{})
	c.publish(packet.QoS1, 1, "t", "x")
	c.hears("t", "x")
	text := scrape(t, b, "text/plain").Body.String()
	require.Contains(t, text, `emqttd_actor_restarts_total{kind="session",reason="panic"} 1`)
	require.Contains(t, text, `emqttd_actor_restarts_total{kind="session",reason="stop"} 0`)
	require.Contains(t, text, `emqttd_actor_recovery_seconds_count{kind="session"} 1`)
	require.Contains(t, text, `emqttd_actor_recovery_seconds_bucket{kind="session",le="+Inf"} 1`)
	require.Contains(t, text, `emqttd_actor_recovery_seconds_bucket{kind="session",le="33.554432"} 1`)
	require.Contains(t, text, `emqttd_poison_messages_total{kind="session"} 0`)
}

// TestDeliveryIsMeasured lets a broker deliver until the sample has some of it:
// one turn in sixteen.
func TestDeliveryIsMeasured(t *testing.T) {
	b := brokertest.Start(t)
	c := join(t, b, clean(packet.V311, "a"))
	c.subscribe(packet.QoS0, "t")
	delivered := uint64(0)
	eventually(t, "some deliveries are measured", func() bool {
		c.publish(packet.QoS0, 0, "t", "x")
		c.hears("t", "x")
		delivered++
		return b.Metrics().Delivery.Distribution().Count >= 3
	})
	d := b.Metrics().Delivery.Distribution()
	require.Less(t, d.Count, delivered, "not each of them")
	require.Positive(t, d.Sum)
}
