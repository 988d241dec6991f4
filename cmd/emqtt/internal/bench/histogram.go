// SPDX-License-Identifier: Apache-2.0

package bench

import "math/bits"

// A value is kept with its seven highest bits: 128 steps per power of two, an
// error below 0.8 %, in 39 KB whatever is recorded.
const (
	stepBits  = 7
	steps     = 1 << stepBits
	maxShift  = 33                     // the largest value, 2^41 ns, is 36 minutes
	histCells = (maxShift + 2) * steps // the first two powers share shift 0
)

// histogram counts durations in nanoseconds. Its zero value is empty.
type histogram struct {
	counts [histCells]uint64
	total  uint64
	max    int64
}

func cellOf(v int64) int {
	if v < 0 {
		v = 0 // clocks of two readings may be a step apart
	}
	shift := max(bits.Len64(uint64(v))-stepBits-1, 0)
	if shift > maxShift {
		return histCells - 1
	}
	return shift*steps + int(v>>shift)
}

// upper is the largest value of a cell.
func upper(cell int) int64 {
	shift := max(cell/steps-1, 0)
	return int64(cell-shift*steps+1)<<shift - 1
}

func (h *histogram) record(v int64) {
	h.counts[cellOf(v)]++
	h.total++
	h.max = max(h.max, v)
}

// quantile is the smallest value that at least q of all are not above, within
// the error of a cell; 0 if nothing was recorded.
func (h *histogram) quantile(q float64) int64 {
	if h.total == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.total)), h.total-1)
	var seen uint64
	for cell, n := range h.counts {
		if seen += n; seen > rank {
			return min(upper(cell), h.max)
		}
	}
	return h.max
}
