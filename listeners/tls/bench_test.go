// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"runtime"
	"testing"
)

// BenchmarkHandshake is both sides, client included.
func BenchmarkHandshake(b *testing.B) {
	a := newAuthority(b, "ca")
	server, client := a.server(Config{}), a.client("")
	b.ReportAllocs()
	for range b.N {
		connected(b, server, client)
	}
}

// BenchmarkFeed is 50 records of 64 bytes in one read, per record.
func BenchmarkFeed(b *testing.B) {
	a := newAuthority(b, "ca")
	s, client := connected(b, a.server(Config{}), a.client(""))
	const burst = 50
	var dst []byte
	b.ReportAllocs()
	for n := b.N; n > 0; n -= burst {
		b.StopTimer()
		var in []byte
		for range burst {
			in = append(in, client.encrypt(b, make([]byte, 64))...)
		}
		b.StartTimer()
		var err error
		if dst, _, err = s.Feed(in, dst[:0], nil); err != nil || len(dst) != burst*64 {
			b.Fatal(len(dst), err)
		}
	}
}

func BenchmarkAppendEncrypted(b *testing.B) {
	a := newAuthority(b, "ca")
	s, _ := connected(b, a.server(Config{}), a.client(""))
	turn, out := make([]byte, 50*64), []byte(nil)
	b.SetBytes(int64(len(turn)))
	b.ReportAllocs()
	for range b.N {
		out, _ = s.AppendEncrypted(out[:0], turn)
	}
}

// BenchmarkIdle reports what one idle session keeps, in bytes.
func BenchmarkIdle(b *testing.B) {
	a := newAuthority(b, "ca")
	server, client := a.server(Config{}), a.client("")
	const n = 300
	for range b.N {
		keep := make([]*Session, n)
		before := heap()
		for i := range keep {
			s, c := connected(b, server, client)
			s.Feed(c.encrypt(b, make([]byte, 64)), nil, nil)
			keep[i] = s
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
