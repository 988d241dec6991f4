// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAQuantileIsOfWhatCameSince(t *testing.T) {
	h := &metrics.Float64Histogram{Buckets: []float64{0, 1, 2, 4}, Counts: []uint64{10, 5, 1}}
	require.Zero(t, quantile(h, nil, 1), "the first look has nothing to compare with")
	require.Zero(t, quantile(h, []uint64{10, 5, 1}, 1), "nothing came")
	require.InDelta(t, 4, quantile(h, []uint64{10, 5, 0}, 1), 1e-9)
	require.InDelta(t, 1, quantile(h, []uint64{0, 4, 0}, 0.5), 1e-9, "10 of 12 are in the first")
	require.InDelta(t, 4, quantile(h, []uint64{0, 4, 0}, 0.99), 1e-9)
}

func TestThePausesOfTheCollectorAreSeen(t *testing.T) {
	look := overInterval("/sched/pauses/total/gc:seconds", 1, "longest pause")
	_, _, before := look(nil)
	runtime.GC()
	value, summary, _ := look(before)
	require.Positive(t, value)
	require.Less(t, value, 10.0)
	require.Contains(t, summary, "longest pause: ")
	_, _, none := overInterval("/no/such:metric", 1, "x")(nil)
	require.Nil(t, none)
}

func TestMemoryHasAShareWhereItHasALimit(t *testing.T) {
	value, _, _ := memoryShare(nil)
	require.GreaterOrEqual(t, value, 0.0)
}

// TestMarksComeFromTheSettings holds each probe to a mark of its own.
func TestMarksComeFromTheSettings(t *testing.T) {
	m := Monitor{GCPause: time.Second, Schedule: 2 * time.Second, Mailbox: 3, MemoryPercent: 4}
	got := map[string]float64{}
	for _, p := range new(Memory).probes() {
		got[p.ID] = p.Mark(m)
	}
	require.Equal(t, map[string]float64{"long_gc": 1, "long_schedule": 2, "large_mailbox": 3, "large_heap": 4, "disk_low": 1, "store_full": 1, "listener_full": 1, "chaos": 1, "chaos_faults": 1}, got)
}
