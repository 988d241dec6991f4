// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
)

// TestTheDiskHoldsWhatIsOwedAndNotWhatHasPassed is the bound of twice the bytes
// owed and 1 GiB, scaled down with the memory: a session that is away has one
// message in a hundred, all of them pass by another one. What is on the disk is
// looked at all the way.
func TestTheDiskHoldsWhatIsOwedAndNotWhatHasPassed(t *testing.T) {
	const scale, size, messages = 128, 4096, 10_240 // 40 MiB
	e, err := Open("data", Options{FS: vfs.NewMem(), MemtableBytes: defaultMemory / scale, CacheBytes: 1 << 20})
	require.NoError(t, err)
	write(t, e, synced(put(1), put(2)))
	h := newHistory(1)
	owed, passed := uint64(0), uint64(0)
	for seq := uint64(1); seq <= messages; {
		c := synced()
		for range 64 {
			op := give(seq, 2)
			if seq%100 == 0 {
				op.Sessions = []uint64{1, 2}
				owed += size
			}
			op.Message.Payload = make([]byte, size)
			for i := range op.Message.Payload {
				op.Message.Payload[i] = byte(h.rng.Uint32())
			}
			passed += size
			c.Ops = append(c.Ops, op, store.Op{Kind: store.Discard, Session: 2, Message: op.Message})
			seq++
		}
		write(t, e, c)
		require.LessOrEqual(t, e.db.Metrics().DiskSpaceUsage(), 2*owed+1<<30/scale, "after %d bytes", passed)
	}
	require.Greater(t, passed, 4*(2*owed+1<<30/scale), "or it would have shown nothing")
	require.Len(t, waiting(t, e)[1], messages/100)
	require.NoError(t, e.Close())
}
