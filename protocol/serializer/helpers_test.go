// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

const (
	v3 = packet.V31
	v4 = packet.V311
	v5 = packet.V5
)

// wire turns annotated hex into bytes: blanks separate, # comments to the end
// of the line.
func wire(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	require.NoError(t, err, text)
	return b[:len(b):len(b)]
}

// codecCase is one packet in the versions that write it alike.
type codecCase struct {
	name     string
	from     parser.Role // who parses it
	versions []packet.Version
	bytes    string
	packet   packet.Packet
}

const (
	toServer = parser.Server
	toClient = parser.Client
)

var (
	allVersions = []packet.Version{v3, v4, v5}
	before5     = []packet.Version{v3, v4}
	only3       = []packet.Version{v3}
	only4       = []packet.Version{v4}
	only5       = []packet.Version{v5}
)

// run takes a case the four ways: parse, serialize, round trip, and parse cut
// at every byte.
func (c codecCase) run(t *testing.T) {
	want := wire(t, c.bytes)
	for _, v := range c.versions {
		t.Run(c.name+" in "+v.String(), func(t *testing.T) {
			start := parser.New(parser.Options{Role: c.from, Version: v})
			next, got, rest, err := start.Parse(want, nil)
			require.NoError(t, err)
			require.Equal(t, c.packet, got)
			require.Empty(t, rest)
			require.Zero(t, next.Buffered())

			out, err := serializer.Append([]byte("before"), c.packet, v)
			require.NoError(t, err)
			require.Equal(t, hex.Dump(append([]byte("before"), want...)), hex.Dump(out))
			n, err := serializer.Size(c.packet, v)
			require.NoError(t, err)
			require.Equal(t, len(want), n)

			_, back, _, err := start.Parse(out[len("before"):], nil)
			require.NoError(t, err)
			require.Equal(t, c.packet, back)

			requireAnyCut(t, start, want, c.packet)
		})
	}
}

// requireAnyCut parses data in two pieces, cut at every byte, with and without
// another packet behind it.
func requireAnyCut(t *testing.T, start parser.Parser, data []byte, want packet.Packet) {
	t.Helper()
	for _, behind := range [][]byte{{}, {0xc0, 0x00}} {
		stream := append(bytes.Clone(data), behind...)
		for cut := range data {
			p, got, rest, err := start.Parse(stream[:cut:cut], nil)
			require.NoError(t, err)
			require.Nil(t, got, "a packet out of %d bytes of %d", cut, len(data))
			require.Empty(t, rest)
			require.GreaterOrEqual(t, p.Want(), 1)
			require.LessOrEqual(t, p.Want(), len(data)-cut, "more is wanted than is missing")
			p, got, rest, err = p.Parse(stream[cut:], nil)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.True(t, bytes.Equal(behind, rest))
			require.Zero(t, p.Buffered())
		}
	}
}

func runAll(t *testing.T, cases []codecCase) {
	for _, c := range cases {
		c.run(t)
	}
}

// seed is a golden capture, joined.
func seed(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "seeds", name))
	require.NoError(t, err)
	return wire(t, string(text))
}

// with builds properties: set assigns the fields of ids.
func with(set func(p *packet.Properties), ids ...packet.Property) *packet.Properties {
	p := new(packet.Properties)
	set(p)
	for _, id := range ids {
		p.Set(id)
	}
	return p
}

func reasonString(s string) *packet.Properties {
	return with(func(p *packet.Properties) { p.ReasonString = s }, packet.PropReasonString)
}
