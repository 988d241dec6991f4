// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadersAlwaysFindWhatIsNotBeingChanged keeps some filters in place while
// a writer adds and removes others around them, so that keys are cut and joined
// and tables grow, are divided and shrink under the readers. Run it with -race.
func TestReadersAlwaysFindWhatIsNotBeingChanged(t *testing.T) {
	trie := NewTrie[string](0)
	second := func(filter string) uint32 { return trie.tree.hash.hash(strings.Split(filter, "/")[1]) }
	const fixed = 50
	for i := range fixed {
		put(trie, fmt.Sprintf("a/%d/state/on", i))
		put(trie, fmt.Sprintf("a/+/state/%d", i))
	}
	var done atomic.Bool
	var readers sync.WaitGroup
	for reader := range 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			r := rand.New(rand.NewPCG(uint64(reader), 2))
			var dst []*string
			for !done.Load() {
				i := r.IntN(fixed)
				on, number := fmt.Sprintf("a/%d/state/on", i), fmt.Sprintf("a/x/state/%d", i)
				out, ok := trie.Match(dst[:0], on, 0)
				if !ok || !holds(out, on) {
					t.Errorf("%s is there and was not found", on)
					return
				}
				out, ok = trie.Match(out[:0], number, 0)
				if !ok || !holds(out, fmt.Sprintf("a/+/state/%d", i)) {
					t.Errorf("a filter for %s is there and was not found", number)
					return
				}
				if trie.Get(on) == nil {
					t.Errorf("%s is there and was not got", on)
					return
				}
				wide := fmt.Appendf(nil, "a/w%d/state/on", r.IntN(6000))
				// Ahead compares hashes alone, and some of 6,000 may be equal.
				if v := trie.Ahead([][]byte{[]byte(on), wide})[1]; v != nil && second(*v) != second(string(wide)) {
					t.Errorf("%s found for %s", *v, wide)
					return
				}
				dst = out
			}
		}()
	}
	r := rand.New(rand.NewPCG(3, 3))
	churn := func(filters ...string) {
		for _, f := range filters {
			put(trie, f)
		}
		for _, f := range filters {
			remove(trie, f)
		}
	}
	for range 300 {
		i := r.IntN(fixed)
		churn(fmt.Sprintf("a/%d", i), fmt.Sprintf("a/%d/state", i), fmt.Sprintf("a/%d/+/on", i), "a/+", "a/#", "+/+/state/#")
	}
	wide := make([]string, 6000)
	for i := range wide {
		wide[i] = fmt.Sprintf("a/w%d/state/on", i)
	}
	for range 2 {
		churn(wide...)
	}
	done.Store(true)
	readers.Wait()
	require.Equal(t, 2*fixed, trie.Len())
	sound(t, &trie.tree)
}

func holds(out []*string, filter string) bool {
	for _, v := range out {
		if *v == filter {
			return true
		}
	}
	return false
}
