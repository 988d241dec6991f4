// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// leaver is the far end of a connection that comes and goes.
type leaver struct{ connacks, closes int }

// Write, Want, Shutdown and Close implement listeners.Wire.
func (l *leaver) Write(b []byte) (int, error) { l.connacks++; return len(b), nil }
func (l *leaver) Want(bool, bool)             {}
func (l *leaver) Shutdown()                   {}
func (l *leaver) Close()                      { l.closes++ }

// BenchmarkChurn is what a connection costs that comes, says CONNECT and DISCONNECT,
// and is gone, without the system calls.
func BenchmarkChurn(b *testing.B) {
	p, w := newBench(b), new(leaver)
	peer := netip.MustParseAddrPort("127.0.0.1:1")
	connect := encodeAs(b, packet.V311, clean(packet.V311, "churn"))
	disconnect := encodeAs(b, packet.V311, &packet.Disconnect{})
	b.ReportAllocs()
	for b.Loop() {
		in := p.b.Connect("listeners.tcp.default", 0, peer, w)
		in.Input(connect)
		p.b.Loops()[0].Turn()
		in.Input(disconnect)
		p.b.Loops()[0].Turn()
	}
	require.Equal(b, b.N, w.connacks)
	require.Equal(b, b.N, w.closes)
}
