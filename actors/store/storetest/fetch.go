// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

// resumes holds Resume and Fetch to what Sessions gives.
func resumes(t require.TestingT, e store.Engine, want []store.Stored) {
	f, ok := e.(store.Fetcher)
	if !ok {
		return // the broker keeps all of its queues in memory then
	}
	var got []store.Stored
	require.NoError(t, f.Resume(func(s store.Stored) bool {
		got = append(got, s)
		return true
	}))
	require.Len(t, got, len(want))
	for i, w := range want {
		g := got[i]
		if !w.Shares() {
			require.Empty(t, g.Queue)
			w.Waiting = waiting(w)
			unread(t, f, w)
			w.Queue, w.Found = nil, nil
		}
		require.Equal(t, w, g)
	}
}

// waiting is what Resume says of the messages that Sessions gives.
func waiting(s store.Stored) (out []store.Waiting) {
	for _, m := range s.Queue {
		out = append(out, store.Waiting{Seq: m.ID.Seq, Size: uint32(m.Size()), Found: slices.Contains(s.Found, m.ID.Seq)})
	}
	return out
}

// unread fetches what waits for a session, the newest first, and between them what
// never was.
func unread(t require.TestingT, f store.Fetcher, s store.Stored) {
	var positions []uint64
	var want []*message.Message
	for _, m := range slices.Backward(s.Queue) {
		positions, want = append(positions, m.ID.Seq, 1<<40), append(want, m, nil)
	}
	got, err := f.Fetch(s.Session, positions)
	require.NoError(t, err)
	require.Len(t, got, len(want))
	for i, m := range want {
		require.Equal(t, m, got[i])
	}
}

func fetches(t *testing.T, open func() store.Engine) {
	e := open()
	f, ok := e.(store.Fetcher)
	if !ok {
		t.Skip("this engine gives no single messages back")
	}
	var group []*store.Commit
	for number := range uint64(3) {
		group = append(group, &store.Commit{Ops: []store.Op{put(number + 1)}})
	}
	for seq := range uint64(40) {
		to := [][]uint64{{1}, {1, 2}, {2}, {1, 2, 3}}[seq%4]
		group = append(group, &store.Commit{Ops: []store.Op{appendTo(at(seq+1, "t"), to...)}})
	}
	require.NoError(t, writeGroup(e, group...))
	resumes(t, e, all(t, e))
	got, err := f.Fetch(1, []uint64{1, 3, 2, 99})
	require.NoError(t, err)
	require.Nil(t, got[1], "it is another session's")
	require.Nil(t, got[3], "nobody's")
	require.Equal(t, "payload 2", string(got[2].Payload))
	got, err = f.Fetch(9, []uint64{1})
	require.NoError(t, err)
	require.Equal(t, []*message.Message{nil}, got, "there is no such session")
	write(t, e, store.Op{Kind: store.Discard, Session: 1, Message: at(2, "t")})
	resumes(t, e, all(t, e))
	got, err = f.Fetch(2, []uint64{2})
	require.NoError(t, err)
	require.Equal(t, "payload 2", string(got[0].Payload), "the other one still has it")
	require.NoError(t, e.Close())
}
