// SPDX-License-Identifier: Apache-2.0

package parser_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// fuzzedPacket is a packet and where in the stream it ended.
type fuzzedPacket struct {
	packet packet.Packet
	end    int
}

// parseStream parses chunks as a connection does. With twice, each step is
// decided two times from the same continuation, as after a crash.
func parseStream(t *testing.T, p parser.Parser, chunks [][]byte, slab *parser.Slab, twice bool) (got []fuzzedPacket, failed *parser.Error) {
	consumed := 0
	for _, data := range chunks {
		for more := true; more; {
			if twice {
				_, _, _, _ = p.Parse(data, slab)
			}
			next, pkt, rest, err := p.Parse(data, slab)
			if err != nil {
				if !errors.As(err, &failed) {
					t.Fatalf("not an Error: %v", err)
				}
				return got, failed
			}
			consumed += len(data) - len(rest)
			if pkt != nil {
				got = append(got, fuzzedPacket{pkt, consumed})
			}
			if pkt == nil && len(rest) > 0 || len(rest) > len(data) || next.Want() < 1 {
				t.Fatalf("rest %d of %d, want %d", len(rest), len(data), next.Want())
			}
			p, data, more = next, rest, len(rest) > 0
		}
	}
	return got, nil
}

// chop cuts data into chunks whose lengths the bytes of cuts say; the last
// takes what is left.
func chop(data, cuts []byte) (chunks [][]byte) {
	for _, n := range cuts {
		n := min(int(n), len(data))
		chunks = append(chunks, data[:n:n])
		data = data[n:]
	}
	return append(chunks, bytes.Clone(data)[:len(data):len(data)])
}

// FuzzParse: never panics, never reads past the packet, gives the same packets
// and the same fault however the bytes are cut, whatever lies behind, and
// decided twice.
func FuzzParse(f *testing.F) {
	for _, c := range allFaultCases() {
		f.Add(byte(c.v), c.role == parser.Client, uint32(0), wire(f, c.bytes), []byte{1, 1, 3})
	}
	for _, name := range []string{"connect_tcp.hex", "connect_websocket.hex", "connack.hex", "pingreq.hex", "pingresp.hex"} {
		var cuts []byte
		chunks := seed(f, name)
		for _, c := range chunks {
			cuts = append(cuts, byte(len(c)))
		}
		data := bytes.Join(chunks, nil)
		f.Add(byte(0), false, uint32(0), data, cuts)
		f.Add(byte(4), true, uint32(0), data, cuts)
		f.Add(byte(4), false, uint32(len(data)), append(data, 0xc0, 0, 0x30, 3, 0, 1, 'a', 0xe0, 0), cuts)
	}
	f.Fuzz(func(t *testing.T, version byte, fromServer bool, maxSize uint32, data, cuts []byte) {
		o := parser.Options{Version: []packet.Version{v0, v3, v4, v5}[version%4], MaxPacketSize: maxSize}
		if fromServer {
			o.Role = parser.Client
		}
		data = data[:len(data):len(data)]
		whole, fault := parseStream(t, parser.New(o), [][]byte{data}, nil, false)
		cut, cutFault := parseStream(t, parser.New(o), chop(data, cuts), new(parser.Slab), true)
		require.Equal(t, whole, cut)
		require.Equal(t, fault, cutFault)
		single, singleFault := parseStream(t, parser.New(o), bytewise(data), nil, false)
		require.Equal(t, whole, single)
		require.Equal(t, fault, singleFault)
		if len(whole) == 0 {
			return
		}
		// What lies behind a packet has no part in it.
		end := whole[len(whole)-1].end
		alone, aloneFault := parseStream(t, parser.New(o), [][]byte{bytes.Clone(data[:end])[:end:end]}, nil, false)
		require.Equal(t, whole, alone)
		require.Nil(t, aloneFault)
	})
}
