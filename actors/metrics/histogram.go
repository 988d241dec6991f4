// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"sort"
	"time"

	"emqttd/supervisor/cell"
)

// Durations is a histogram of durations. The zero value is ready; observing
// allocates nothing and takes two atomic additions, so that it can stand on the
// way of every message.
type Durations struct {
	counts [len(durationBounds) + 1]Counter // not cumulative; the last is above every bound
	sum    Counter                          // nanoseconds
}

// durationBounds are upper bounds, inclusive. One event loop's turn is the
// shortest thing that is measured, a message that waits for a slow client the
// longest.
var durationBounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond,
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Observe counts a duration, from outside of actors. Below zero, which a clock
// that was set back can cause, is zero.
func (h *Durations) Observe(d time.Duration) {
	d = max(d, 0)
	h.bucket(d).Add(1)
	h.sum.Add(int64(d))
}

// Count is Observe as an effect of a decision, which happens once however often
// the decision is tried.
func (h *Durations) Count(ctx *cell.Context, d time.Duration) {
	d = max(d, 0)
	ctx.Count(h.bucket(d), 1)
	ctx.Count(&h.sum, int64(d))
}

func (h *Durations) bucket(d time.Duration) *Counter {
	i := 0
	for i < len(durationBounds) && d > durationBounds[i] {
		i++
	}
	return &h.counts[i]
}

// Distribution is what a histogram holds at one moment.
type Distribution struct {
	Count   uint64
	Sum     float64            // in the unit of the bounds
	Buckets map[float64]uint64 // upper bound -> how many are at or below it
}

// Distribution reads the histogram, in seconds. What is observed meanwhile may be
// in the sum and not yet in the count.
func (h *Durations) Distribution() Distribution {
	d := Distribution{Sum: time.Duration(h.sum.Load()).Seconds(), Buckets: make(map[float64]uint64, len(durationBounds))}
	for i := range durationBounds {
		d.Count += uint64(h.counts[i].Load())
		d.Buckets[durationBounds[i].Seconds()] = d.Count
	}
	d.Count += uint64(h.counts[len(durationBounds)].Load())
	return d
}

// Quantile is an upper bound of the q-quantile (0 < q <= 1), in the unit of the
// bounds: that of the bucket which holds it. It is 0 when nothing was observed,
// and the highest bound when the quantile lies above it.
func (d *Distribution) Quantile(q float64) float64 {
	if d.Count == 0 {
		return 0
	}
	bounds := make([]float64, 0, len(d.Buckets))
	for b := range d.Buckets {
		bounds = append(bounds, b)
	}
	sort.Float64s(bounds)
	for _, b := range bounds {
		if float64(d.Buckets[b]) >= q*float64(d.Count) {
			return b
		}
	}
	return bounds[len(bounds)-1]
}

// Sizes is a histogram of numbers and of bytes; as Durations.
type Sizes struct {
	counts [sizeBounds + 1]Counter
	sum    Counter
}

// sizeBounds is how many upper bounds there are: powers of four from 1 on, to 16
// million.
const sizeBounds = 13

// Observe counts a size, from outside of actors.
func (h *Sizes) Observe(n int64) {
	n = max(n, 0)
	i := 0
	for i < sizeBounds && n > 1<<(2*i) {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(n)
}

// Distribution reads the histogram.
func (h *Sizes) Distribution() Distribution {
	d := Distribution{Sum: float64(h.sum.Load()), Buckets: make(map[float64]uint64, sizeBounds)}
	for i := range sizeBounds {
		d.Count += uint64(h.counts[i].Load())
		d.Buckets[float64(int64(1)<<(2*i))] = d.Count
	}
	d.Count += uint64(h.counts[sizeBounds].Load())
	return d
}
