// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

// v2 is a header of the binary format with a body of n bytes that begins with b.
func v2(n int, b ...byte) string {
	return "\r\n\r\n\x00\r\nQUIT\n" + // signature
		"\x21\x11" + string([]byte{byte(n >> 8), byte(n)}) + // version 2, PROXY; TCP over IPv4; length
		string(b) + strings.Repeat("\x00", n-len(b))
}

var inet = []byte{192, 0, 2, 1, 127, 0, 0, 1, 0x1F, 0x90, 0x07, 0x5B} // 192.0.2.1:8080 to 127.0.0.1:1883

const (
	v1TCP4    = "PROXY TCP4 192.0.2.1 127.0.0.1 8080 1883\r\n"
	v1Unknown = "PROXY UNKNOWN\r\n"
)

// v1Of is a line of the text format of n bytes, its end included.
func v1Of(n int) string {
	const head = "PROXY UNKNOWN "
	return head + strings.Repeat("f", n-len(head)-2) + "\r\n"
}

func TestProxyHeader(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   ProxyMode
		header string // at the start of what was read
		ok     bool
	}{
		{"text", ProxyV1, v1TCP4, true},
		{"text, unknown", ProxyBoth, v1Unknown, true},
		{"text of the greatest length", ProxyV1, v1Of(maxProxyV1), true},
		{"text one byte too long", ProxyV1, v1Of(maxProxyV1 + 1), false},
		{"text where binary is demanded", ProxyV2, v1TCP4, false},
		{"binary", ProxyV2, v2(12, inet...), true},
		{"binary, also", ProxyBoth, v2(12, inet...), true},
		{"binary without a body", ProxyV2, v2(0), true},
		{"binary of the greatest length", ProxyV2, v2(maxProxyV2, inet...), true},
		{"binary one byte too long", ProxyV2, v2(maxProxyV2+1, inet...), false},
		{"binary where text is demanded", ProxyV1, v2(12, inet...), false},
		{"a CONNECT", ProxyBoth, "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", false},
		{"a request", ProxyBoth, "GET /mqtt HTTP/1.1\r\n\r\n", false},
		{"lower case", ProxyBoth, "proxy TCP4 ", false},
		{"a signature that goes wrong", ProxyBoth, "\r\n\r\n\x00\r\nQUIX\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, rest := range []string{"", "\x10", "PROXY \r\n"} {
				n, ok := proxyHeader([]byte(c.header+rest), c.mode)
				require.Equal(t, c.ok, ok)
				if c.ok {
					require.Equal(t, len(c.header), n, "what lies behind belongs to the next layer")
				}
			}
			// Cut anywhere: more is awaited, until it is whole or cannot become one.
			refused := false
			for cut := range len(c.header) {
				n, ok := proxyHeader([]byte(c.header[:cut]), c.mode)
				require.Zero(t, n, "cut at %d", cut)
				require.False(t, ok && refused, "refused, then not")
				refused = refused || !ok
				require.False(t, c.ok && refused, "cut at %d", cut)
			}
		})
	}
}

func TestAPeerThatSendsNoHeaderIsRefusedAtItsFirstByte(t *testing.T) {
	for _, mode := range []ProxyMode{ProxyV1, ProxyV2, ProxyBoth} {
		n, ok := proxyHeader(nil, mode)
		require.Zero(t, n)
		require.True(t, ok)
		_, ok = proxyHeader([]byte{0x10}, mode)
		require.False(t, ok)
	}
}

func TestALineThatNeverEndsIsRefusedAtItsBound(t *testing.T) {
	line := []byte("PROXY " + strings.Repeat("x", 4*maxProxyV1))
	_, ok := proxyHeader(line[:maxProxyV1-1], ProxyV1)
	require.True(t, ok)
	_, ok = proxyHeader(line[:maxProxyV1], ProxyV1)
	require.False(t, ok)
}

// FuzzProxyHeader: a header that is found is in the bytes, stays found when more
// follow, and the library that reads it is given exactly that.
func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{v1TCP4, v1Unknown, v2(12, inet...), v2(0), "\x10\x0c", "PROXY "} {
		f.Add([]byte(s), uint8(ProxyBoth))
	}
	f.Fuzz(func(t *testing.T, b []byte, m uint8) {
		mode := ProxyV1 + ProxyMode(m%3)
		n, ok := proxyHeader(b, mode)
		if !ok || n == 0 {
			require.Zero(t, n)
			return
		}
		require.LessOrEqual(t, n, len(b))
		require.LessOrEqual(t, n, 16+maxProxyV2)
		again, ok := proxyHeader(append(bytes.Clone(b[:n]), "more"...), mode)
		require.True(t, ok)
		require.Equal(t, n, again)
		r := bufio.NewReaderSize(bytes.NewReader(b[:n]), 2*maxProxyV2)
		if _, err := proxyproto.Read(r); err == nil {
			_, err = r.ReadByte()
			require.ErrorIs(t, err, io.EOF)
		}
	})
}
