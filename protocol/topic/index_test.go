// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// collect walks an index for a filter to the end, in pages.
func collect(t *testing.T, x *Index[string], filter string, page int, between func()) []string {
	t.Helper()
	var entries []Entry[string]
	var cur Cursor
	names := []string{}
	for {
		var done bool
		entries, cur, done = x.Match(filter, cur, page, entries[:0])
		require.LessOrEqual(t, len(entries), page)
		for _, e := range entries {
			require.Equal(t, e.Name, e.Value)
			names = append(names, e.Name)
		}
		if done {
			return names
		}
		between()
	}
}

func TestIndexFindsWhatTheStandardsSay(t *testing.T) {
	x := NewIndex[string](0)
	for _, n := range []string{"sport", "sport/", "sport/tennis", "sport/tennis/player1", "/finance", "/", "a//b", "$SYS", "$SYS/uptime", "a"} {
		x.Put(n, n)
	}
	for filter, want := range map[string][]string{
		"#":              {"/", "/finance", "a", "a//b", "sport", "sport/", "sport/tennis", "sport/tennis/player1"},
		"sport/#":        {"sport", "sport/", "sport/tennis", "sport/tennis/player1"},
		"sport/+":        {"sport/", "sport/tennis"},
		"sport/+/#":      {"sport/", "sport/tennis", "sport/tennis/player1"},
		"+":              {"a", "sport"},
		"+/+":            {"/", "/finance", "sport/", "sport/tennis"},
		"/#":             {"/", "/finance"},
		"a/+/b":          {"a//b"},
		"a//b":           {"a//b"},
		"sport":          {"sport"},
		"sport/squash":   {},
		"+/tennis/+":     {"sport/tennis/player1"},
		"$SYS/#":         {"$SYS", "$SYS/uptime"}, // [v3.1.1 MQTT-4.7.2-1] [v5 MQTT-4.7.2-1]
		"$SYS/+":         {"$SYS/uptime"},
		"+/uptime":       {},
		"":               {},
		"sport/tennis/#": {"sport/tennis", "sport/tennis/player1"},
	} {
		got := collect(t, x, filter, 2, func() {})
		slices.Sort(got)
		require.Equal(t, want, got, filter)
	}
}

func TestIndexPutGetDelete(t *testing.T) {
	x := NewIndex[int](3)
	old, had := x.Put("a/b", 1)
	require.False(t, had)
	require.Zero(t, old)
	old, had = x.Put("a/b", 2)
	require.True(t, had)
	require.Equal(t, 1, old)
	require.Equal(t, 1, x.Len())
	v, ok := x.Get("a/b")
	require.True(t, ok)
	require.Equal(t, 2, v)
	for _, absent := range []string{"", "a", "a/c", "a/b/c", "a/#", "a/+", "#", "+"} {
		_, ok = x.Get(absent)
		require.False(t, ok, absent)
		_, had = x.Delete(absent)
		require.False(t, had, absent)
	}
	for _, bad := range []string{"", "a/+", "#", "a\x00", "a/b/c/d"} {
		require.Panics(t, func() { x.Put(bad, 1) }, bad)
	}
	old, had = x.Delete("a/b")
	require.True(t, had)
	require.Equal(t, 2, old)
	require.Zero(t, x.Len())
	require.Equal(t, 1, sound(t, &x.tree))
}

// TestIndexAgreesWithMatchWhileNamesComeAndGo puts and deletes between pages:
// what stays is returned exactly once, nothing twice, nothing that is wrong.
func TestIndexAgreesWithMatchWhileNamesComeAndGo(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 6))
		x, fixed := NewIndex[string](0), map[string]bool{}
		for range 80 {
			n := randomName(r, fewWords)
			x.Put(n, n)
			fixed[n] = r.IntN(2) == 0 || fixed[n]
		}
		filter := randomFilter(r, fewWords)
		if filter == "" {
			continue
		}
		seen := map[string]int{}
		for _, n := range collect(t, x, filter, 1+r.IntN(3), func() {
			for range 4 {
				n := randomName(r, fewWords)
				if fixed[n] {
					continue
				}
				if r.IntN(2) == 0 {
					x.Put(n, n)
				} else {
					x.Delete(n)
				}
			}
		}) {
			seen[n]++
			require.Equal(t, 1, seen[n], "%q came twice", n)
			require.True(t, Match(filter, n), "%q on %q", filter, n)
		}
		for n, stays := range fixed {
			if stays && Match(filter, n) {
				require.Equal(t, 1, seen[n], "seed %d: %q on %q was missed", seed, filter, n)
			}
		}
		sound(t, &x.tree)
	}
}

func TestAMatchThatFindsLittleStillReturnsSoon(t *testing.T) {
	x := NewIndex[string](0)
	const n = 5000
	for i := range n {
		name := fmt.Sprintf("d%d/state", i)
		x.Put(name, name)
	}
	x.Put("d77/alarm", "d77/alarm")
	calls := 1
	got := collect(t, x, "+/alarm", 10, func() { calls++ })
	require.Equal(t, []string{"d77/alarm"}, got)
	require.Greater(t, calls, n/(stepsAtLeast+10*stepsPerResult)-1, "one call would have been too long")

	calls = 1
	require.Equal(t, []string{"d77/alarm"}, collect(t, x, "d77/alarm", 10, func() { calls++ }))
	require.Equal(t, 1, calls, "without a wildcard there is nothing to walk")

	calls = 1
	require.Len(t, collect(t, x, "+/state", 100, func() { calls++ }), n)
	require.LessOrEqual(t, calls, n/100+1, "where most matches, the results are the bound")
}

// TestAWalkAmongWritersMissesNothing is the same with the writer beside it.
func TestAWalkAmongWritersMissesNothing(t *testing.T) {
	x := NewIndex[string](0)
	const fixed = 200
	for i := range fixed {
		n := fmt.Sprintf("a/%d/on", i)
		x.Put(n, n)
	}
	var done atomic.Bool
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		r := rand.New(rand.NewPCG(1, 7))
		for !done.Load() {
			i := r.IntN(fixed)
			names := []string{fmt.Sprintf("a/%d", i), fmt.Sprintf("a/%d/on/x", i), fmt.Sprintf("a/new%d/on", r.IntN(5000)), "b"}
			for _, n := range names {
				x.Put(n, n)
			}
			for _, n := range names {
				if r.IntN(4) > 0 {
					x.Delete(n)
				}
			}
		}
	}()
	for round := range 60 {
		seen := map[string]int{}
		for _, n := range collect(t, x, []string{"#", "a/+/on", "+/+/on"}[round%3], 50, func() {}) {
			seen[n]++
		}
		for i := range fixed {
			require.Equal(t, 1, seen[fmt.Sprintf("a/%d/on", i)], "a/%d/on", i)
		}
		for n, c := range seen {
			require.Equal(t, 1, c, n)
		}
	}
	done.Store(true)
	writer.Wait()
	sound(t, &x.tree)
}
