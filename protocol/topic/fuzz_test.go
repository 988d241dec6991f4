// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMatch stores the lines of filters in a Trie and asks for name; and the
// lines as names in an Index and asks for each of the filters. Both must agree
// with Match, also after half of what is stored has gone again.
func FuzzMatch(f *testing.F) {
	f.Add("#\n+/+\na/b\na/+/c\na/b/#", "a/b/c")
	f.Add("a//b\n/#\n+/+/+\n/\na/", "a//b")
	f.Add("$SYS/#\n#\n+/x\n$SYS/+", "$SYS/x")
	f.Add("a/b/c/d\na/b/x/d\na/b\na/+/c/d\na/+/x", "a/b/c/d")
	f.Fuzz(func(t *testing.T, filters, name string) {
		lines := strings.Split(filters, "\n")
		if len(lines) > 64 || ValidName(name, Limits{}) != nil {
			return
		}
		trie, index := NewSeededTrie[string](0, 1), NewSeededIndex[string](0, 1)
		stored, names := map[string]bool{}, map[string]bool{name: true}
		index.Put(name, name)
		for _, l := range lines {
			if ValidFilter(l, Limits{}) == nil {
				put(trie, l)
				stored[l] = true
			}
			if ValidName(l, Limits{}) == nil {
				index.Put(l, l)
				names[l] = true
			}
		}
		agree(t, trie, index, stored, names)
		suffix(t, trie, name)
		for i, l := range lines {
			suffix(t, trie, l)
			if i%2 == 0 && stored[l] {
				remove(trie, l)
				delete(stored, l)
				index.Delete(l)
				delete(names, l)
			}
		}
		agree(t, trie, index, stored, names)
	})
}

func agree(t *testing.T, trie *Trie[string], index *Index[string], filters, names map[string]bool) {
	sound(t, &trie.tree)
	sound(t, &index.tree)
	for n := range names {
		require.Equal(t, expected(filters, n), matches(trie, n), "%q", n)
	}
	for f := range filters {
		want := []string{}
		for n := range names {
			if Match(f, n) {
				want = append(want, n)
			}
		}
		got := collect(t, index, f, 3, func() {})
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got, "%q", f)
	}
	require.ElementsMatch(t, walkAll(t, trie, 3, func() {}), walkAll(t, trie, 1000, func() {}))
}

// FuzzFilter holds the validators to a second, slower reading of 4.7, level by
// level, and ParseShare to the text it came from.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"", "a", "+", "#", "a/#", "a/+/b", "a+", "#/a", "a/#b", "/", "\x00", "$share/g/t", "$share//t", "$queue/+", "$share/g", "a/b/c/d/e/f/g/h/i"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		levels := strings.Split(s, "/")
		plain := s != "" && len(s) <= 100 && len(levels) <= 8 && !strings.Contains(s, "\x00")
		name, filter := plain, plain
		for i, l := range levels {
			wild := strings.ContainsAny(l, "+#")
			name = name && !wild
			filter = filter && (!wild || l == "+" || l == "#" && i == len(levels)-1)
		}
		lim := Limits{Length: 100, Levels: 8}
		require.Equal(t, name, ValidName(s, lim) == nil, "%q", s)
		require.Equal(t, filter, ValidFilter(s, lim) == nil, "%q", s)
		if name {
			require.True(t, Match(s, s))
		}
		if filter {
			require.Equal(t, !name, HasWildcard(s))
		}
		share, shared, err := ParseShare(s)
		require.Equal(t, len(levels) > 1 && (levels[0] == "$share" || levels[0] == "$queue"), shared)
		if shared && err == nil {
			require.Equal(t, s, share.String())
			require.NotEmpty(t, share.Group)
			require.NotContains(t, share.Group, "/")
			require.NotEmpty(t, share.Filter)
		}
		if !shared {
			require.NoError(t, err)
		}
	})
}
