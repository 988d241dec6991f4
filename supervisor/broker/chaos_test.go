// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
	"emqttd/listeners/crashlab"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// lab asks the crash lab's routes of a broker, as an administrator.
type lab struct {
	t testing.TB
	b *brokertest.Broker
}

// do sends body, if it is not nil, and decodes an answer of the status into out.
func (l lab) do(status int, out any, method, path string, body any) {
	l.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		require.NoError(l.t, err)
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(l.t.Context(), method, "http://"+l.b.Addr("dashboard").String()+"/api/v1/chaos"+path, in)
	require.NoError(l.t, err)
	r.SetBasicAuth("admin", "public")
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	require.NoError(l.t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, answer.Body.Close())
	require.Equal(l.t, status, answer.StatusCode, string(text))
	if out != nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		require.NoError(l.t, d.Decode(out), string(text))
	}
}

// ended waits for the end of the newest run.
func (l lab) ended() crashlab.Run {
	l.t.Helper()
	var runs []crashlab.Run
	require.Eventually(l.t, func() bool {
		l.do(200, &runs, "GET", "/runs", nil)
		return len(runs) > 0 && runs[0].State != "running"
	}, time.Minute, 20*time.Millisecond)
	return runs[0]
}

func openLab(t testing.TB, sets ...string) lab {
	return lab{t, brokertest.AllowCrashes(t, append([]string{"dashboard.bind=127.0.0.1:0", "chaos.enabled=true", "runtime.actor_max_crashes=1000000"}, sets...)...)}
}

func TestCrashLab(t *testing.T) {
	t.Run("it is closed unless the configuration opens it, and everybody may see that", func(t *testing.T) {
		l := lab{t, brokertest.Start(t, "dashboard.bind=127.0.0.1:0")}
		var s crashlab.State
		l.do(200, &s, "GET", "", nil)
		require.False(t, s.Enabled)
		var p api.Problem
		l.do(403, &p, "POST", "/faults", crashlab.NewFault{Fault: "at=ws_client/* do=panic"})
		require.Contains(t, p.Detail, "chaos.enabled: true")
		l.do(403, nil, "POST", "/runs", crashlab.NewRun{Experiment: "07"})
	})

	t.Run("a fault hits, is counted, and its client stays", func(t *testing.T) {
		l := openLab(t, `chaos.faults=["at=sys/nothing do=panic"]`)
		var f crashlab.Fault
		l.do(201, &f, "POST", "/faults", crashlab.NewFault{Fault: "at=ws_client/* do=panic hits=3"})
		c := join(t, l.b, clean(packet.V311, "one"))
		for range 5 {
			c.send(&packet.Pingreq{})
			want[*packet.Pingresp](c)
		}
		var s crashlab.State
		l.do(200, &s, "GET", "", nil)
		require.Len(t, s.Faults, 2, "the configuration's, too")
		require.EqualValues(t, 3, s.Faults[1].Hits)
		require.Len(t, s.Hits, 3)
		require.Equal(t, "ws_client", s.Hits[0].Kind)
		require.Equal(t, "panic", s.Hits[0].Do)
		l.do(204, nil, "DELETE", "/faults/"+jsonText(t, f.ID), nil)
		l.do(404, nil, "DELETE", "/faults/"+jsonText(t, f.ID), nil)
		l.do(204, nil, "DELETE", "/faults", nil)
		l.do(200, &s, "GET", "", nil)
		require.Empty(t, s.Faults)
	})

	t.Run("a fault that means nothing is refused with a sentence", func(t *testing.T) {
		l := openLab(t)
		var p api.Problem
		for _, line := range []string{"", "at=ws_client", "at=ws_client/* do=dance", "nonsense"} {
			l.do(422, &p, "POST", "/faults", crashlab.NewFault{Fault: line})
			require.NotEmpty(t, p.Detail)
		}
	})

	t.Run("an experiment is run, judged, and leaves nothing armed", func(t *testing.T) {
		l := openLab(t)
		var all []crashlab.Experiment
		l.do(200, &all, "GET", "/experiments", nil)
		require.Greater(t, len(all), 30)
		var r crashlab.Run
		l.do(201, &r, "POST", "/runs", crashlab.NewRun{Experiment: "cookbook/07"})
		require.Equal(t, "running", r.State)
		r = l.ended()
		require.Equal(t, "passed", r.State, "%+v", r)
		require.Equal(t, "07", r.Experiment)
		require.Positive(t, r.Published)
		var s crashlab.State
		l.do(200, &s, "GET", "", nil)
		require.Empty(t, s.Faults)
		l.do(404, nil, "POST", "/runs", crashlab.NewRun{Experiment: "99"})
	})

	t.Run("one experiment runs at a time, and can be stopped", func(t *testing.T) {
		l := openLab(t)
		var r crashlab.Run
		l.do(201, &r, "POST", "/runs", crashlab.NewRun{Experiment: "04"})
		l.do(409, nil, "POST", "/runs", crashlab.NewRun{Experiment: "05"})
		l.do(204, nil, "DELETE", "/runs/"+jsonText(t, r.ID), nil)
		require.Equal(t, "stopped", l.ended().State)
	})
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// Found by an experiment that was played over Dial: no rules were asked about the
// will.
func TestAConnectionInsideTheProcessMayHaveAWill(t *testing.T) {
	b := brokertest.Start(t)
	nc, err := b.Dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	c := clean(packet.V5, "inside")
	c.Will = &packet.Will{Topic: "gone", Payload: []byte("inside")}
	watcher := join(t, b, clean(packet.V311, "watcher"))
	watcher.subscribe(packet.QoS0, "gone")
	p := enter(t, nc, c)
	require.NoError(t, p.Close())
	require.Equal(t, "inside", string(watcher.message().Payload))
}
