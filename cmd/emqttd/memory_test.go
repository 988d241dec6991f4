// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheCollectorWaitsForTheHeapFloor(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name        string
		live, roots uint64
		least, want int
	}{
		{"at the start Go's own floor counts, not the little that is live", 0, 0, 100, 1600},
		{"one MiB is no other", 1 * mb, 1 * mb, 100, 1575},
		{"four MiB and their roots", 4 * mb, 2 * mb, 100, 1000},
		{"half of the floor is twice what is live", 32 * mb, 0, 100, 100},
		{"more than half is Go's own", 48 * mb, 8 * mb, 100, 100},
		{"beyond the floor", 64 * mb, 0, 100, 100},
		{"a gigabyte", 1 << 30, 8 * mb, 100, 100},
		{"a gigabyte while it starts", 1 << 30, 8 * mb, startPercent, startPercent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := percentFor(tt.live, tt.roots, tt.least)
			require.Equal(t, tt.want, got)
			if got > tt.least {
				// Go's own sum: the pacer's goal, and its least heap.
				goal := max(tt.live+(tt.live+tt.roots)*uint64(got)/100, smallest*uint64(got)/100)
				require.LessOrEqual(t, goal, uint64(heapFloor), "the heap's goal")
			}
		})
	}
}
