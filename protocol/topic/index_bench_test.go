// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"runtime"
	"testing"
)

// BenchmarkIndexPut builds an index from nothing; B/name is what it keeps, the
// value being a pointer (eight bytes of it).
func BenchmarkIndexPut(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			const n = 1_000_000
			names, value := texts(n, shape.at), new(int)
			before := heap()
			var x *Index[*int]
			for b.Loop() {
				x = NewIndex[*int](0)
				for _, name := range names {
					x.Put(name, value)
				}
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "puts/s")
			b.ReportMetric(float64(heap()-before)/n, "B/name")
			runtime.KeepAlive(names)
			runtime.KeepAlive(x)
		})
	}
}

// BenchmarkIndexMatch walks a million names in pages of 100; "none" finds
// nothing among the thousand that agree with its first levels.
func BenchmarkIndexMatch(b *testing.B) {
	const n = 1_000_000
	x, value := NewIndex[*int](0), new(int)
	for _, name := range texts(n, shapes[0].at) {
		x.Put(name, value)
	}
	for _, c := range []struct {
		name, filter string
		want         int
	}{
		{"one", "site/10/dev/20/sensor/3", 1},
		{"ten", "site/10/dev/20/sensor/+", 10},
		{"site", "site/10/#", n / 100},
		{"all", "#", n},
		{"none", "site/10/dev/+/alarm", 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			var page []Entry[*int]
			calls := 0
			for b.Loop() {
				found, done := 0, false
				for cur := (Cursor{}); !done; calls++ {
					page, cur, done = x.Match(c.filter, cur, 100, page[:0])
					found += len(page)
				}
				if found != c.want {
					b.Fatal(found, "found")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(calls), "ns/page")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(max(c.want, 1)), "ns/name")
		})
	}
}
