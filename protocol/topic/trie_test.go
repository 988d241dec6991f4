// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// put stores filter with its own text as the value, so that a match says what
// it is.
func put(t *Trie[string], filter string) {
	t.Upsert(filter, func(*string) *string { return &filter })
}

func remove(t *Trie[string], filter string) {
	t.Upsert(filter, func(*string) *string { return nil })
}

func trieOf(filters ...string) *Trie[string] {
	t := NewTrie[string](0)
	for _, f := range filters {
		put(t, f)
	}
	return t
}

// matches returns what the trie finds for name, sorted.
func matches(t *Trie[string], name string) []string {
	out, ok := t.Match(nil, name, 1<<30)
	if !ok {
		panic("a billion steps were not enough")
	}
	texts := []string{}
	for _, v := range out {
		texts = append(texts, *v)
	}
	slices.Sort(texts)
	return texts
}

// expected is matches by the definition, from a plain list.
func expected(filters map[string]bool, name string) []string {
	out := []string{}
	for f := range filters {
		if Match(f, name) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}

func TestTrieFindsWhatTheStandardsSay(t *testing.T) {
	trie := trieOf("#", "+", "+/+", "/+", "/#", "sport/#", "sport/+", "sport/tennis/+/#", "$SYS/#",
		"$SYS/+/uptime", "+/tennis/player1", "sport/tennis/player1/ranking", "a//b", "a/+/b", "+/#")
	for name, want := range map[string][]string{
		"sport":                        {"#", "+", "+/#", "sport/#"},
		"sport/":                       {"#", "+/#", "+/+", "sport/#", "sport/+"},
		"sport/tennis/player1":         {"#", "+/#", "+/tennis/player1", "sport/#", "sport/tennis/+/#"},
		"sport/tennis/player1/ranking": {"#", "+/#", "sport/#", "sport/tennis/+/#", "sport/tennis/player1/ranking"},
		"/finance":                     {"#", "+/#", "+/+", "/#", "/+"},
		"a//b":                         {"#", "+/#", "a/+/b", "a//b"},
		// [v3.1.1 MQTT-4.7.2-1] [v5 MQTT-4.7.2-1]
		"$SYS":                 {"$SYS/#"},
		"$SYS/broker/uptime":   {"$SYS/#", "$SYS/+/uptime"},
		"$other/tennis/player": {},
		"":                     {},
	} {
		require.Equal(t, want, matches(trie, name), name)
	}
}

// randomFilter makes filters that share, split and differ by little.
func randomFilter(r *rand.Rand, words []string) string {
	levels := make([]string, 1+r.IntN(6))
	for i := range levels {
		if levels[i] = words[r.IntN(len(words))]; r.IntN(4) == 0 {
			levels[i] = "+"
		}
	}
	if r.IntN(4) == 0 {
		levels[len(levels)-1] = "#"
	}
	return strings.Join(levels, "/")
}

func randomName(r *rand.Rand, words []string) string {
	levels := make([]string, 1+r.IntN(6))
	for i := range levels {
		levels[i] = words[r.IntN(len(words))]
	}
	if name := strings.Join(levels, "/"); name != "" {
		return name
	}
	return "/"
}

var fewWords = []string{"a", "b", "", "ab", "$a", "longer level than eight"}

// sound fails unless the tree keeps its rule: a node has a value or two
// children, and counts what is there.
func sound[V any](t *testing.T, tree *tree[V]) (nodes int) {
	t.Helper()
	todo := []*node[V]{&tree.root}
	values := 0
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		nodes++
		children := []*node[V]{}
		if p := n.plus.Load(); p != nil {
			require.True(t, p.begins("+"))
			children = append(children, p)
		}
		if kids := n.kids.Load(); kids != nil {
			tables := []*table[V]{kids}
			if kids.dir != nil {
				tables = tables[:0]
				for i := range kids.dir {
					tables = append(tables, kids.dir[i].Load())
				}
			}
			live := 0
			for _, k := range tables {
				before := live
				k.each(func(_ uint32, c *node[V]) { live++; children = append(children, c) })
				require.EqualValues(t, live-before, k.live)
				require.LessOrEqual(t, int(k.used), k.limit())
				require.True(t, len(k.slots) <= 8 || int(k.live) >= len(k.slots)/8, "%d slots for %d children", len(k.slots), k.live)
			}
			require.EqualValues(t, live, kids.live)
			require.True(t, kids.dir == nil || live >= dirFloor, "a directory of %d children", live)
			require.NotZero(t, live, "a table without children is given back")
		}
		if n != &tree.root && n.empty() {
			require.GreaterOrEqual(t, len(children), 2, "node %q has neither a value nor two children", n.key)
		}
		for _, multi := range []bool{false, true} {
			if n.value(multi).Load() != nil {
				values++
			}
		}
		todo = append(todo, children...)
	}
	require.Equal(t, values, int(tree.count.Load()))
	return nodes
}

func TestTrieAgreesWithMatchThroughInsertsAndRemovals(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		trie, model := NewTrie[string](0), map[string]bool{}
		for range 400 {
			f := randomFilter(r, fewWords)
			if f == "" {
				continue
			}
			if r.IntN(3) > 0 {
				put(trie, f)
				model[f] = true
			} else {
				remove(trie, f)
				delete(model, f)
			}
			require.Equal(t, len(model), trie.Len())
			require.Equal(t, model[f], trie.Get(f) != nil)
			name := randomName(r, fewWords)
			require.Equal(t, expected(model, name), matches(trie, name), "seed %d, %q", seed, name)
		}
		sound(t, &trie.tree)
		for f := range model {
			require.Equal(t, f, *trie.Get(f))
			remove(trie, f)
		}
		require.Zero(t, trie.Len())
		require.Equal(t, 1, sound(t, &trie.tree), "an emptied trie is its root")
	}
}

func TestAWideLevelGrowsIntoADirectoryAndBack(t *testing.T) {
	trie := NewTrie[string](0)
	const n = 20_000
	name := func(i int) string { return fmt.Sprintf("device%d/state", i) }
	for i := range n {
		put(trie, name(i))
	}
	dir := trie.tree.root.kids.Load().dir
	require.NotNil(t, dir, "20,000 children are divided")
	for i := range dir {
		require.LessOrEqual(t, len(dir[i].Load().slots), maxSlots/8, "no part is long to rebuild")
	}
	sound(t, &trie.tree)
	for i := range n {
		require.Equal(t, []string{name(i)}, matches(trie, name(i)))
	}
	for i := range n {
		remove(trie, name(i))
		if i%1000 == 0 {
			sound(t, &trie.tree)
			require.Empty(t, matches(trie, name(i)))
			require.Equal(t, []string{name(n - 1)}, matches(trie, name(n-1)))
		}
		if i == n-100 {
			require.Nil(t, trie.tree.root.kids.Load().dir, "99 children are one table again")
		}
	}
	require.Nil(t, trie.tree.root.kids.Load())
}

func TestUpsertSeesAndReplacesTheValue(t *testing.T) {
	trie := trieOf("a/b")
	trie.Upsert("a/b", func(old *string) *string {
		require.Equal(t, "a/b", *old)
		next := "changed"
		return &next
	})
	require.Equal(t, "changed", *trie.Get("a/b"))
	require.Equal(t, 1, trie.Len())
	trie.Upsert("a/c", func(old *string) *string {
		require.Nil(t, old)
		return nil
	})
	require.Equal(t, 1, trie.Len(), "nothing is stored for a nil")
	require.Panics(t, func() {
		trie.Upsert("a/d", func(*string) *string { panic("in the caller's function") })
	})
	put(trie, "a/d")
	require.Equal(t, 2, trie.Len(), "the lock was given back")
	require.Nil(t, trie.Get("a"))
	require.Nil(t, trie.Get("a/b/#"))
	require.Nil(t, trie.Get("#"))
}

func TestUpsertPanicsOnAFilterTheCallerShouldHaveRefused(t *testing.T) {
	trie := NewTrie[string](3)
	for _, f := range []string{"", "a/#/b", "a+", "#a", "a/b/c/d", "a\x00"} {
		require.Panics(t, func() { put(trie, f) }, f)
	}
	put(trie, "a/b/#")
	require.Equal(t, 1, trie.Len())
}

func TestMatchAllocatesNothing(t *testing.T) {
	trie := trieOf("#", "site/+/dev/+/sensor", "site/1/dev/#", "site/1/dev/2/sensor", "+/1/+/2/+")
	dst := make([]*string, 0, 16)
	name := "site/1/dev/2/sensor"
	require.Zero(t, testing.AllocsPerRun(100, func() {
		out, _ := trie.Match(dst, name, 0)
		if len(out) != 5 {
			panic("not all filters matched")
		}
	}))
}
