// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMatchStopsAtItsStepBound builds the worst there is: every combination of
// literal and + over L levels, so that a name reaches all 2^(L+1)-1 nodes.
func TestMatchStopsAtItsStepBound(t *testing.T) {
	const levels = 10
	trie := NewTrie[string](0)
	for bits := range 1 << levels {
		f := make([]string, levels)
		for i := range f {
			if f[i] = "x"; bits>>i&1 == 1 {
				f[i] = "+"
			}
		}
		put(trie, strings.Join(f, "/"))
	}
	name := []byte(strings.Repeat("/x", levels)[1:])
	const worst = 1<<(levels+1) - 1

	out, ok := trie.Match(nil, name, worst)
	require.True(t, ok)
	require.Len(t, out, 1<<levels)
	out, ok = trie.Match(nil, name, worst-1)
	require.False(t, ok, "one step short")
	require.Less(t, len(out), 1<<levels)
	out, ok = trie.Match(nil, name, 5)
	require.False(t, ok)
	require.Empty(t, out, "five steps do not lead down ten levels")
	_, ok = trie.Match(nil, name, 0)
	require.True(t, ok, "zero means DefaultSteps, which ten levels cannot reach")
}

// TestLongKeysCountAsSteps has few nodes but much to compare in each.
func TestLongKeysCountAsSteps(t *testing.T) {
	trie := NewTrie[string](0)
	for i := range 20 {
		put(trie, strings.Repeat("+/", i)+"x"+strings.Repeat("/+", 100-i))
	}
	name := []byte(strings.Repeat("x/", 100) + "x")
	out, ok := trie.Match(nil, name, 1000)
	require.False(t, ok, "20 filters of 100 wildcards cost more than 1000 steps")
	require.NotEmpty(t, out)
	out, ok = trie.Match(nil, name, 2200)
	require.True(t, ok)
	require.Len(t, out, 20)
}

func TestLongLevelsCountAsSteps(t *testing.T) {
	const levels = 6
	long, trie := strings.Repeat("x", 640), NewTrie[string](0)
	for bits := range 1 << levels {
		f := make([]string, levels)
		for i := range f {
			if f[i] = long; bits>>i&1 == 1 {
				f[i] = "+"
			}
		}
		put(trie, strings.Join(f, "/"))
	}
	name := []byte(strings.Repeat("/"+long, levels)[1:])
	const nodes = 1<<(levels+1) - 1
	_, ok := trie.Match(nil, name, 10*nodes)
	require.False(t, ok, "each node costs ten steps and more")
	out, ok := trie.Match(nil, name, 40*nodes)
	require.True(t, ok)
	require.Len(t, out, 1<<levels)
}
