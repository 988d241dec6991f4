// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/supervisor/cell"
)

// containersOf is a stage's containers and what they should be.
type containersOf struct {
	maps   [2]cell.Map[int, int]
	queues [2]cell.Queue[int]
	wantM  [2]map[int]int
	wantQ  [2][]int
}

// change does something to one of them, in both forms, and looks at the result
// as the decision sees it.
func (c *containersOf) change(t *rapid.T, ctx *cell.Context) {
	i := rapid.IntRange(0, 1).Draw(t, "which")
	m, q := &c.maps[i], &c.queues[i]
	k := rapid.IntRange(0, 40).Draw(t, "key")
	switch rapid.IntRange(0, 5).Draw(t, "what") {
	case 0, 1:
		v := rapid.Int().Draw(t, "value")
		m.Put(ctx, k, v)
		c.wantM[i][k] = v
	case 2:
		m.Delete(ctx, k)
		delete(c.wantM[i], k)
	case 3, 4:
		q.Push(ctx, k)
		c.wantQ[i] = append(c.wantQ[i], k)
	case 5:
		if len(c.wantQ[i]) > 0 {
			q.Pop(ctx)
			c.wantQ[i] = c.wantQ[i][1:]
		}
	}
	v, ok := m.Get(ctx, k)
	want, there := c.wantM[i][k]
	require.Equal(t, there, ok)
	require.Equal(t, want, v)
	require.Equal(t, len(c.wantM[i]), m.Seen(ctx))
	require.Equal(t, len(c.wantQ[i]), q.Len(ctx))
	v, ok = q.Peek(ctx)
	require.Equal(t, len(c.wantQ[i]) > 0, ok)
	if ok {
		require.Equal(t, c.wantQ[i][0], v)
	}
}

func (c *containersOf) committed(t require.TestingT) {
	for i := range c.maps {
		require.Equal(t, c.wantM[i], maps.Collect(c.maps[i].All))
		require.Equal(t, len(c.wantM[i]), c.maps[i].Len())
		require.Equal(t, append([]int{}, c.wantQ[i]...), append([]int{}, slices.Collect(c.queues[i].All)...))
		require.Equal(t, len(c.wantQ[i]), c.queues[i].Size())
	}
}

// TestADecisionSeesItsOwnChangesAndACrashLeavesNone: small decisions and large
// ones, those that commit and those that crash first.
func TestADecisionSeesItsOwnChangesAndACrashLeavesNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		c := &containersOf{wantM: [2]map[int]int{{}, {}}}
		to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
			if m, ok := ctx.Message().(*text); ok && m.s == "crash" && !ctx.Again() {
				for i := range 2 {
					for n := range 40 {
						c.maps[i].Put(ctx, n, -n)
						c.queues[i].Push(ctx, -n)
					}
					c.maps[i].Delete(ctx, 3)
					c.queues[i].Pop(ctx)
				}
				panic("crash")
			}
			c.committed(t)
			for range rapid.IntRange(0, 60).Draw(t, "changes") {
				c.change(t, ctx)
			}
		}), "k", w.g, nil))
		for range rapid.IntRange(1, 8).Draw(t, "decisions") {
			to.Push(&text{s: rapid.SampledFrom([]string{"", "crash"}).Draw(t, "kind")})
			for w.g.RunOne() { // on this goroutine, which is the check's
				continue
			}
			c.committed(t)
		}
	})
}

func TestAnElementThatIsPoppedIsNotKept(t *testing.T) {
	const n = 10_000
	w := newWorld(t)
	var q cell.Queue[int]
	to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		if ctx.Message().(*text).s == "fill" {
			for i := range n {
				q.Push(ctx, i)
			}
			return
		}
		for i := range n - 1 {
			v, ok := q.Peek(ctx)
			require.True(t, ok)
			require.Equal(t, i, v)
			q.Pop(ctx)
		}
		q.Push(ctx, n)
	}), "k", w.g, nil))
	for _, s := range []string{"fill", "empty"} {
		to.Push(&text{s: s})
		w.drain()
	}
	require.Equal(t, []int{n - 1, n}, slices.Collect(q.All))
}
