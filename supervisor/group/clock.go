// SPDX-License-Identifier: Apache-2.0

package group

import (
	"sync/atomic"
	"time"
)

// Clock tells the time in nanoseconds since the Unix epoch.
type Clock interface{ Now() int64 }

// Wall is the machine's clock, which may be set forward: what is due then is due.
// When it is set back, Wall goes on from where it was and stays ahead until the
// process ends; deadlines an hour away would else be two hours away, keep alives and
// what waits for a group of commits among them.
type Wall struct{}

var (
	began = time.Now()
	ahead atomic.Int64 // Unix time less the time since began: the most that was seen
)

// Now implements Clock.
func (Wall) Now() int64 {
	t := time.Now() // the wall clock is read before the monotonic one: a pause in between adds nothing
	return forward(&ahead, t.UnixNano(), int64(t.Sub(began)))
}

// forward is wall, or what it would be had it not been set back; elapsed goes on
// whatever is done to the wall clock.
func forward(ahead *atomic.Int64, wall, elapsed int64) int64 {
	for {
		most := ahead.Load()
		if wall-elapsed <= most {
			return elapsed + most
		}
		if ahead.CompareAndSwap(most, wall-elapsed) {
			return wall
		}
	}
}
