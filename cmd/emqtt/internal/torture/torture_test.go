// SPDX-License-Identifier: Apache-2.0

package torture

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// killRounds says how many kills TestAKilledBroker... takes; 12 by default.
const killRounds = "EMQTTD_KILL_ROUNDS"

func TestMain(m *testing.M) { brokertest.Main(m) }

// target is a run against the broker of this module.
func target(t *testing.T, sets ...string) Options {
	t.Helper()
	address := brokertest.Address(t)
	sets = append([]string{"listeners.tcp.default.bind=" + address, "listeners.ws.default.bind=", "dashboard.bind=",
		"node.data_dir=" + t.TempDir(), "session.will_restart_grace=50ms"}, sets...)
	t.Setenv(brokertest.ProcessEnv(sets...))
	return Options{Start: fmt.Sprintf("'%s' -test.run=^$", os.Args[0]), Address: address, Log: os.Stderr, Progress: func(s string) { t.Log(s) }}
}

func verdict(t *testing.T, r *Report) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, r.Write(&out))
	return out.String()
}

func TestAKilledBrokerHasWhatItHasAcknowledged(t *testing.T) {
	o := target(t)
	o.Rounds, o.Messages = 12, 400
	if n := os.Getenv(killRounds); n != "" {
		var err error
		o.Rounds, err = strconv.Atoi(n)
		require.NoError(t, err)
	}
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	t.Log(verdict(t, r))
	require.True(t, r.Pass(), verdict(t, r))
	require.Zero(t, r.WillsMissing)
	require.Greater(t, r.QoS[2].Deliveries, o.Rounds*o.Messages, "the run was about nothing")
}

func TestABrokerWithoutADiskIsFoundOut(t *testing.T) {
	o := target(t, "store.engine=memory")
	o.Rounds, o.Messages, o.Seed = 1, 200, 3
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.False(t, r.Pass())
	require.Positive(t, r.LostSessions)
	require.Contains(t, verdict(t, r), "FAIL")
}

func TestABrokerThatDoesNotComeUpIsAnError(t *testing.T) {
	for name, command := range map[string]string{"ends": "false", "does not listen": "sleep 60"} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), Options{Start: command, Address: "127.0.0.1:1", Patience: 50 * time.Millisecond})
			require.Error(t, err)
		})
	}
}

func TestTheTallyTellsWhatIsWrong(t *testing.T) {
	hear := func(tl *tally, name string, seq uint32, qos packet.QoS) {
		p := &publisher{r: &run{}, seq: seq}
		tl.received(name, &client.Message{Topic: "x/m/0", QoS: qos, Payload: p.payload()})
	}
	for _, tt := range []struct {
		name string
		play func(tl *tally)
		want Report
		pass bool
	}{
		{"everything came", func(tl *tally) { hear(tl, "s", 1, 1); hear(tl, "s", 2, 2) },
			Report{QoS: [3]Line{1: {1, 1, 0, 0, 0}, 2: {1, 1, 0, 0, 0}}}, true},
		{"QoS 1 came twice", func(tl *tally) { hear(tl, "s", 1, 1); hear(tl, "s", 2, 2); hear(tl, "s", 1, 1) },
			Report{QoS: [3]Line{1: {1, 1, 0, 1, 0}, 2: {1, 1, 0, 0, 0}}}, true},
		{"QoS 2 came twice", func(tl *tally) { hear(tl, "s", 1, 1); hear(tl, "s", 2, 2); hear(tl, "s", 2, 2) },
			Report{QoS: [3]Line{1: {1, 1, 0, 0, 0}, 2: {1, 1, 0, 1, 0}}}, false},
		{"one of two subscribers has less", func(tl *tally) { hear(tl, "s", 1, 1); hear(tl, "s", 2, 2); hear(tl, "u", 2, 2) },
			Report{QoS: [3]Line{1: {1, 1, 1, 0, 0}, 2: {1, 2, 0, 0, 0}}}, false},
		{"out of order", func(tl *tally) { hear(tl, "s", 1, 1); hear(tl, "s", 4, 2); hear(tl, "s", 2, 2) },
			Report{QoS: [3]Line{1: {1, 1, 0, 0, 0}, 2: {1, 2, 0, 0, 1}}}, false},
		{"a retained message is gone, another old", func(tl *tally) {
			hear(tl, "s", 1, 1)
			hear(tl, "s", 2, 2)
			tl.acked("a", key{0, 8, 1}, true)
			tl.acked("b", key{0, 9, 1}, true)
			tl.keeps(tl.retained(), map[string]uint32{"b": 8})
		}, Report{QoS: [3]Line{1: {1, 1, 0, 0, 0}, 2: {1, 1, 0, 0, 0}}, LostRetained: 2}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tl := newTally()
			tl.acked("t", key{0, 1, 1}, false)
			tl.acked("t", key{0, 2, 2}, false)
			tt.play(tl)
			r := tl.report()
			require.Equal(t, tt.want, *r)
			require.Equal(t, tt.pass, r.Pass())
		})
	}
}
