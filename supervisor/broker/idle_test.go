// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners"
	"emqttd/protocol/packet"
)

// nowhere is a far end that has no memory.
type nowhere struct{}

// Write, Want, Shutdown and Close implement listeners.Wire.
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) Want(bool, bool)             {}
func (nowhere) Shutdown()                   {}
func (nowhere) Close()                      {}

// upgrade is how a browser begins.
const upgrade = "GET /mqtt HTTP/1.1\r\nHost: localhost:8083\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"

// idler is a connection that has sent CONNECT and says nothing more.
func (p *bench) idler(transport string, i int) *listeners.Socket {
	peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, byte(i >> 8), byte(i)}), 40000)
	in := p.b.Connect("listeners."+transport+".default", 0, peer, nowhere{})
	require.NotNil(p.t, in)
	b := encodeAs(p.t, packet.V311, clean(packet.V311, fmt.Sprint("client-", i)))
	if transport == "ws" {
		in.Input([]byte(upgrade))
		b = append([]byte{0x82, 0x80 | byte(len(b)), 0, 0, 0, 0}, b...) // one frame, masked with zeros
	}
	in.Input(b)
	p.elapse(100*time.Microsecond, 1)
	return in
}

// elapse lets n turns go by, d apart.
func (p *bench) elapse(d time.Duration, n int) {
	for range n {
		p.now += int64(d)
		p.b.Loops()[0].Turn()
	}
}

// liveHeap is what the collector can not free.
func liveHeap() int {
	var m runtime.MemStats
	for range 3 { // what pools hold goes with the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// idleBytes is what each of n idle connections holds, beside its socket.
func idleBytes(t testing.TB, transport string, n int) int {
	p := newBench(t)
	const first = 100 // what all connections share comes with them
	for i := range first {
		p.idler(transport, i)
	}
	p.elapse(10*time.Millisecond, 1000)
	before := liveHeap()
	for i := range n {
		p.idler(transport, first+i)
	}
	p.elapse(10*time.Millisecond, 1000)
	after := liveHeap()
	if path := os.Getenv("EMQTTD_HEAP_PROFILE"); path != "" {
		f, err := os.Create(path)
		require.NoError(t, err)
		require.NoError(t, pprof.Lookup("heap").WriteTo(f, 0))
		require.NoError(t, f.Close())
	}
	require.Equal(t, int64(first+n), p.b.Metrics().Connected.Load())
	runtime.KeepAlive(p)
	return (after - before) / n
}

// TestAnIdleConnectionIsSmall: what there are a hundred thousand of. The resident
// set of the process has the pages' waste beside it, and a socket 60 bytes.
func TestAnIdleConnectionIsSmall(t *testing.T) {
	if underRace {
		t.Skip("the race detector takes memory by itself")
	}
	for _, tt := range []struct {
		transport string
		max       int // bytes of live heap
	}{
		{"tcp", 2620},
		{"ws", 2750},
	} {
		t.Run(tt.transport, func(t *testing.T) {
			got := idleBytes(t, tt.transport, 2000)
			t.Logf("%d bytes", got)
			require.LessOrEqual(t, got, tt.max)
		})
	}
}

// BenchmarkWake is the cost of a PINGREQ from a connection whose actors hibernate,
// three of which have to come back for it, and from one whose actors are awake.
func BenchmarkWake(b *testing.B) {
	for _, name := range []string{"asleep", "awake"} {
		b.Run(name, func(b *testing.B) {
			p := newBench(b)
			all := make([]*listeners.Socket, b.N)
			for i := range all {
				all[i] = p.idler("tcp", i)
			}
			p.elapse(10*time.Millisecond, 1000)
			ping := []byte{0xc0, 0}
			turn := func() {
				for _, in := range all {
					in.Input(ping)
				}
				p.b.Loops()[0].Turn()
			}
			if name == "awake" {
				turn()
			}
			b.ReportAllocs()
			b.ResetTimer()
			turn()
		})
	}
}

// BenchmarkIdleConnection says what an idle connection holds.
func BenchmarkIdleConnection(b *testing.B) {
	for _, transport := range []string{"tcp", "ws"} {
		b.Run(transport, func(b *testing.B) {
			sum := 0
			for range b.N {
				sum += idleBytes(b, transport, 10_000)
			}
			b.ReportMetric(float64(sum)/float64(b.N), "B/conn")
		})
	}
}
