// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAHistogramIsWithinOnePercentOfTheSortedValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	values := make([]int64, 20_000)
	for i := range values {
		values[i] = rng.Int64N(1 << (1 + rng.IntN(40)))
		h.record(values[i])
	}
	slices.Sort(values)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := values[min(int(q*float64(len(values))), len(values)-1)]
		require.InDelta(t, want, h.quantile(q), float64(want)*0.008+1, "quantile %g", q)
	}
	require.Equal(t, values[len(values)-1], h.max)
}

func TestACellHoldsWhatItIsLookedUpFor(t *testing.T) {
	for _, v := range []int64{0, 1, 127, 128, 129, 255, 256, 1 << 20, 1<<20 + 12345, 1<<41 - 1} {
		cell := cellOf(v)
		require.GreaterOrEqual(t, upper(cell), v)
		require.Less(t, cell, histCells)
		if cell > 0 {
			require.Less(t, upper(cell-1), v)
		}
	}
	require.Equal(t, 0, cellOf(-1))
	require.Equal(t, histCells-1, cellOf(1<<62))
	require.Zero(t, (&histogram{}).quantile(0.5))
}
