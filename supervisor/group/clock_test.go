// SPDX-License-Identifier: Apache-2.0

package group

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheClockFollowsForwardAndNotBack(t *testing.T) {
	const hour, day = int64(time.Hour), 24 * int64(time.Hour)
	var ahead atomic.Int64
	for i, c := range []struct{ wall, elapsed, want int64 }{
		{day, 0, day},
		{day + 5, 5, day + 5},
		{day - hour + 10, 10, day + 10}, // set back by an hour
		{day - hour + 30, 30, day + 30},
		{day + hour + 40, 40, day + hour + 40}, // forward by two
		{day + hour + 60, 60, day + hour + 60},
		{day + 70, 70, day + hour + 70}, // and back
	} {
		require.Equal(t, c.want, forward(&ahead, c.wall, c.elapsed), "look %d", i)
	}
}

func TestTheClockIsTheMachines(t *testing.T) {
	before := time.Now().UnixNano()
	now := Wall{}.Now()
	require.InDelta(t, before, now, float64(time.Minute))
	for range 1000 {
		next := Wall{}.Now()
		require.GreaterOrEqual(t, next, now)
		now = next
	}
}

func BenchmarkWall(b *testing.B) {
	for b.Loop() {
		Wall{}.Now()
	}
}
