// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// ball is passed on as it is.
type ball struct{ mailbox.Link }

// BenchmarkHop is one message through an actor: push, run, decide, commit,
// perform. The message is passed on along a chain, so that each hop includes the
// cast to the next.
func BenchmarkHop(b *testing.B) {
	const hops = 4
	w := newWorld(b)
	var next *cell.Cell
	for range hops {
		to := next
		next = w.start(cell.New(kindOf("hop", func(ctx *cell.Context) {
			if to != nil {
				ctx.Keep()
				ctx.Cast(to, ctx.Message())
			}
		}), "hop", w.g, nil))
	}
	m := new(ball)
	b.ReportAllocs()
	for b.Loop() {
		next.Push(m)
		for w.g.RunOne() {
			continue
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*hops), "ns/hop")
}

// BenchmarkCommit is what a decision costs by what it changes; "nothing" is the
// way of a message that changes nothing.
func BenchmarkCommit(b *testing.B) {
	var state, other counts
	var index cell.Map[int, int]
	var queue cell.Queue[int]
	var calls cell.Kind
	out := &sink{}
	for _, c := range []struct {
		name   string
		decide func(ctx *cell.Context)
	}{
		{"nothing", func(*cell.Context) {}},
		{"state", func(ctx *cell.Context) { countsSlot.Edit(ctx, &state).seen++ }},
		{"map", func(ctx *cell.Context) { index.Put(ctx, 1, 2) }},
		{"queue", func(ctx *cell.Context) { queue.Push(ctx, 1); queue.Pop(ctx) }},
		{"bytes", func(ctx *cell.Context) { ctx.Write(out, append(ctx.Bytes(), "0123456789abcdef"...)) }},
		{"count", func(ctx *cell.Context) { ctx.Count(&calls.Dropped, 1) }},
		{"all", func(ctx *cell.Context) {
			countsSlot.Edit(ctx, &other).seen++
			index.Put(ctx, 1, 2)
			queue.Push(ctx, 1)
			queue.Pop(ctx)
			ctx.Write(out, append(ctx.Bytes(), "0123456789abcdef"...))
			ctx.Count(&calls.Dropped, 1)
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b)
			to := w.start(cell.New(kindOf("k", c.decide), "k", w.g, nil))
			m := new(ball)
			b.ReportAllocs()
			for b.Loop() {
				to.Push(m)
				for w.g.RunOne() {
					continue
				}
				out.b = out.b[:0]
			}
		})
	}
}

// BenchmarkBatch is the cost of one part of a batch of 64, with a state and some
// bytes.
func BenchmarkBatch(b *testing.B) {
	var state counts
	out := &sink{}
	w := newWorld(b)
	to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		m := ctx.Message().(*several)
		for m.at < len(m.vs) {
			countsSlot.Edit(ctx, &state).seen++
			ctx.Write(out, append(ctx.Bytes(), "0123456789abcdef"...))
			ctx.Commit(m)
		}
	}), "k", w.g, nil))
	m := &several{vs: make([]int, 64)}
	b.ReportAllocs()
	for b.Loop() {
		m.at = 0
		to.Push(m)
		for w.g.RunOne() {
			continue
		}
		out.b = out.b[:0]
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(m.vs)), "ns/part")
}

// TestADecisionAllocatesNothing: each change of a map or a queue once cost an
// allocation of its own.
func TestADecisionAllocatesNothing(t *testing.T) {
	var state counts
	var index cell.Map[int, int]
	var queue cell.Queue[int]
	out := &sink{}
	w := newWorld(t)
	to := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		countsSlot.Edit(ctx, &state).seen++
		index.Put(ctx, 1, 2)
		queue.Push(ctx, 1)
		queue.Pop(ctx)
		ctx.Write(out, append(ctx.Bytes(), "0123456789abcdef"...))
		ctx.Cast(nil, nil)
	}), "k", w.g, nil))
	m := new(ball)
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		to.Push(m)
		for w.g.RunOne() {
			continue
		}
		out.b = out.b[:0]
	}))
}
