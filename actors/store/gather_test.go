// SPDX-License-Identifier: Apache-2.0

package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const us = int64(time.Microsecond)

// synced is a gather whose last groups took 400 µs, and were answered at time 0 to so
// many, while others were waiting.
func synced(answered, waiting int) *gather {
	g := &gather{took: 400 * us, began: -400 * us}
	g.written(0, answered, waiting)
	return g
}

func TestGroupIsWhole(t *testing.T) {
	for _, c := range []struct {
		name              string
		answered, waiting int // at time 0
		first, now        int64
		there             int
		whole             bool
	}{
		{"when those are back that were answered", 8, 0, 50 * us, 60 * us, 8, true},
		{"not one before", 8, 0, 50 * us, 60 * us, 7, false},
		{"with those that waited meanwhile", 8, 3, 0, 60 * us, 11, true},
		{"not one before them", 8, 3, 0, 60 * us, 10, false},
		{"at once for a publisher that is alone", 1, 0, 50 * us, 50 * us, 1, true},
		{"after half of what a sync takes", 8, 0, 50 * us, 250 * us, 2, true},
		{"not before", 8, 0, 50 * us, 250*us - 1, 2, false},
		{"at the bound of the engine", 9000, 0, 50 * us, 60 * us, maxGroup, true},
		{"not one before that", 9000, 0, 50 * us, 60 * us, maxGroup - 1, false},
		{"when the clock was set back", 8, 0, 50 * us, 50*us - 1, 2, true},
		{"not at once when nothing is known", 0, 0, 50 * us, 60 * us, 30, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := synced(c.answered, c.waiting)
			g.first(c.first)
			require.Equal(t, c.whole, g.whole(c.now, c.there))
		})
	}
}

func TestTurnEndsAGroupThatNobodyElseIsExpectedIn(t *testing.T) {
	for _, c := range []struct {
		name              string
		answered, waiting int
		now               int64 // the turn's end; the group began at 50 µs
		waits             bool
	}{
		{"those answered may come", 8, 0, 60 * us, true},
		{"nothing is known", 0, 0, 60 * us, false},
		{"half of a sync is over", 8, 0, 250 * us, false},
		{"more waited than were answered", 8, 9, 60 * us, false},
		{"the clock was set back", 8, 0, 49 * us, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := synced(c.answered, c.waiting)
			g.first(50 * us)
			require.Equal(t, c.waits, g.waits(c.now, c.waiting+1))
		})
	}
}

func TestTimeForTheOthersBeginsWhenTheAnswersAreWritten(t *testing.T) {
	g := synced(8, 3)
	g.first(0)
	require.True(t, g.waits(900*us, 3), "the turn was long: it wrote the answers")
	require.Equal(t, 1100*us, g.until)
	require.False(t, g.waits(1100*us, 3))
}

func TestSlowDiskIsNotWaitedForLongerThanAMillisecond(t *testing.T) {
	g := &gather{took: 80e6, began: -80e6}
	require.True(t, g.written(0, 8, 0))
	g.first(0)
	require.Equal(t, maxGather, g.until)
	require.True(t, g.whole(maxGather, 1))
}

func TestOthersThatDoNotComeAreWaitedForLessAndLessOften(t *testing.T) {
	g := &gather{took: 400 * us}
	var asked []int
	for i := range 200 {
		if g.written(0, 8, 0) {
			asked = append(asked, i)
		}
		g.hand(0, 1)
	}
	require.Equal(t, []int{0, 2, 6, 14, 30, 62, 126, 190}, asked)
	for !g.written(0, 8, 0) {
		g.hand(0, 1)
	}
	g.hand(0, 4)
	require.True(t, g.written(0, 8, 0), "half of them came")
}
