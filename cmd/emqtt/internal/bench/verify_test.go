// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAStreamTellsLateFromTwice(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []uint64
		want []verdict
	}{
		{"in order", []uint64{0, 1, 2}, []verdict{fresh, fresh, fresh}},
		{"one lost", []uint64{0, 2, 3}, []verdict{fresh, fresh, fresh}},
		{"the first lost", []uint64{1, 2}, []verdict{fresh, fresh}},
		{"two exchanged", []uint64{0, 2, 1, 3}, []verdict{fresh, fresh, late, fresh}},
		{"twice", []uint64{0, 1, 1}, []verdict{fresh, fresh, duplicate}},
		{"late and then twice", []uint64{1, 0, 0}, []verdict{fresh, late, duplicate}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s stream
			for i, seq := range tt.in {
				require.Equal(t, tt.want[i], s.check(seq), "delivery %d", i)
			}
		})
	}
}

func TestAStreamRemembersABoundedNumberOfGaps(t *testing.T) {
	var s stream
	require.Equal(t, fresh, s.check(10*maxMissing))
	require.Len(t, s.missing, maxMissing)
	require.Equal(t, late, s.check(5))
	require.Equal(t, duplicate, s.check(9*maxMissing))
}

func TestSeenKnowsEveryNumberOnce(t *testing.T) {
	var s seen
	for _, n := range []uint64{0, 63, 64, 1000, 65} {
		require.True(t, s.add(n))
		require.False(t, s.add(n))
	}
	require.True(t, s.add(1))
}

func TestPacketIDsAreNeverInUseTwice(t *testing.T) {
	var ids packetIDs
	for n := 1; n <= 65_535; n++ {
		require.Equal(t, uint16(n), ids.take())
	}
	require.False(t, ids.release(0))
	require.True(t, ids.release(7))
	require.False(t, ids.release(7))
	require.Equal(t, uint16(7), ids.take())
	require.Equal(t, 65_535, ids.n)
}
