// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
)

func TestAHistogramsBucketsDouble(t *testing.T) {
	for _, tt := range []struct {
		d, upTo time.Duration
	}{
		{-5, time.Microsecond},
		{0, time.Microsecond},
		{time.Microsecond, time.Microsecond},
		{time.Microsecond + 1, 2 * time.Microsecond},
		{2 * time.Microsecond, 2 * time.Microsecond},
		{2*time.Microsecond + 1, 4 * time.Microsecond},
		{time.Millisecond, 1024 * time.Microsecond},
		{33 * time.Second, time.Microsecond << 25},
		{34 * time.Second, 0},
		{time.Hour, 0},
	} {
		var h cell.Histogram
		h.Observe(int64(tt.d))
		buckets := 0
		h.Buckets(func(upTo time.Duration, n int64) bool {
			buckets++
			want := int64(0)
			if upTo == tt.upTo {
				want = 1
			}
			require.Equal(t, want, n, "%v in the bucket up to %v", tt.d, upTo)
			return true
		})
		require.Equal(t, 27, buckets)
		require.EqualValues(t, 1, h.Count())
		require.Equal(t, max(0, tt.d), h.Sum())
	}
}
