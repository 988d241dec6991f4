// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
	"emqttd/supervisor/stagetest"
)

// number travels down a chain of three adders; the last writes it to a sink.
type number struct {
	mailbox.Link
	n int
}

// numbers is a batch of them.
type numbers struct {
	mailbox.Link
	at int
	ns []int
}

func (b *numbers) Advance()   { b.at++ }
func (b *numbers) Rewind()    {}
func (b *numbers) Place() int { return b.at }

type counts struct{ seen, sum int }

var countsSlot = cell.NewSlot[counts]()

// adder passes every number on and counts what it saw.
type adder struct {
	next  *cell.Cell
	sink  *record
	state counts
	index cell.Map[int, int]
	queue cell.Queue[int]
}

func (a *adder) Receive(ctx *cell.Context) {
	switch m := ctx.Message().(type) {
	case *number:
		a.one(ctx, m.n)
	case *numbers:
		for m.at < len(m.ns) {
			a.one(ctx, m.ns[m.at])
			ctx.Commit(m)
		}
	}
}

func (a *adder) one(ctx *cell.Context, n int) {
	s := countsSlot.Edit(ctx, &a.state)
	s.seen++
	s.sum += n
	a.index.Put(ctx, n, s.seen)
	a.queue.Push(ctx, n)
	if a.queue.Len(ctx) > 3 {
		a.queue.Pop(ctx)
	}
	if a.next != nil {
		ctx.Cast(a.next, &number{n: n})
		return
	}
	ctx.Write(a.sink, append(ctx.Bytes(), byte(n), byte(n>>8)))
}

type record struct{ b []byte }

func (r *record) Append(b []byte) { r.b = append(r.b, b...) }

// manual is a clock that stands still.
type manual struct{ now int64 }

func (m *manual) Now() int64 { return m.now }

// injector crashes with probability p at any phase of an adder's messages, but
// never the second attempt at the same message.
type injector struct {
	rng  *rand.Rand
	p    float64
	hit  map[mailbox.Message]bool
	do   []string
	hits map[string]int
}

func (i *injector) At(c *cell.Cell, phase cell.Phase, m mailbox.Message) {
	if c.Kind().Name != "adder" || phase == cell.Done || i.rng.Float64() > i.p {
		return
	}
	if phase != cell.Between {
		if i.hit[m] {
			return
		}
		i.hit[m] = true
	}
	do := i.do[i.rng.IntN(len(i.do))]
	i.hits[phase.String()+" "+do]++
	switch do {
	case "panic":
		panic("injected")
	case "goexit":
		runtime.Goexit()
	}
}

func chain(t *testing.T, n int) (*group.Group, []*adder, []*cell.Cell, *supervisor.Supervisor, *record) {
	g := group.New("test", &manual{1}, nil)
	sink := &record{}
	var stages []*adder
	var cells []*cell.Cell
	var children []supervisor.Child
	for range n {
		stages = append(stages, &adder{sink: sink})
	}
	for i := range n {
		a := stages[i]
		k := &cell.Kind{Name: "adder", New: func(*cell.Cell) cell.Stage { return a }}
		cells = append(cells, cell.New(k, fmt.Sprint("adder/", i), g, nil))
		children = append(children, supervisor.Child{Cell: cells[i]})
	}
	for i := range n - 1 {
		stages[i].next = cells[i+1]
	}
	sup := supervisor.New("sup", g, supervisor.Options{MaxRestarts: 1 << 30, Within: time.Hour, Children: children}, zerolog.Nop())
	root := supervisor.New("root", g, supervisor.Options{MaxRestarts: 1 << 30, Within: time.Hour,
		Children: []supervisor.Child{{Cell: sup.Cell(), Supervisor: sup}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { t.Error("root gave up") }))
	return g, stages, cells, sup, sink
}

func TestCrashesAnywhereLoseNothingAndDoNothingTwice(t *testing.T) {
	for seed := range uint64(60) {
		inj := &injector{rng: rand.New(rand.NewPCG(seed, 1)), p: 0.1, hit: map[mailbox.Message]bool{},
			do: []string{"panic", "goexit"}, hits: map[string]int{}}
		g, stages, cells, _, sink := chain(t, 3)
		stagetest.Drain(g)
		cell.SetHook(inj)
		want := &record{}
		for n := 0; n < 300; {
			if inj.rng.IntN(3) == 0 {
				b := &numbers{}
				for range 5 {
					b.ns = append(b.ns, n)
					n++
				}
				cells[0].Push(b)
			} else {
				cells[0].Push(&number{n: n})
				n++
			}
			if inj.rng.IntN(4) == 0 {
				stagetest.Drain(g)
			}
		}
		stagetest.Drain(g)
		cell.SetHook(nil)
		for n := range len(sink.b) / 2 {
			want.b = append(want.b, byte(n), byte(n>>8))
		}
		require.Equal(t, want.b, sink.b, "seed %d", seed)
		require.GreaterOrEqual(t, len(sink.b), 600)
		for _, s := range stages {
			require.Equal(t, len(sink.b)/2, s.state.seen)
			require.Equal(t, s.state.seen, s.index.Len())
			require.Equal(t, 3, s.queue.Size())
		}
		require.NotEmpty(t, inj.hits["decide panic"])
	}
}

func TestStopOfAnActorIsRepairedAndItsMailboxKept(t *testing.T) {
	g, stages, cells, _, sink := chain(t, 3)
	stagetest.Drain(g)
	for n := range 200 {
		cells[0].Push(&number{n: n})
		if n%7 == 0 {
			sys := supervisor.System(zerolog.Nop())
			_ = sys
			stop(cells[n%3])
		}
		if n%5 == 0 {
			stagetest.Drain(g)
		}
	}
	stagetest.Drain(g)
	require.Len(t, sink.b, 400)
	require.Equal(t, 200, stages[2].state.seen)
	require.Positive(t, cells[0].Kind().Restarts.Load())
}

func stop(c *cell.Cell) { c.Stop() }

func TestStopOfTheSupervisorIsRepaired(t *testing.T) {
	g, stages, cells, sup, sink := chain(t, 3)
	stagetest.Drain(g)
	for n := range 100 {
		cells[0].Push(&number{n: n})
		if n%20 == 3 {
			stop(sup.Cell())
		}
		stagetest.Drain(g)
	}
	require.Len(t, sink.b, 200)
	require.Equal(t, 100, stages[2].state.seen)
}

func BenchmarkHop(b *testing.B) {
	t := &testing.T{}
	g, _, cells, _, sink := chain(t, 4)
	stagetest.Drain(g)
	m := &number{}
	b.ReportAllocs()
	for b.Loop() {
		cells[0].Push(m)
		for g.RunOne() {
		}
		sink.b = sink.b[:0]
	}
}

func TestCrashesCountAgainstTheSupervisorOfTheChild(t *testing.T) {
	g := group.New("test", &manual{1}, nil)
	k := &cell.Kind{Name: "crasher", New: func(*cell.Cell) cell.Stage { return crasher{} }}
	child := cell.New(k, "crasher", g, nil)
	sup := supervisor.New("sup", g, supervisor.Options{MaxRestarts: 3, Within: time.Hour,
		Children: []supervisor.Child{{Cell: child}}}, zerolog.Nop())
	gaveUp := 0
	root := supervisor.New("root", g, supervisor.Options{MaxRestarts: 0, Within: time.Hour,
		Children: []supervisor.Child{{Cell: sup.Cell(), Supervisor: sup}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { gaveUp++ }))
	stagetest.Drain(g)
	for n := range 3 {
		child.Push(&number{n: n}) // crashes at both attempts; only the first counts, the second is poison
		stagetest.Drain(g)
		require.Zero(t, gaveUp)
	}
	child.Push(&number{n: 3})
	stagetest.Drain(g)
	require.Equal(t, 1, gaveUp, "one more than the intensity of its supervisor, which the root's does not allow")
}

// crasher handles nothing but poison.
type crasher struct{}

func (crasher) Receive(ctx *cell.Context) {
	if _, ok := ctx.Message().(*number); ok {
		panic("always")
	}
}
