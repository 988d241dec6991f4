// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"compress/flate"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPayloadsDoNotCompress(t *testing.T) {
	const size, many = 1 << 10, 64
	for _, tt := range []struct {
		name string
		fill func(b []byte, n int)
	}{
		{"messages of one publisher", func(b []byte, n int) { putFiller(b, 3, uint64(n)) }},
		{"first messages of publishers", func(b []byte, n int) { putFiller(b, uint32(n), 0) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			w, err := flate.NewWriter(&out, flate.BestCompression)
			require.NoError(t, err)
			for n := range many {
				b := make([]byte, size)
				tt.fill(b, n)
				_, err := w.Write(b)
				require.NoError(t, err)
			}
			require.NoError(t, w.Close())
			require.Greater(t, out.Len(), size*many*9/10)
		})
	}
}

func TestAPayloadLargerThanTheFillerIsFull(t *testing.T) {
	b := make([]byte, 3<<fillerBits)
	putFiller(b, 1, 1)
	require.Less(t, bytes.Count(b, []byte{0}), len(b)/100)
}
