// SPDX-License-Identifier: Apache-2.0

package sim_test

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/broker/sim"
)

// TestSim runs seeds: EMQTTD_SIM_SEEDS of them, from EMQTTD_SIM_FROM on, each with
// EMQTTD_SIM_EVENTS steps; without these a few short ones.
func TestSim(t *testing.T) {
	from, seeds := number(t, "EMQTTD_SIM_FROM", 1), number(t, "EMQTTD_SIM_SEEDS", 20)
	acts, hits, kills := 0, 0, 0
	for seed := from; seed < from+seeds; seed++ {
		r := sim.Run(sim.Options{Seed: seed, Events: int(number(t, "EMQTTD_SIM_EVENTS", 0))})
		if !r.Pass() {
			var out strings.Builder
			require.NoError(t, r.Write(&out))
			t.Error(out.String())
		}
		acts, hits, kills = acts+r.Acts, hits+r.Hits, kills+r.Kills
	}
	t.Logf("seeds %d to %d: %d acts, %d crashes, %d kills of the broker", from, from+seeds-1, acts, hits, kills)
	if seeds >= 20 {
		require.Positive(t, hits)
		require.Positive(t, kills)
	}
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

func TestTheSameSeedIsTheSameRun(t *testing.T) {
	traces := map[uint64]uint64{}
	for seed := range uint64(12) {
		first, again := sim.Run(sim.Options{Seed: seed}), sim.Run(sim.Options{Seed: seed})
		require.Equal(t, first, again, "seed %d", seed)
		require.NotContains(t, traces, first.Trace, "another seed is another run")
		traces[first.Trace] = seed
		require.Positive(t, first.Published)
	}
}

func TestALongerRunGoesOn(t *testing.T) {
	short, long := sim.Run(sim.Options{Seed: 2}), sim.Run(sim.Options{Seed: 2, Events: 400})
	require.True(t, long.Pass())
	require.Greater(t, long.Acts, short.Acts)
}

func TestASimulationLeavesNothingBehind(t *testing.T) {
	sim.Run(sim.Options{Seed: 1})
	before := runtime.NumGoroutine()
	for seed := range uint64(10) {
		sim.Run(sim.Options{Seed: seed})
	}
	// One that a Goexit ended may still be on its way out; and Eventually has one.
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, time.Millisecond)
}

func TestAFailureSaysHowToReplayIt(t *testing.T) {
	r := sim.Result{Complaints: []string{"unexpected message"}, Events: 400}
	r.Seed = 7
	var out strings.Builder
	require.NoError(t, r.Write(&out))
	require.Contains(t, out.String(), "replay: emqttd_ctl sim --seed 7 --events 400\n    or: EMQTTD_SIM_FROM=7 EMQTTD_SIM_SEEDS=1 EMQTTD_SIM_EVENTS=400 go test -run TestSim ./supervisor/broker/sim\n")
	require.False(t, r.Pass())
}
