// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

func TestTopicsAreCountedThatWereAskedFor(t *testing.T) {
	var none *Topics
	require.Nil(t, none.Find("a"))
	ts := NewTopics(2)
	require.False(t, ts.On())
	require.NoError(t, ts.Add("b", start))
	require.NoError(t, ts.Add("a", start))
	require.ErrorIs(t, ts.Add("a", start), ErrTopicThere)
	require.ErrorIs(t, ts.Add("c", start), ErrTopics)
	ts.Find("a").Received[1].Add(1)
	require.Nil(t, ts.Find("c"))
	require.Equal(t, []string{"a", "b"}, ts.Names())
	require.True(t, ts.Remove("b"))
	require.False(t, ts.Remove("b"))
	require.EqualValues(t, 1, ts.Find("a").Received[1].Load(), "others go on counting")
	require.True(t, ts.Remove("a"))
	require.False(t, ts.On())
}

func TestTheSlowestAreKept(t *testing.T) {
	s := NewSlow(time.Second, 2, time.Minute)
	require.True(t, s.Late(time.Second))
	require.False(t, s.Late(time.Second-1))
	var none *Slow
	require.False(t, none.Late(time.Hour))
	require.False(t, NewSlow(0, 2, time.Minute).Late(time.Hour))

	note := func(id string, d time.Duration, at int) {
		s.add(SlowEntry{ClientID: id, Latency: d, At: start.Add(time.Duration(at) * time.Second)})
	}
	ids := func(at int) (out []string) {
		for _, e := range s.List(start.Add(time.Duration(at) * time.Second)) {
			out = append(out, e.ClientID)
		}
		return out
	}
	note("a", 2*time.Second, 0)
	note("b", 3*time.Second, 1)
	note("b", time.Second, 2) // not its slowest
	require.Equal(t, []string{"b", "a"}, ids(2))
	note("c", time.Second, 3)
	require.Equal(t, []string{"b", "a"}, ids(3), "faster than those that are kept")
	note("c", 4*time.Second, 4)
	require.Equal(t, []string{"c", "b"}, ids(4))
	require.Equal(t, []string{"c"}, ids(62), "the window is over for b")
	s.Reset()
	require.Empty(t, ids(62))
}
