// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestADurationIsInTheBucketWhoseBoundItReaches(t *testing.T) {
	var h Durations
	for _, d := range []time.Duration{-time.Second, 0, 10 * time.Microsecond, 10*time.Microsecond + 1, time.Minute, time.Minute + 1} {
		h.Observe(d)
	}
	d := h.Distribution()
	require.EqualValues(t, 6, d.Count)
	require.InDelta(t, 120.00002, d.Sum, 1e-6)
	require.EqualValues(t, 3, d.Buckets[10e-6], "the bound is inclusive, below zero is zero")
	require.EqualValues(t, 4, d.Buckets[25e-6])
	require.EqualValues(t, 4, d.Buckets[30])
	require.EqualValues(t, 5, d.Buckets[60], "what is above every bound is in the count only")
	require.Len(t, d.Buckets, len(durationBounds))
}

func TestASizeIsInTheBucketWhoseBoundItReaches(t *testing.T) {
	var h Sizes
	for _, n := range []int64{-1, 1, 2, 4, 5, 1 << 24, 1<<24 + 1} {
		h.Observe(n)
	}
	d := h.Distribution()
	require.EqualValues(t, 7, d.Count)
	require.EqualValues(t, 2, d.Buckets[1])
	require.EqualValues(t, 4, d.Buckets[4])
	require.EqualValues(t, 5, d.Buckets[16])
	require.EqualValues(t, 6, d.Buckets[1<<24])
	require.EqualValues(t, 1+2+4+5+1<<24+1<<24+1, int64(d.Sum))
}

func TestAQuantileIsTheBoundOfItsBucket(t *testing.T) {
	var h Durations
	d := h.Distribution()
	require.Zero(t, d.Quantile(0.5))
	for range 99 {
		h.Observe(90 * time.Microsecond)
	}
	h.Observe(2 * time.Minute)
	d = h.Distribution()
	require.InDelta(t, 100e-6, d.Quantile(0.5), 1e-9)
	require.InDelta(t, 100e-6, d.Quantile(0.99), 1e-9)
	require.InDelta(t, 60, d.Quantile(1), 1e-9, "above every bound: the highest")
}

func TestObservingAllocatesNothing(t *testing.T) {
	var d Durations
	var s Sizes
	require.Zero(t, testing.AllocsPerRun(100, func() { d.Observe(time.Millisecond); s.Observe(100) }))
}

func TestOneTurnInSixteenIsMeasured(t *testing.T) {
	measured := 0
	for turn := range int64(16_000) {
		if Sampled(turn * 50_000) { // a turn each 50 µs
			measured++
		}
	}
	require.InDelta(t, 1000, measured, 50)
}

func BenchmarkObserve(b *testing.B) {
	var h Durations
	for b.Loop() {
		h.Observe(90 * time.Microsecond)
	}
}
