// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// BenchmarkSubscribe subscribes one session to as many filters, of their own each,
// as the benchmark runs: what a filter costs on the way from the bytes of SUBSCRIBE
// to those of SUBACK, and what of it stays in the heap.
func BenchmarkSubscribe(b *testing.B) {
	for _, each := range []int{1, 100} {
		for _, held := range []int{1_000, 100_000} {
			b.Run(fmt.Sprintf("filters=%d/packet=%d", held, each), func(b *testing.B) {
				var kept uint64
				for b.Loop() {
					b.StopTimer()
					p := newBench(b)
					w := p.client(true)
					reads := p.subscribes(held, each)
					before := heapInUse()
					b.StartTimer()
					for _, read := range reads {
						p.give(w, read)
					}
					b.StopTimer()
					kept += heapInUse() - before
					require.EqualValues(b, held, p.b.Figures().Filters())
					runtime.KeepAlive(reads)
					b.StartTimer()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*held), "ns/filter")
				b.ReportMetric(float64(kept)/float64(b.N*held), "B/filter")
			})
		}
	}
}

// subscribes are SUBSCRIBEs to n filters, some in each packet.
func (p *bench) subscribes(n, each int) (reads [][]byte) {
	m := &packet.Subscribe{ID: 1}
	for i := range n {
		m.Subscriptions = append(m.Subscriptions, packet.Subscription{Filter: fmt.Sprintf("bench-0a1b2c3d/r/%08d/+", i)})
		if len(m.Subscriptions) == each || i == n-1 {
			reads = append(reads, encodeAs(p.t, packet.V311, m))
			m.Subscriptions = m.Subscriptions[:0]
		}
	}
	return reads
}

// heapInUse is what is in use after a collection.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRoute passes messages, each of a topic of its own, to the one of ten
// sessions whose filter matches: what a message costs must not grow with the
// filters, but for the caches that they do not fit into.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("filters=%d", n), func(b *testing.B) {
			const sessions = 10
			p := newBench(b)
			var all []*farEnd
			for range sessions {
				all = append(all, p.client(true))
			}
			for i, read := range p.subscribes(n, 100) {
				p.give(all[i%sessions], read)
			}
			reads, run := p.scattered("bench-0a1b2c3d/r/%08d/x", n)
			p.pass(b, all, reads, run)
		})
	}
}

// BenchmarkConnections passes messages to one of many connections, each with a
// session and a filter of its own, on sockets in memory: more than a process may
// have descriptors for. What a message costs must not grow with them, but for the
// caches that they do not fit into.
func BenchmarkConnections(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			p := newBench(b)
			before := heapInUse()
			var all []*farEnd
			for i := range n {
				all = append(all, p.client(true, packet.Subscription{Filter: fmt.Sprintf("bench/r/%08d/+", i)}))
			}
			each := float64(heapInUse()-before) / float64(n)
			reads, run := p.scattered("bench/r/%08d/x", n)
			p.pass(b, all, reads, run)
			b.ReportMetric(each, "B/connection")
		})
	}
}

// scattered are reads of run messages each, to topics that are drawn from n.
func (p *bench) scattered(topic string, n int) (reads [][]byte, run int) {
	rng := rand.New(rand.NewPCG(1, 1))
	reads, run = make([][]byte, 100), 100
	for i := range reads {
		for range run {
			reads[i] = append(reads[i], p.publishes(packet.QoS0, fmt.Sprintf(topic, rng.IntN(n)), 1, 64)...)
		}
	}
	return reads, run
}

// pass is the benchmark's loop: all of what is published is delivered once.
func (p *bench) pass(b *testing.B, to []*farEnd, reads [][]byte, run int) {
	from := p.client(true)
	delivered := func() (bytes int) {
		for _, w := range to {
			bytes += w.bytes
		}
		return bytes
	}
	before, i := delivered(), 0
	b.ReportAllocs()
	for b.Loop() {
		p.give(from, reads[i%len(reads)])
		i++
	}
	require.Equal(b, b.N*len(reads[0]), delivered()-before, "bytes delivered")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*run), "ns/msg")
}
