// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// Shapes of a million topics: one where levels are shared, one where nothing is.
var shapes = []struct {
	name string
	at   func(i int) string
}{
	{"shared", func(i int) string { return fmt.Sprintf("site/%d/dev/%d/sensor/%d", i%100, i/100%1000, i/100000) }},
	{"flat", func(i int) string { return fmt.Sprintf("home%d/device%d/state%d", i, i, i) }},
	{"wide", func(i int) string { return fmt.Sprintf("device/%d/state", i) }},
}

func texts(n int, at func(int) string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = at(i)
	}
	return out
}

// heap is what is in use after a collection, in bytes.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkTrieInsert builds a table from nothing; B/filter is what it keeps,
// without the values.
func BenchmarkTrieInsert(b *testing.B) {
	for _, shape := range shapes {
		for _, n := range []int{100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				filters, value := texts(n, shape.at), new(int)
				before := heap()
				var trie *Trie[int]
				for b.Loop() {
					trie = NewTrie[int](0)
					for _, f := range filters {
						trie.Upsert(f, func(*int) *int { return value })
					}
				}
				b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "inserts/s")
				b.ReportMetric(float64(heap()-before)/float64(n), "B/filter")
				runtime.KeepAlive(filters)
				runtime.KeepAlive(trie)
			})
		}
	}
}

// BenchmarkTrieReplace changes the value of a filter that is there: what a
// subscription to a known filter costs beside the subscriber list.
func BenchmarkTrieReplace(b *testing.B) {
	filters, value := texts(1_000_000, shapes[0].at), new(int)
	trie := NewTrie[int](0)
	for _, f := range filters {
		trie.Upsert(f, func(*int) *int { return value })
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		trie.Upsert(filters[i*7919%len(filters)], func(*int) *int { return value })
	}
}

// BenchmarkTrieMatch looks names up. "hot" asks for a thousand names over and
// over, "cold" for a million in an order that no cache follows.
func BenchmarkTrieMatch(b *testing.B) {
	for _, shape := range shapes {
		for _, n := range []int{1000, 1_000_000} {
			filters := texts(n, shape.at)
			trie, value := NewTrie[int](0), new(int)
			for _, f := range filters {
				trie.Upsert(f, func(*int) *int { return value })
			}
			for _, f := range []string{"site/+/dev/1/sensor/#", "device/+/alarm", "#"} {
				trie.Upsert(f, func(*int) *int { return value })
			}
			for _, few := range []bool{true, false} {
				kind, count := "cold", n
				if few {
					kind, count = "hot", 1000
				}
				names := make([]string, count)
				for i := range names {
					names[i] = filters[i*7919%n]
				}
				b.Run(fmt.Sprintf("%s/%d/%s", shape.name, n, kind), func(b *testing.B) {
					dst := make([]*int, 0, 16)
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if out, ok := trie.Match(dst, names[i%count], 0); !ok || len(out) < 2 {
							b.Fatal("not found")
						}
					}
				})
			}
		}
	}
}

// BenchmarkTrieMatchWorst is a name that reaches every node of 2^L filters.
func BenchmarkTrieMatchWorst(b *testing.B) {
	const levels = 10
	trie, value := NewTrie[int](0), new(int)
	for bits := range 1 << levels {
		f := make([]string, levels)
		for i := range f {
			if f[i] = "x"; bits>>i&1 == 1 {
				f[i] = "+"
			}
		}
		trie.Upsert(strings.Join(f, "/"), func(*int) *int { return value })
	}
	name, dst := strings.Repeat("/x", levels)[1:], make([]*int, 0, 1<<levels)
	b.ReportAllocs()
	for b.Loop() {
		trie.Match(dst, name, 0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(2<<levels-1), "ns/step")
}

func BenchmarkMatch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !Match("site/+/dev/#", "site/10/dev/20/sensor/3") {
			b.Fatal("no match")
		}
	}
}

func BenchmarkValidName(b *testing.B) {
	name := []byte("site/10/dev/20/sensor/3")
	b.ReportAllocs()
	for b.Loop() {
		if ValidName(name, Limits{}) != nil {
			b.Fatal("refused")
		}
	}
}
