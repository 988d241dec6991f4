// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Histogram counts durations in buckets that double, from a microsecond to half
// a minute. Observing costs three atomic additions and allocates nothing; the
// zero value is empty.
type Histogram struct {
	n       atomic.Int64
	sum     atomic.Int64 // nanoseconds
	buckets [histogramBuckets]atomic.Int64
}

// histogramBuckets is one for 1 µs, 2 µs, ... 33 s, and one for what is longer.
const histogramBuckets = 27

// Observe counts one duration, in nanoseconds. A clock that was set back makes it
// zero.
func (h *Histogram) Observe(ns int64) {
	ns = max(ns, 0)
	i := 0
	if ns > 1000 {
		i = bits.Len64(uint64(ns-1) / 1000)
	}
	h.buckets[min(i, histogramBuckets-1)].Add(1)
	h.sum.Add(ns)
	h.n.Add(1)
}

// Count is how many durations were observed.
func (h *Histogram) Count() int64 { return h.n.Load() }

// Sum is what they add up to.
func (h *Histogram) Sum() time.Duration { return time.Duration(h.sum.Load()) }

// Buckets calls yield for each bucket: how many durations were longer than the
// bound before and at most upTo. The last bucket has no bound: upTo is 0.
func (h *Histogram) Buckets(yield func(upTo time.Duration, n int64) bool) {
	for i := range h.buckets {
		upTo := time.Microsecond << i
		if i == histogramBuckets-1 {
			upTo = 0
		}
		if !yield(upTo, h.buckets[i].Load()) {
			return
		}
	}
}
