// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// The model test of decide, commit, perform: a tree of actors whose values flow
// from the root to the leaves, so that what each sees has one order whatever the
// interleaving; random programs; random crashes and stops everywhere. What comes
// out is compared with the same decisions made by plain code, once each.

// single and several are values for a node, one or a batch of them.
type (
	single struct {
		mailbox.Link
		v int
	}
	several struct {
		mailbox.Link
		vs []int
		at int
	}
)

func (b *several) Advance()   { b.at++ }
func (b *several) Rewind()    {}
func (b *several) Place() int { return b.at }

// counts is the part of a node's state that is edited as a struct.
type counts struct{ seen, sum, poisoned int }

var countsSlot = cell.NewSlot[counts]()

// node is the memory of an actor.
type node struct {
	sum    counts
	index  cell.Map[int, int]
	queue  cell.Queue[int]
	timer  cell.TimerFired
	loose  bool // the timer is one that only has a key
	out    sink
	calls  atomic.Int64
	booked int
	next   *cell.Cell // gets casts
	fans   []*node    // get fan-outs
	cell   *cell.Cell
}

// Accept implements cell.Acceptor.
func (n *node) Accept(m cell.Message) { n.booked += m.(*single).v }

// spray is a fan-out that a run of values can join.
type spray struct {
	to []*node
	vs []int
}

func (f *spray) Len() int                            { return len(f.to) }
func (f *spray) At(i int) (*cell.Cell, cell.Message) { return f.to[i].cell, &several{vs: f.vs} }
func (f *spray) Done()                               { f.to = nil }
func (f *spray) Join(m any)                          { f.vs = append(f.vs, m.(int)) }

// poisonous values crash every decision about them.
func poisonous(v int) bool { return v%37 == 11 }

// Receive implements cell.Stage.
func (n *node) Receive(ctx *cell.Context) {
	switch m := ctx.Message().(type) {
	case *single:
		n.decide(ctx, m.v)
	case *several:
		for m.at < len(m.vs) {
			n.decide(ctx, m.vs[m.at])
			ctx.Commit(m)
		}
	case *cell.TimerFired:
		n.decide(ctx, int(m.Timer().Deadline()%1000))
	case *cell.Poison:
		countsSlot.Edit(ctx, &n.sum).poisoned++
		ctx.Write(&n.out, append(ctx.Bytes(), 'P'))
		if b, ok := m.Message.(*several); ok {
			ctx.Commit(b)
			if b.at < len(b.vs) {
				ctx.Return(b)
			}
		}
	case *cell.Started, *cell.Skip:
	default:
		panic(fmt.Sprintf("unexpected message %T", m))
	}
}

func (n *node) set(ctx *cell.Context, at int64) {
	switch {
	case n.loose:
		ctx.Set(0, at)
	case at == 0:
		ctx.Clear(n.timer.Timer())
	default:
		ctx.Arm(n.timer.Timer(), at)
	}
}

func (n *node) decide(ctx *cell.Context, v int) {
	c := countsSlot.Edit(ctx, &n.sum)
	c.seen++
	switch v % 8 {
	case 0:
		c.sum += v
		ctx.Cast(n.next, &single{v: v*5 + 1})
	case 1:
		n.index.Put(ctx, v%5, v)
		ctx.Submit(n, &single{v: v})
	case 2:
		n.index.Delete(ctx, v/8%5)
	case 3:
		n.queue.Push(ctx, v)
		n.queue.Push(ctx, v+1)
	case 4:
		if x, ok := n.queue.Peek(ctx); ok {
			n.queue.Pop(ctx)
			ctx.Cast(n.next, &single{v: x})
		}
	case 5:
		if f, ok := ctx.LastFan().(*spray); ok {
			ctx.Join(f, v/2)
		} else if len(n.fans) > 0 {
			ctx.Fan(&spray{to: n.fans, vs: []int{v / 2}})
		}
	case 6:
		n.set(ctx, ctx.Now()+1+int64(v%20))
	case 7:
		n.set(ctx, 0)
	}
	if poisonous(v) {
		if v%2 == 0 {
			runtime.Goexit()
		}
		panic("poisonous")
	}
	ctx.Count(&n.calls, 1)
	x, _ := n.index.Get(ctx, v%5)
	line := fmt.Appendf(ctx.Bytes(), "%d:%d,%d,%d,%d;", v, x, n.index.Seen(ctx), n.queue.Len(ctx), countsSlot.See(ctx, &n.sum).sum)
	ctx.Write(&n.out, line)
}

// plain is node without a runtime.
type plain struct {
	sum    counts
	index  map[int]int
	queue  []int
	timer  int64
	out    []byte
	calls  int64
	booked int
	next   *plain
	fans   []*plain
	inbox  []int
}

func (p *plain) decide(now int64, v int) {
	if poisonous(v) {
		p.sum.poisoned++
		p.out = append(p.out, 'P')
		return
	}
	p.sum.seen++
	switch v % 8 {
	case 0:
		p.sum.sum += v
		if p.next != nil {
			p.next.inbox = append(p.next.inbox, v*5+1)
		}
	case 1:
		p.index[v%5] = v
		p.booked += v
	case 2:
		delete(p.index, v/8%5)
	case 3:
		p.queue = append(p.queue, v, v+1)
	case 4:
		if len(p.queue) > 0 {
			if p.next != nil {
				p.next.inbox = append(p.next.inbox, p.queue[0])
			}
			p.queue = p.queue[1:]
		}
	case 5:
		for _, f := range p.fans {
			f.inbox = append(f.inbox, v/2)
		}
	case 6:
		p.timer = now + 1 + int64(v%20)
	case 7:
		p.timer = 0
	}
	p.calls++
	p.out = fmt.Appendf(p.out, "%d:%d,%d,%d,%d;", v, p.index[v%5], len(p.index), len(p.queue), p.sum.sum)
}

// forest is the tree in both forms. Node 0 is the root; each node has one
// parent.
type forest struct {
	*world
	nodes  []*node
	plains []*plain
}

func newForest(t require.TestingT, init bool) *forest {
	f := &forest{world: newWorld(t)}
	for i := range 7 {
		n := &node{loose: i%2 == 0}
		k := &cell.Kind{Name: "node", Init: init, New: func(*cell.Cell) cell.Stage { return n }}
		n.cell = cell.New(k, fmt.Sprint("node/", i), f.g, nil)
		if !n.loose {
			cell.InitTimer(&n.timer, n.cell, 0)
		}
		f.nodes = append(f.nodes, n)
		f.plains = append(f.plains, &plain{index: map[int]int{}})
		f.start(n.cell)
	}
	link := func(i, next int, fans ...int) {
		f.nodes[i].next, f.plains[i].next = f.nodes[next].cell, f.plains[next]
		for _, k := range fans {
			f.nodes[i].fans = append(f.nodes[i].fans, f.nodes[k])
			f.plains[i].fans = append(f.plains[i].fans, f.plains[k])
		}
	}
	link(0, 1, 2, 3)
	link(2, 4, 5, 6)
	return f
}

// settle lets the plain form do what is in its inboxes; parents come before
// their children.
func (f *forest) settle() {
	for _, p := range f.plains {
		for _, v := range p.inbox {
			p.decide(f.clock.Now(), v)
		}
		p.inbox = nil
	}
}

// tickBoth moves the clock when all work is done, so that a timer's message
// stands before whatever other timers cause.
func (f *forest) tickBoth(d int64) {
	f.drain()
	f.settle()
	f.clock.now.Add(d)
	for _, p := range f.plains {
		if at := p.timer; at != 0 && at <= f.clock.Now() {
			p.timer = 0
			p.inbox = append(p.inbox, int(at%1000))
		}
	}
	f.settle()
	f.g.Tick()
	f.drain()
}

func (f *forest) equal(t require.TestingT) {
	for i, n := range f.nodes {
		p := f.plains[i]
		require.Equal(t, string(p.out), string(n.out.b), "node %d", i)
		require.Equal(t, p.sum, n.sum)
		require.Equal(t, p.index, maps.Collect(n.index.All))
		require.Equal(t, fmt.Sprint(p.queue), fmt.Sprint(slices.Collect(n.queue.All)))
		require.Equal(t, len(p.queue), n.queue.Size())
		require.Equal(t, len(p.index), n.index.Len())
		require.Equal(t, p.timer, n.cell.Timers()[0])
		require.Equal(t, p.calls, n.calls.Load())
		require.Equal(t, p.booked, n.booked)
		require.Zero(t, n.cell.Pending())
	}
}

// faults crashes and stops actors at random, but never the second attempt at the
// same message and part: that would be poison, which the model has of its own.
type faults struct {
	rng  *rand.Rand
	p    float64
	hit  map[string]bool
	hits map[string]int
}

func (i *faults) At(c *cell.Cell, phase cell.Phase, m cell.Message) {
	if c.Kind().Name != "node" {
		return
	}
	key := fmt.Sprintf("%p", m)
	if b, ok := m.(*several); ok {
		key = fmt.Sprintf("%p/%d", m, b.at)
	}
	if phase == cell.Done {
		delete(i.hit, key)
		return
	}
	if i.rng.Float64() > i.p {
		return
	}
	what := []string{"panic", "goexit", "stop"}[i.rng.IntN(3)]
	if phase != cell.Between && what != "stop" {
		if i.hit[key] {
			return
		}
		i.hit[key] = true
	}
	i.hits[phase.String()+" "+what]++
	switch what {
	case "panic":
		panic("injected")
	case "goexit":
		runtime.Goexit()
	default:
		c.Stop()
	}
}

func TestRandomProgramsDoTheSameWithAndWithoutCrashes(t *testing.T) {
	total := map[string]int{}
	var poisoned int64
	t.Cleanup(func() { cell.SetHook(nil) })
	rapid.Check(t, func(t *rapid.T) {
		cell.SetHook(nil)
		f := newForest(t, rapid.Bool().Draw(t, "started messages"))
		in := &faults{rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), hit: map[string]bool{}, hits: total,
			p: rapid.SampledFrom([]float64{0, 0.01, 0.1, 0.3}).Draw(t, "p")}
		cell.SetHook(in)
		value := rapid.IntRange(0, 999)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				v := value.Draw(t, "value")
				f.nodes[0].cell.Push(&single{v: v})
				f.plains[0].inbox = append(f.plains[0].inbox, v)
			case 2, 3:
				vs := rapid.SliceOfN(value, 1, 12).Draw(t, "values")
				f.nodes[0].cell.Push(&several{vs: vs})
				f.plains[0].inbox = append(f.plains[0].inbox, vs...)
			case 4:
				f.steps(rapid.IntRange(1, 5).Draw(t, "tasks"))
			case 5:
				f.tickBoth(rapid.Int64Range(1, 15).Draw(t, "time"))
			}
		}
		f.tickBoth(30)
		cell.SetHook(nil)
		f.equal(t)
		for _, n := range f.nodes {
			poisoned += n.cell.Kind().Poisoned.Load()
		}
	})
	t.Log("faults hit:", total, "poison:", poisoned)
	for _, phase := range []cell.Phase{cell.Before, cell.Decide, cell.Between} {
		for _, do := range []string{"panic", "goexit", "stop"} {
			require.Positive(t, total[phase.String()+" "+do])
		}
	}
	require.Positive(t, poisoned)
}
