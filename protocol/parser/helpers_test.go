// SPDX-License-Identifier: Apache-2.0

package parser_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
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
	return b[:len(b):len(b)] // so that a read past the end panics
}

// seed reads a golden capture, line by line.
func seed(t testing.TB, name string) (chunks [][]byte) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "testdata", "seeds", name))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if b := wire(t, line); len(b) > 0 {
			chunks = append(chunks, b)
		}
	}
	return chunks
}

// result is what became of a stream of bytes.
type result struct {
	packets []packet.Packet
	err     *parser.Error
	last    parser.Parser
}

// feed runs chunks through p as a connection does: each is parsed to its end,
// and the continuation waits for the next.
func feed(t testing.TB, p parser.Parser, chunks ...[]byte) (r result) {
	t.Helper()
	for _, data := range chunks {
		for more := true; more; {
			next, pkt, rest, err := p.Parse(data, nil)
			if err != nil {
				require.ErrorAs(t, err, &r.err)
				require.Equal(t, data, rest, "an error leaves the bytes where they were")
				return r
			}
			if pkt != nil {
				r.packets = append(r.packets, pkt)
			} else {
				require.Empty(t, rest, "more means that everything is consumed")
			}
			require.LessOrEqual(t, len(rest), len(data))
			p, data, more = next, rest, pkt != nil && len(rest) > 0
		}
	}
	r.last = p
	return r
}

// bytewise cuts data at every byte.
func bytewise(data []byte) (chunks [][]byte) {
	for i := range data {
		chunks = append(chunks, data[i:i+1:i+1])
	}
	return chunks
}

func server(v packet.Version) parser.Parser {
	return parser.New(parser.Options{Role: parser.Server, Version: v})
}

func client(v packet.Version) parser.Parser {
	return parser.New(parser.Options{Role: parser.Client, Version: v})
}
