// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"testing"
	"time"
)

// BenchmarkReport is a report that nobody has subscribed to, and one that
// somebody has.
func BenchmarkReport(b *testing.B) {
	for name, filters := range map[string][]string{"nobody": nil, "somebody": {"$SYS/#"}} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(&testing.T{}, everything, nil, filters...)
			w.after(0)
			b.ReportAllocs()
			for b.Loop() {
				w.got = w.got[:0]
				w.clock.now += int64(time.Minute)
				w.g.Tick()
				for w.g.RunOne() {
				}
			}
		})
	}
}
