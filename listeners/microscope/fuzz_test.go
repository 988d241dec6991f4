// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzReceived plays a server's bytes to a connection: nothing panics, and the
// frames that are read are the bytes that came.
func FuzzReceived(f *testing.F) {
	for _, s := range []string{"\x82\x04\x20\x02\x00\x00", "\x82\x02\xd0\x00\x89\x00\x88\x02\x03\xe8", "\x02\x01\x30\x80\x03\x04\x00\x01tx",
		"\x82\x7e\x00\x80" + string(make([]byte, 128)), "\x82\x82abcd\x00\x00"} {
		f.Add([]byte(s))
	}
	m := New(Options{Limits: Limits{MaxConnections: 1, MaxTotal: 1, MaxBytes: 1 << 16, MaxPacket: 1 << 12, Idle: time.Hour, Timeout: time.Second},
		Doors: func() []Door { return nil }})
	f.Cleanup(m.Close)
	f.Fuzz(func(t *testing.T, data []byte) {
		tab := &tab{limit: 1 << 20, changed: make(chan struct{})}
		c := newConn(m, tab, &target{}, &Request{}, false)
		c.phase, c.raw = Open, discard{}
		rest := data
		for {
			fr, n, err := readFrame(rest, m.limits.MaxPacket)
			if err != nil || n == 0 {
				break
			}
			require.Equal(t, rest[:n], fr.wire())
			rest = rest[n:]
			if c.received(fr) != nil {
				break
			}
		}
		for _, k := range []Mask{Nothing, Passwords, Contents} {
			events := masked(tab.events, k)
			require.Len(t, events, len(tab.events))
			var b bytes.Buffer
			require.NoError(t, Text(&b, events))
			require.NoError(t, Pcapng(&b, events, LayerWebSocket))
		}
	})
}

// discard is a connection that takes everything.
type discard struct{ net.Conn }

func (discard) Write(b []byte) (int, error)      { return len(b), nil }
func (discard) SetWriteDeadline(time.Time) error { return nil }
