// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/alarm"
	"emqttd/actors/metrics"
	"emqttd/actors/trace"
	"emqttd/listeners/observe"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// watched is a broker with a dashboard, an administrator and a viewer.
func watched(t *testing.T, sets ...string) *brokertest.Broker {
	return brokertest.Start(t, append([]string{"dashboard.bind=127.0.0.1:0", "dashboard.administrators.root=toor toor",
		"dashboard.viewers.guest=guest guest"}, sets...)...)
}

// rest asks the API of b and expects a status; the answer is read into out.
func rest(t *testing.T, b *brokertest.Broker, user, method, path, body string, status int, out any) {
	t.Helper()
	res := ask(t, b, user, method, path, body)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, status, res.StatusCode, "%s %s: %s", method, path, text)
	if out != nil {
		require.NoError(t, json.Unmarshal(text, out), "%s", text)
	}
}

func ask(t *testing.T, b *brokertest.Broker, user, method, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.Addr("dashboard").String()+"/api/v1"+path, strings.NewReader(body))
	require.NoError(t, err)
	r.SetBasicAuth(user, map[string]string{"root": "toor toor", "guest": "guest guest"}[user])
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestTracesOverREST(t *testing.T) {
	b := watched(t)
	rest(t, b, "guest", "POST", "/traces", `{"by":"client","value":"a"}`, http.StatusForbidden, nil)
	rest(t, b, "root", "POST", "/traces", `{"by":"client"}`, http.StatusBadRequest, nil)
	rest(t, b, "root", "POST", "/traces", `{"by":"topic","value":"#/x"}`, http.StatusBadRequest, nil)
	rest(t, b, "root", "POST", "/traces", `{"by":"client","value":"a","duration_seconds":-1}`, http.StatusBadRequest, nil)
	var tr trace.Status
	rest(t, b, "root", "POST", "/traces", `{"by":"client","value":"a","duration_seconds":60}`, http.StatusCreated, &tr)
	require.True(t, tr.Running)
	var list struct{ Items []trace.Status }
	rest(t, b, "guest", "GET", "/traces", "", http.StatusOK, &list)
	require.Len(t, list.Items, 1)

	stream := ask(t, b, "guest", "GET", "/traces/1/stream", "")
	require.Equal(t, http.StatusOK, stream.StatusCode)
	p := join(t, b, clean(packet.V311, "a"))
	p.publish(packet.QoS1, 1, "room", "x")
	lines := bufio.NewScanner(stream.Body)
	var seen []string
	for len(seen) == 0 || seen[len(seen)-1] != "sent PUBACK" {
		require.True(t, lines.Scan(), "%v", seen)
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var e trace.Event
			require.NoError(t, json.Unmarshal([]byte(text), &e))
			seen = append(seen, strings.TrimSpace(string(e.Step)+" "+e.Packet))
		}
	}
	require.Contains(t, seen, "dropped PUBLISH")

	var events observe.Events
	rest(t, b, "guest", "GET", "/traces/1/events?after=2&limit=3", "", http.StatusOK, &events)
	require.Len(t, events.Items, 3)
	require.EqualValues(t, 3, events.Items[0].Seq)
	require.False(t, events.Ended)
	rest(t, b, "guest", "GET", "/traces/1/events?limit=0", "", http.StatusBadRequest, nil)
	rest(t, b, "guest", "GET", "/traces/1/events?after=x", "", http.StatusBadRequest, nil)
	rest(t, b, "guest", "GET", "/traces/2", "", http.StatusNotFound, nil)
	rest(t, b, "guest", "POST", "/traces/1/stop", "", http.StatusForbidden, nil)
	rest(t, b, "root", "POST", "/traces/1/stop", "", http.StatusOK, &tr)
	require.False(t, tr.Running)
	text, err := io.ReadAll(stream.Body)
	require.NoError(t, err, "the stream ends with the trace")
	require.Contains(t, string(text), "event: ended")
}

func TestAForgottenTraceIsGone(t *testing.T) {
	b := watched(t)
	rest(t, b, "root", "POST", "/traces", `{"by":"ip","value":"10.0.0.0/8"}`, http.StatusCreated, nil)
	rest(t, b, "root", "DELETE", "/traces/1", "", http.StatusNoContent, nil)
	rest(t, b, "guest", "GET", "/traces/1", "", http.StatusNotFound, nil)
	require.False(t, b.Trace().On())
}

func TestAlarmsOverREST(t *testing.T) {
	b := watched(t)
	alerts := make(chan string, 1)
	listener := join(t, b, clean(packet.V311, "ops"))
	listener.subscribe(packet.QoS0, "$SYS/brokers/+/alarms/#")
	stream := ask(t, b, "guest", "GET", "/events?types=alarm", "")
	go func() {
		for s := bufio.NewScanner(stream.Body); s.Scan(); {
			if text, ok := strings.CutPrefix(s.Text(), "event: "); ok {
				alerts <- text
				return
			}
		}
	}()
	eventually(t, "the stream is open", func() bool { // an event that comes before is not for it
		b.Alarms().Clear("test", time.Now())
		b.Alarms().Raise(alarm.Alarm{ID: "test", Severity: alarm.Error, Title: "a test", Summary: "of alarms", RaisedAt: time.Now()})
		select {
		case kind := <-alerts:
			require.Contains(t, kind, "alarm.")
			return true
		default:
			return false
		}
	})
	require.Contains(t, string(want[*packet.Publish](listener).Topic), "/alarms/test/alert")
	var list struct{ Items []alarm.Alarm }
	rest(t, b, "guest", "GET", "/alarms", "", http.StatusOK, &list)
	require.Len(t, list.Items, 1)
	require.Equal(t, "of alarms", list.Items[0].Summary)
	require.Contains(t, scrape(t, b, "text/plain").Body.String(), `emqttd_alarms{severity="error"} 1`)
	rest(t, b, "guest", "DELETE", "/alarms/test", "", http.StatusForbidden, nil)
	rest(t, b, "root", "DELETE", "/alarms/test", "", http.StatusNoContent, nil)
	rest(t, b, "root", "DELETE", "/alarms/test", "", http.StatusNotFound, nil)
	rest(t, b, "guest", "GET", "/alarms/history", "", http.StatusOK, &list)
	require.NotEmpty(t, list.Items)
	rest(t, b, "root", "DELETE", "/alarms/history", "", http.StatusNoContent, nil)
	rest(t, b, "guest", "GET", "/alarms/history", "", http.StatusOK, &list)
	require.Empty(t, list.Items)
}

func TestTopicMetricsOverREST(t *testing.T) {
	b := watched(t, "topic_metrics.max_topics=1")
	rest(t, b, "root", "POST", "/topic_metrics", `{"topic":"room/#"}`, http.StatusBadRequest, nil)
	rest(t, b, "root", "POST", "/topic_metrics", `{"topic":"room/4"}`, http.StatusCreated, nil)
	rest(t, b, "root", "POST", "/topic_metrics", `{"topic":"room/4"}`, http.StatusConflict, nil)
	rest(t, b, "root", "POST", "/topic_metrics", `{"topic":"room/5"}`, http.StatusConflict, nil)
	p := join(t, b, clean(packet.V311, "p"))
	p.publish(packet.QoS1, 1, "room/4", "nobody listens")
	s := join(t, b, clean(packet.V311, "s"))
	s.subscribe(packet.QoS0, "room/#")
	p.send(pub(packet.QoS1, 2, "room/4", "x"), pub(packet.QoS1, 3, "room/4", "y"), pub(packet.QoS1, 4, "room/5", "z"))
	s.hears("room/4", "x")
	s.hears("room/4", "y")
	s.hears("room/5", "z")
	var list struct{ Items []observe.TopicMetrics }
	rest(t, b, "guest", "GET", "/topic_metrics", "", http.StatusOK, &list)
	require.Len(t, list.Items, 1)
	require.Equal(t, [3]int64{0, 3, 0}, list.Items[0].Received)
	require.Equal(t, [3]int64{2, 0, 0}, list.Items[0].Sent)
	require.EqualValues(t, 1, list.Items[0].Dropped)
	rest(t, b, "root", "DELETE", "/topic_metrics?topic=room/4", "", http.StatusNoContent, nil)
	rest(t, b, "root", "DELETE", "/topic_metrics?topic=room/4", "", http.StatusNotFound, nil)
}

// TestASubscriberThatDoesNotAcknowledgeIsSlow lets a client take one message at
// a time and wait with its acknowledgement.
func TestASubscriberThatDoesNotAcknowledgeIsSlow(t *testing.T) {
	b := watched(t, "slow_subscribers.threshold=1ms", "session.max_inflight=1")
	s := join(t, b, clean(packet.V311, "s"))
	s.subscribe(packet.QoS1, "t")
	p := join(t, b, clean(packet.V311, "p"))
	p.publish(packet.QoS1, 1, "t", "1")
	first := want[*packet.Publish](s)
	p.publish(packet.QoS1, 2, "t", "2")
	sent := time.Now()
	eventually(t, "time goes by", func() bool { return time.Since(sent) > 2*time.Millisecond })
	s.send(&packet.Ack{Kind: packet.PUBACK, ID: first.ID})
	s.hears("t", "2")
	var list struct{ Items []metrics.SlowEntry }
	rest(t, b, "guest", "GET", "/slow_subscribers", "", http.StatusOK, &list)
	require.Len(t, list.Items, 1)
	require.Equal(t, "s t", list.Items[0].ClientID+" "+list.Items[0].Topic)
	require.Greater(t, list.Items[0].Seconds, 0.001)
	rest(t, b, "root", "DELETE", "/slow_subscribers", "", http.StatusNoContent, nil)
	require.Empty(t, b.SlowSubscribers())
}
