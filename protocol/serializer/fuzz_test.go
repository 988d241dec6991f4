// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// FuzzRoundTrip makes a packet and reads back what was written of it.
func FuzzRoundTrip(f *testing.F) {
	for seed := range 44 { // every type, both ways
		b := make([]byte, 64)
		for i := range b {
			b[i] = byte((i*i + 7) * (seed + 3))
		}
		b[2] = byte(seed)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		s := &source{choices}
		v, role := allVersions[s.n(3)], parser.Role(s.n(2))
		want := s.packet(role, v)
		out, err := serializer.Append(nil, want, v)
		require.NoError(t, err)
		n, err := serializer.Size(want, v)
		require.NoError(t, err)
		require.Len(t, out, n)
		_, got, rest, err := parser.New(parser.Options{Role: role, Version: v}).Parse(out, nil)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, want, got)
	})
}

// FuzzReencode reads a packet and writes it. What comes out is canonical: it
// reads as the same packet and is written as the same bytes, and it is no longer
// than what came in.
func FuzzReencode(f *testing.F) {
	add := func(cases []codecCase) {
		for _, c := range cases {
			for _, v := range c.versions {
				f.Add(byte(v-v3), c.from == toClient, wire(f, c.bytes))
			}
		}
	}
	add(connectCases)
	add(publishCases)
	add(ackCases())
	add([]codecCase{
		{"", toServer, allVersions, "82 09  00 0a  02 0b 01  00 01 61 01", nil},
		{"", toServer, allVersions, "82 06  00 0a  00 01 61 02", nil},
		{"", toClient, allVersions, "90 06  00 0a  00 01 02 80", nil},
		{"", toServer, allVersions, "a2 06  00 0a  00  00 01 61", nil},
		{"", toClient, allVersions, "b0 06  00 0a  00  00 11 87", nil},
		{"", toClient, allVersions, "20 02  00 01", nil},
		{"", toClient, only5, "20 06  00 00  03 21 ff ff", nil},
		{"", toServer, only5, "e0 02  00 00", nil},
		{"", toServer, only5, "40 04  00 01 00 00", nil},
		{"", toServer, only5, "f0 0a  18  08 15 00 01 6d 16 00 01 ff", nil},
		{"", toServer, before5, "c0 80 00", nil},
	})
	f.Fuzz(func(t *testing.T, version byte, fromServer bool, in []byte) {
		o := parser.Options{Version: allVersions[version%3]}
		if fromServer {
			o.Role = parser.Client
		}
		next, first, rest, err := parser.New(o).Parse(in, nil)
		if first == nil || err != nil {
			return
		}
		o.Version = next.Version() // CONNECT may have said another
		out, err := serializer.Append(nil, first, o.Version)
		require.NoError(t, err)
		if !olderRefusal(first, in, o.Version) {
			require.LessOrEqual(t, len(out), len(in)-len(rest))
		}
		_, second, rest, err := parser.New(o).Parse(out, nil)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, canonical(first), second)
		again, err := serializer.Append(nil, second, o.Version)
		require.NoError(t, err)
		require.Equal(t, out, again)
	})
}

// canonical is p without what the serializer refuses to say: a session that is
// present though the connection is refused.
func canonical(p packet.Packet) packet.Packet {
	if c, ok := p.(*packet.Connack); ok && c.Code != packet.Success {
		c.SessionPresent = false
	}
	return p
}

// olderRefusal: the CONNACK of a server without 5.0 is two bytes, ours three.
func olderRefusal(p packet.Packet, in []byte, v packet.Version) bool {
	return v == packet.V5 && p.Type() == packet.CONNACK && in[1] == 2
}
