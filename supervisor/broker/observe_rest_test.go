// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

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
