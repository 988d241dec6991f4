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
	window [2]cell.Window[uint16, int]
	ids    [2]cell.IDs[uint16]
	wantM  [2]map[int]int
	wantQ  [2][]int
	wantW  [2]map[uint16]int
	wantI  [2]map[uint16]bool
}

func newContainers() *containersOf {
	return &containersOf{wantM: [2]map[int]int{{}, {}}, wantW: [2]map[uint16]int{{}, {}}, wantI: [2]map[uint16]bool{{}, {}}}
}

// change does something to one of them, in both forms, and looks at the result
// as the decision sees it.
func (c *containersOf) change(t *rapid.T, ctx *cell.Context) {
	i := rapid.IntRange(0, 1).Draw(t, "which")
	m, q := &c.maps[i], &c.queues[i]
	k := rapid.IntRange(0, 40).Draw(t, "key")
	switch rapid.IntRange(0, 10).Draw(t, "what") {
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
	case 6, 7, 8, 9, 10:
		c.changeIDs(t, ctx, i)
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

// changeIDs is change for the containers with identifiers: few, that collide in
// small rings and pages and in large ones.
func (c *containersOf) changeIDs(t *rapid.T, ctx *cell.Context, i int) {
	w, ids := &c.window[i], &c.ids[i]
	id := uint16(rapid.IntRange(0, 7).Draw(t, "low") + rapid.SampledFrom([]int{0, 8, 256, 4096, 65528}).Draw(t, "high"))
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		v := rapid.Int().Draw(t, "value")
		w.Put(ctx, id, v)
		c.wantW[i][id] = v
	case 1:
		w.Delete(ctx, id)
		delete(c.wantW[i], id)
	case 2:
		next := w.Next(ctx, id)
		require.NotZero(t, next)
		require.NotContains(t, c.wantW[i], next)
		w.Put(ctx, next, 1)
		c.wantW[i][next] = 1
	case 3:
		ids.Add(ctx, id)
		c.wantI[i][id] = true
	case 4:
		ids.Remove(ctx, id)
		delete(c.wantI[i], id)
	}
	v, ok := w.Get(ctx, id)
	want, there := c.wantW[i][id]
	require.Equal(t, there, ok)
	require.Equal(t, want, v)
	require.Equal(t, len(c.wantW[i]), w.Seen(ctx))
	require.Equal(t, c.wantI[i][id], ids.Has(ctx, id))
	require.Equal(t, len(c.wantI[i]), ids.Seen(ctx))
}

func (c *containersOf) committed(t require.TestingT) {
	for i := range c.maps {
		require.Equal(t, c.wantM[i], maps.Collect(c.maps[i].All))
		require.Equal(t, len(c.wantM[i]), c.maps[i].Len())
		require.Equal(t, append([]int{}, c.wantQ[i]...), append([]int{}, slices.Collect(c.queues[i].All)...))
		require.Equal(t, len(c.wantQ[i]), c.queues[i].Size())
		require.Equal(t, c.wantW[i], maps.Collect(c.window[i].All))
		require.Equal(t, len(c.wantW[i]), c.window[i].Len())
		require.Equal(t, slices.Sorted(maps.Keys(c.wantI[i])), slices.Collect(c.ids[i].All))
		require.Equal(t, len(c.wantI[i]), c.ids[i].Len())
	}
}

// TestADecisionSeesItsOwnChangesAndACrashLeavesNone: small decisions and large
// ones, those that commit and those that crash first.
func TestADecisionSeesItsOwnChangesAndACrashLeavesNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		c := newContainers()
		to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
			if m, ok := ctx.Message().(*text); ok && m.s == "crash" && !ctx.Again() {
				for i := range 2 {
					for n := range 40 {
						c.maps[i].Put(ctx, n, -n)
						c.queues[i].Push(ctx, -n)
						c.window[i].Put(ctx, c.window[i].Next(ctx, uint16(n)), -n)
						c.ids[i].Add(ctx, uint16(n*300))
					}
					c.window[i].Delete(ctx, 3)
					c.ids[i].Remove(ctx, 3)
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

// TestAFullWindowStillFindsTheLastFreeIdentifier: the range is used to its end.
func TestAFullWindowStillFindsTheLastFreeIdentifier(t *testing.T) {
	w := newWorld(t)
	var flights cell.Window[uint16, int]
	last := uint16(0)
	to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		for range 1<<16 - 1 {
			last = flights.Next(ctx, last)
			flights.Put(ctx, last, int(last))
		}
		flights.Delete(ctx, 4711)
		last = flights.Next(ctx, 1)
	}), "k", w.g, nil))
	to.Push(&text{})
	w.drain()
	require.Equal(t, uint16(4711), last)
	require.Equal(t, 1<<16-2, flights.Len())
}

// TestAWindowThatGrowsAmongItsChangesKeepsThem: 9 takes the pane of 1, which is
// deleted, and has one of its own once the ring is larger.
func TestAWindowThatGrowsAmongItsChangesKeepsThem(t *testing.T) {
	w := newWorld(t)
	var flights cell.Window[uint16, int]
	to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		if ctx.Message().(*text).s == "first" {
			flights.Put(ctx, 1, 1)
			return
		}
		flights.Delete(ctx, 1)
		flights.Put(ctx, 9, 9)
		flights.Put(ctx, 17, 17)
	}), "k", w.g, nil))
	for _, s := range []string{"first", "second"} {
		to.Push(&text{s: s})
		w.drain()
	}
	require.Equal(t, map[uint16]int{9: 9, 17: 17}, maps.Collect(flights.All))
	require.Equal(t, 2, flights.Len())
}

func TestAnEmptySetOfIdentifiersKeepsOnePage(t *testing.T) {
	w := newWorld(t)
	var ids cell.IDs[uint16]
	to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		for id := range 1 << 16 {
			if ctx.Message().(*text).s == "fill" {
				ids.Add(ctx, uint16(id))
			} else {
				ids.Remove(ctx, uint16(id))
			}
		}
	}), "k", w.g, nil))
	for _, tt := range []struct {
		do        string
		len, held int
	}{{"fill", 1 << 16, 32}, {"empty", 0, 1}} {
		to.Push(&text{s: tt.do})
		w.drain()
		require.Equal(t, tt.len, ids.Len())
		require.Equal(t, tt.held, ids.Pages())
	}
}
