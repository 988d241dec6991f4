// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"iter"
	"maps"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
)

// labels are what an iteration yields; each comes once and is fit for a metric.
func labels(t *testing.T, seq iter.Seq2[string, int64]) map[string]int64 {
	out := map[string]int64{}
	for label, n := range seq {
		require.Regexp(t, regexp.MustCompile(`^[a-z0-9_]+$`), label)
		require.NotContains(t, out, label)
		out[label] = n
	}
	return out
}

func TestEveryDropAndCloseReasonHasALabelOfItsOwn(t *testing.T) {
	m := new(metrics.Metrics)
	for i := range m.Dropped {
		m.Dropped[i].Store(int64(i + 1))
	}
	for i := range m.Closed {
		m.Closed[i].Store(int64(i + 1))
	}
	drops, closes := labels(t, m.Drops), labels(t, m.Closes)
	require.Len(t, drops, len(m.Dropped))
	require.Len(t, closes, len(m.Closed))
	require.EqualValues(t, metrics.DropQueueFull+1, drops["queue_full"])
	require.EqualValues(t, metrics.DropPoison+1, drops["poison"])
	require.EqualValues(t, metrics.CloseTakeover+1, closes["taken_over"])
	require.EqualValues(t, metrics.CloseHTTP+1, closes["http"])
	require.Equal(t, "queue_full", metrics.DropQueueFull.String())
	require.Equal(t, "taken_over", metrics.CloseTakeover.String())
}

func TestEveryFaultHasACounter(t *testing.T) {
	m := new(metrics.Metrics)
	require.Empty(t, labels(t, m.FaultCounts), "those that never happened are left out")
	want := map[string]int64{}
	for f, info := range packet.Faults {
		m.Faults[f].Add(int64(f) + 1)
		want[info.Label] = int64(f) + 1
	}
	require.NotEmpty(t, want)
	require.Equal(t, want, maps.Collect(m.FaultCounts))
}

func TestAnIterationStopsWhenItIsTold(t *testing.T) {
	m := new(metrics.Metrics)
	for f := range packet.Faults {
		m.Faults[f].Add(1)
	}
	for _, seq := range []iter.Seq2[string, int64]{m.Drops, m.Closes, m.FaultCounts} {
		n := 0
		for range seq {
			if n++; n == 2 {
				break
			}
		}
		require.Equal(t, 2, n)
	}
}
