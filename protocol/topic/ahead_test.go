// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAheadFindsTheValuesOfALargeTable(t *testing.T) {
	for _, wide := range []int{1000, 20_000} { // one table, and a divided one
		trie := NewTrie[string](0)
		for i := range wide {
			put(trie, fmt.Sprintf("device/%d/+", i))
			put(trie, fmt.Sprintf("device/%d/state/#", i))
		}
		put(trie, "small/a/b")
		found, names := 0, make([][]byte, Lanes+1)
		for i := 0; i+Lanes < wide; i += Lanes {
			for j := range names {
				names[j] = fmt.Appendf(nil, "device/%d", i+j)
			}
			for j, v := range trie.Ahead(names) {
				require.Nil(t, v, "%s is no filter", names[j])
			}
		}
		trie = NewTrie[string](0)
		for i := range wide {
			put(trie, fmt.Sprintf("device/%d/+", i))
		}
		put(trie, "small/a/b")
		second := func(filter string) uint32 { return trie.tree.hash.hash(strings.Split(filter, "/")[1]) }
		for i := 0; i+Lanes < wide; i += Lanes {
			for j := range names {
				names[j] = fmt.Appendf(nil, "device/%d/state", i+j)
			}
			for j, v := range trie.Ahead(names) {
				if v != nil { // Ahead compares hashes alone, and some of 20,000 may be equal
					require.Equal(t, second(fmt.Sprintf("device/%d/+", i+j)), second(*v), "%s for device/%d", *v, i+j)
					found++
				}
			}
		}
		require.Greater(t, found, wide/2, "those that stand in their own slots")
		for _, name := range []string{"", "/", "device", "device/", "device/x/state", "small/a/b", "small", "nowhere/at/all", "$SYS/device/1"} {
			require.Nil(t, trie.Ahead([][]byte{[]byte(name)})[0], name)
		}
	}
	require.Nil(t, NewTrie[string](0).Ahead([][]byte{[]byte("a")})[0])
}

// BenchmarkTrieAhead is BenchmarkTrieMatch's "wide", cold, with and without a look
// ahead for each sixteen names.
func BenchmarkTrieAhead(b *testing.B) {
	const n = 1_000_000
	filters := texts(n, func(i int) string { return fmt.Sprintf("device/%d/+", i) })
	trie := NewTrie[[4]int](0)
	for _, f := range filters {
		trie.Upsert(f, func(*[4]int) *[4]int { return new([4]int) })
	}
	names := make([][]byte, n)
	for i := range names {
		names[i] = fmt.Appendf(nil, "device/%d/state", i*7919%n)
	}
	for _, ahead := range []bool{false, true} {
		b.Run(fmt.Sprintf("ahead=%v", ahead), func(b *testing.B) {
			dst, sum := make([]*[4]int, 0, 16), 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				at := i % (n - Lanes)
				if ahead && i%Lanes == 0 {
					for _, v := range trie.Ahead(names[at : at+Lanes]) {
						if v != nil {
							sum += v[0]
						}
					}
				}
				out, ok := trie.Match(dst, string(names[at]), 0)
				if !ok || len(out) != 1 {
					b.Fatal("not found")
				}
				sum += out[0][0]
			}
			if sum != 0 {
				b.Fatal("not what was stored")
			}
		})
	}
}
