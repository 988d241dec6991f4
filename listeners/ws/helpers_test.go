// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// request is the upgrade of the seeds; a test changes a line or two of it.
const request = "GET /mqtt HTTP/1.1\r\n" +
	"Host: localhost:8083\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Protocol: mqtt\r\n" +
	"\r\n"

const deflateRequest = "Sec-WebSocket-Extensions: permessage-deflate\r\n"

// with puts further header lines into request.
func with(lines string) string {
	return strings.TrimSuffix(request, "\r\n") + lines + "\r\n"
}

// replace changes one line of request.
func replace(old, new string) string {
	return strings.Replace(request, old, new, 1)
}

// unhex reads annotated hex; what stands in angle brackets is commentary.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	for strings.Contains(s, "<") {
		i, j := strings.IndexByte(s, '<'), strings.IndexByte(s, '>')
		s = s[:i] + s[j+1:]
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

// upgraded is a connection whose 101 is out of the way.
func upgraded(t testing.TB, cfg Config) (*Shared, *Driver) {
	t.Helper()
	sh, d, req := NewShared(), &Driver{}, request
	if cfg.Compression {
		req = with(deflateRequest)
	}
	res, out := NewUpgrader(cfg).Upgrade(sh, d, []byte(req), nil)
	require.Equal(t, Upgraded, res.Outcome, "%s", out)
	require.Equal(t, len(req), res.Consumed)
	return sh, d
}

// frame is a client's frame with a fixed mask; b0 is FIN, RSV and opcode.
func frame(b0 byte, payload []byte) []byte {
	key := [4]byte{0x8f, 0x06, 0x5d, 0x55}
	b := appendLength([]byte{b0}, maskBit, len(payload))
	b = append(append(b, key[:]...), payload...)
	maskBytes(key, b[len(b)-len(payload):])
	return b
}

// deflated is payload as permessage-deflate sends it [RFC 7692 7.2.1].
func deflated(t testing.TB, payload []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(payload)
	require.NoError(t, err)
	require.NoError(t, w.Flush())
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// feed gives d the stream in chunks of the sizes that next returns, in memory
// that is overwritten after each call, as a loop's buffer is.
func feed(sh *Shared, d *Driver, stream []byte, next func() int) (dst, out []byte, err error) {
	var chunk []byte
	for len(stream) > 0 && err == nil {
		n := min(max(next(), 1), len(stream))
		chunk = append(chunk[:0], stream[:n]...)
		dst, out, err = d.Feed(sh, chunk, dst, out)
		for i := range chunk {
			chunk[i] = 0xee
		}
		stream = stream[n:]
	}
	return dst, out, err
}

func oneByte() int { return 1 }
func whole() int   { return 1 << 30 }
