// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// walkAll pages through the whole trie and returns the filters in its order.
func walkAll(t *testing.T, trie *Trie[string], page int, between func()) []string {
	all, last := []string{}, ""
	for {
		n := 0
		trie.Walk(last, page, func(filter string, v *string) bool {
			require.Equal(t, filter, *v)
			all, last = append(all, filter), filter
			n++
			return true
		})
		require.LessOrEqual(t, n, page)
		if n < page {
			return all
		}
		between()
	}
}

func TestWalkYieldsEachFilterOnceInPagesOfAnySize(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 4))
		trie, model := NewTrie[string](0), map[string]bool{}
		for range 150 {
			if f := randomFilter(r, fewWords); f != "" {
				put(trie, f)
				model[f] = true
			}
		}
		whole := walkAll(t, trie, 1<<20, func() {})
		require.ElementsMatch(t, slices.Collect(maps.Keys(model)), whole)
		for _, page := range []int{1, 2, 7} {
			require.Equal(t, whole, walkAll(t, trie, page, func() {}), "the order does not depend on the pages")
		}
	}
}

func TestWalkIsResumedBehindAFilterThatIsGone(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 5))
		trie, fixed, passing := NewTrie[string](0), map[string]bool{}, map[string]bool{}
		for range 100 {
			if f := randomFilter(r, fewWords); f != "" {
				put(trie, f)
				if r.IntN(2) == 0 {
					fixed[f] = true
				} else {
					passing[f] = true
				}
			}
		}
		maps.DeleteFunc(passing, func(f string, _ bool) bool { return fixed[f] })
		got := walkAll(t, trie, 1+r.IntN(3), func() {
			for range 5 {
				f := randomFilter(r, fewWords)
				if f == "" || fixed[f] {
					continue
				}
				put(trie, f)
				passing[f] = true
			}
			for f := range passing { // some of them, also what was just yielded
				if r.IntN(3) == 0 {
					remove(trie, f)
					delete(passing, f)
				}
			}
		})
		seen := map[string]int{}
		for _, f := range got {
			seen[f]++
			require.Equal(t, 1, seen[f], "%q came twice", f)
		}
		for f := range fixed {
			require.Equal(t, 1, seen[f], "seed %d: %q was there all the time and was missed", seed, f)
		}
	}
}

// suffix returns what a walk yields behind any text, and fails unless that is
// the end of the whole walk.
func suffix(t *testing.T, trie *Trie[string], after string) (rest []string) {
	t.Helper()
	whole := walkAll(t, trie, 1<<20, func() {})
	trie.Walk(after, 1<<20, func(f string, _ *string) bool { rest = append(rest, f); return true })
	require.LessOrEqual(t, len(rest), len(whole))
	require.Equal(t, whole[len(whole)-len(rest):], append([]string{}, rest...), "%q", after)
	if i := slices.Index(whole, after); i >= 0 {
		require.Len(t, rest, len(whole)-i-1, "%q", after)
	}
	return rest
}

func TestEveryTextIsAPlaceInTheOrder(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 8))
		trie := NewTrie[string](0)
		for range 60 {
			if f := randomFilter(r, fewWords); f != "" {
				put(trie, f)
			}
		}
		for range 60 {
			suffix(t, trie, randomFilter(r, fewWords))
		}
		for _, nonsense := range []string{"#/a", "a/#/b", "##", "+/#/+", "\x00", "////////", "a+", "$share/g/a"} {
			suffix(t, trie, nonsense)
		}
	}
	trie := trieOf("a", "a/#", "a/+/x", "a/b")
	require.Equal(t, []string{"a/#", "a/+/x", "a/b"}, suffix(t, trie, "a"))
	require.Equal(t, []string{"a/+/x", "a/b"}, suffix(t, trie, "a/#"))
	require.Equal(t, []string{"a/+/x", "a/b"}, suffix(t, trie, "a/+"))
	require.Equal(t, []string{"a/b"}, suffix(t, trie, "a/+/x/y"))
}

func TestWalkStopsWhenYieldSaysSo(t *testing.T) {
	trie := trieOf("a", "b", "c")
	n := 0
	trie.Walk("", 10, func(string, *string) bool { n++; return n < 2 })
	require.Equal(t, 2, n)
	trie.Walk("", 0, func(string, *string) bool { n++; return true })
	require.Equal(t, 2, n)
	NewTrie[string](0).Walk("", 10, func(string, *string) bool { n++; return true })
	require.Equal(t, 2, n)
}

func TestWalkAcrossADirectory(t *testing.T) {
	trie := NewTrie[string](0)
	want := []string{}
	for i := range 10_000 {
		f := fmt.Sprintf("d%d/x", i)
		put(trie, f)
		want = append(want, f)
	}
	require.NotNil(t, trie.tree.root.kids.Load().dir)
	got := walkAll(t, trie, 999, func() {})
	require.Equal(t, len(want), len(got))
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}

func TestTheOrderOfAWalkIsTheSeedsAlone(t *testing.T) {
	order := func(seed uint64, count int) (out []string) {
		trie := NewSeededTrie[string](0, seed)
		for i := range count { // inserted in another order, and grown through other sizes
			put(trie, fmt.Sprintf("d%d/x", (i*7)%count))
		}
		for i := 100; i < count; i++ {
			remove(trie, fmt.Sprintf("d%d/x", i))
		}
		trie.Walk("", count, func(f string, _ *string) bool { out = append(out, f); return true })
		return out
	}
	require.Equal(t, order(1, 100), order(1, 100))
	require.Equal(t, order(1, 100), order(1, 5000), "sizes a table has been through do not show")
	require.NotEqual(t, order(1, 100), order(2, 100))
}
