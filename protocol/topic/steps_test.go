// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// worstOf builds the worst there is for the name it returns: every combination
// of level and + over n levels, so that the name reaches all 2^(n+1)-1 nodes.
func worstOf(n int, level string) (trie *Trie[string], name string) {
	trie = NewTrie[string](0)
	for bits := range 1 << n {
		f := make([]string, n)
		for i := range f {
			if f[i] = level; bits>>i&1 == 1 {
				f[i] = "+"
			}
		}
		put(trie, strings.Join(f, "/"))
	}
	return trie, strings.Repeat("/"+level, n)[1:]
}

func TestMatchStopsAtItsStepBound(t *testing.T) {
	const levels = 10
	trie, name := worstOf(levels, "x")
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
}

func TestTwelveLevelsCannotReachDefaultSteps(t *testing.T) {
	for level, want := range map[string]bool{"x": true, strings.Repeat("x", 63): true, strings.Repeat("x", 64): false} {
		trie, name := worstOf(12, level)
		_, ok := trie.Match(nil, name, 0)
		require.Equal(t, want, ok, "levels of %d bytes", len(level))
	}
}

// within fails unless Match needs exactly this many steps to find that many.
func within(t *testing.T, trie *Trie[string], name string, steps, found int) {
	t.Helper()
	out, ok := trie.Match(nil, name, steps)
	require.True(t, ok, "%d steps are enough", steps)
	require.Len(t, out, found)
	_, ok = trie.Match(nil, name, steps-1)
	require.False(t, ok, "%d steps are not", steps-1)
}

// TestLongKeysCountAsSteps has few nodes but many levels to compare in each.
func TestLongKeysCountAsSteps(t *testing.T) {
	name := strings.Repeat("x/", 99) + "x"
	pluses := strings.Repeat("/+", 99)
	bytes := len(name) / bytesPerStep
	within(t, trieOf("+"+pluses), name, 2+99+bytes, 1)
	within(t, trieOf("x"+pluses), name, 2+99+bytes, 1)
	within(t, trieOf("+"+pluses, "x"+pluses), name, 3+2*(99+bytes), 2)
	within(t, trieOf("+"+pluses+"/y"), name, 1+100+bytes, 0)
	within(t, trieOf(name), name, 2+bytes, 1)
	within(t, trieOf(name), name[:63], 1+32, 0) // 32 levels of a key of 100
}

func TestLongLevelsCountAsSteps(t *testing.T) {
	const levels = 6
	trie, name := worstOf(levels, strings.Repeat("x", 10*bytesPerStep))
	// Each node; and at each that is not the last, the level is read to find the
	// literal child, once more to compare its key, and to pass it under +.
	const nodes, inner = 1<<(levels+1) - 1, 1<<levels - 1
	within(t, trie, name, nodes+inner*3*10, 1<<levels)
}
