// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFeed: whatever comes behind an upgrade, and however it is cut, the driver
// neither panics nor runs dry, does the same, and keeps little.
func FuzzFeed(f *testing.F) {
	f.Add([]byte("\x82\x82\x8f\x06\x5d\x55\x4f\x06"), uint64(1), false)
	f.Add(frame(opBinary, []byte("x")), uint64(2), true)
	f.Add(append(frame(finBit|rsv1Bit|opBinary, deflated(f, []byte("hello"))), frame(finBit|opPing, nil)...), uint64(3), true)
	f.Add(frame(finBit|opClose, []byte{3, 0xe8}), uint64(4), false)
	f.Add([]byte("\x82\xff\x40\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05"), uint64(5), true)
	f.Fuzz(func(t *testing.T, stream []byte, cuts uint64, compression bool) {
		cfg := Config{Compression: compression, AllowText: cuts&1 != 0, MaxMessage: 4 << 10, MaxInflated: 16 << 10}
		rnd := rand.New(rand.NewPCG(cuts, 0))
		run := func(next func() int) (dst, out []byte, err error) {
			sh, d := upgraded(t, cfg)
			dst, out, err = feed(sh, d, stream, next)
			require.LessOrEqual(t, d.Held(), 3*cfg.MaxMessage)
			if end, ok := err.(*CloseError); ok {
				require.NotEqual(t, LabelPanic, end.Label, "%s", end.Stack)
				require.NotEqual(t, LabelDry, end.Label)
				require.True(t, d.Closed())
			}
			return dst, out, err
		}
		dst, out, err := run(whole)
		dst2, out2, err2 := run(func() int { return 1 + rnd.IntN(9) })
		require.True(t, bytes.Equal(dst, dst2))
		require.True(t, bytes.Equal(out, out2))
		require.Equal(t, err, err2)
	})
}

// FuzzUpgrade: whatever comes first, the outcome does not depend on the cut.
func FuzzUpgrade(f *testing.F) {
	f.Add([]byte(request), 10)
	f.Add([]byte(with(deflateRequest+"Origin: http://a\r\n")), 40)
	f.Add([]byte("POST /mqtt/publish HTTP/1.0\n\nx"), 3)
	f.Add([]byte("GET / HTTP/1.1\r\n \r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		u, sh := NewUpgrader(Config{MaxHeader: 512, Compression: true, CheckHost: true}), NewShared()
		res, out := u.Upgrade(sh, &Driver{}, in, nil)
		d := &Driver{}
		part, out2 := u.Upgrade(sh, d, in[:min(max(cut, 0), len(in))], nil)
		if part.Outcome == NeedMore {
			require.Empty(t, out2)
			part, out2 = u.Upgrade(sh, d, in, nil)
		}
		require.Equal(t, res.Outcome, part.Outcome)
		require.Equal(t, res.Consumed, part.Consumed)
		require.Equal(t, string(out), string(out2))
		require.Equal(t, res.Outcome == NeedMore || res.Outcome == PlainHTTP, len(out) == 0)
		if r := res.Refusal; r != nil {
			require.NotEqual(t, "panic", r.Label, "%s", r.Stack)
			require.NotEqual(t, "upgrade", r.Label, "the ladder let through what gorilla refuses: %s", r.Sentence)
		}
	})
}
