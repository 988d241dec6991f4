// SPDX-License-Identifier: Apache-2.0

package parser_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

func parseOne(t testing.TB, p parser.Parser, data []byte, slab *parser.Slab) packet.Packet {
	t.Helper()
	_, pkt, _, err := p.Parse(data, slab)
	require.NoError(t, err)
	require.NotNil(t, pkt)
	return pkt
}

func TestSlab_growing_moves_nothing(t *testing.T) {
	data := wire(t, "32 06  00 01 61  00 01  62")
	slab := new(parser.Slab)
	var got []*packet.Publish
	for i := range 3*parser.ChunkLength + 1 {
		data[6] = byte(i%255 + 1)
		got = append(got, parseOne(t, server(v4), data, slab).(*packet.Publish))
	}
	seen := map[*packet.Publish]bool{}
	for i, p := range got {
		require.False(t, seen[p], "handed out twice")
		seen[p] = true
		require.Equal(t, packet.ID(i%255+1), p.ID)
	}
}

func TestSlab_Reset_takes_back_and_lets_go(t *testing.T) {
	publish := wire(t, "3d 06  00 01 61  00 01  62")
	slab := new(parser.Slab)
	p := parseOne(t, server(v4), publish, slab).(*packet.Publish)
	a := parseOne(t, server(v5), wire(t, "40 0a  00 01  10  06 1f 00 03 61 62 63"), slab).(*packet.Ack)
	require.NotNil(t, a.Properties)
	slab.Reset()
	require.Equal(t, packet.Publish{}, *p)
	require.Equal(t, packet.Ack{}, *a)
	require.Same(t, p, parseOne(t, server(v4), wire(t, "30 03  00 01 63"), slab))
	require.Equal(t, packet.Publish{Topic: []byte("c"), Payload: []byte{}}, *p, "nothing of the old one is left")
}

func TestSlab_keeps_a_bounded_number_of_chunks(t *testing.T) {
	data := wire(t, "30 03  00 01 61")
	slab := new(parser.Slab)
	for range (parser.KeptChunks + 3) * parser.ChunkLength {
		parseOne(t, server(v4), data, slab)
	}
	require.Equal(t, parser.KeptChunks+3, parser.Chunks(slab))
	slab.Reset()
	require.Equal(t, parser.KeptChunks, parser.Chunks(slab))
	require.Zero(t, testing.AllocsPerRun(10, func() {
		for range parser.KeptChunks * parser.ChunkLength {
			_, _, _, _ = server(v4).Parse(data, slab)
		}
		slab.Reset()
	}))
}

func TestSlab_hot_packets_cost_no_allocation(t *testing.T) {
	slab := new(parser.Slab)
	for _, c := range []struct {
		name  string
		v     packet.Version
		bytes string
	}{
		{"PUBLISH QoS 0", v4, "30 06  00 01 61  62 63 64"},
		{"PUBLISH QoS 2", v3, "34 06  00 01 61  00 01 64"},
		{"PUBLISH QoS 1 in 5.0", v5, "32 07  00 01 61  00 01  00  64"},
		{"PUBACK", v4, "40 02 00 01"},
		{"PUBREC in 5.0 with a code", v5, "50 03 00 01 10"},
		{"PUBREL", v5, "62 02 00 01"},
		{"PUBCOMP", v4, "70 02 00 01"},
		{"PINGREQ", v4, "c0 00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			data, p := wire(t, c.bytes), server(c.v)
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if _, pkt, _, err := p.Parse(data, slab); pkt == nil || err != nil {
					panic(err)
				}
				slab.Reset()
			}))
		})
	}
}
