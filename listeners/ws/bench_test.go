// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"fmt"
	"runtime"
	"testing"
)

func BenchmarkFeed(b *testing.B) {
	for _, size := range []int{64, 256, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			sh, d := upgraded(b, Config{})
			const burst = 50
			var stream, in, dst []byte
			for range burst {
				stream = append(stream, frame(finBit|opBinary, make([]byte, size))...)
			}
			in = append(in, stream...)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for range (b.N + burst - 1) / burst {
				var err error
				if dst, _, err = d.Feed(sh, in, dst[:0], nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPing(b *testing.B) {
	sh, d := upgraded(b, Config{})
	in := frame(finBit|opPing, make([]byte, 20))
	var out []byte
	b.ReportAllocs()
	for range b.N {
		_, out, _ = d.Feed(sh, in, nil, out[:0])
	}
}

func BenchmarkUpgrade(b *testing.B) {
	sh, u := NewShared(), NewUpgrader(Config{})
	var out []byte
	b.ReportAllocs()
	for range b.N {
		_, out = u.Upgrade(sh, &Driver{}, []byte(request), out[:0])
	}
}

// BenchmarkIdle reports what one idle connection keeps, in bytes.
func BenchmarkIdle(b *testing.B) {
	const n = 2000
	for range b.N {
		sh, u, keep := NewShared(), NewUpgrader(Config{}), make([]*Driver, n)
		before := heap()
		for i := range keep {
			keep[i] = &Driver{}
			u.Upgrade(sh, keep[i], []byte(request), nil)
			keep[i].Feed(sh, frame(finBit|opBinary, []byte("x")), nil, nil)
		}
		b.ReportMetric(float64(heap()-before)/n, "B/conn")
		runtime.KeepAlive(keep)
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
