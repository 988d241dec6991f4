// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// gate stands before an engine: it holds each write until it is let through, or
// makes it fail.
type gate struct {
	store.Engine
	open   bool // let everything through at once
	held   []func()
	sizes  []int // commits of each group
	broken error
}

// Write implements store.Engine.
func (g *gate) Write(commits []*store.Commit, done func(error)) {
	g.sizes = append(g.sizes, len(commits))
	err := g.broken
	pass := func() {
		if err != nil {
			done(err)
			return
		}
		ended := make(chan error, 1)
		g.Engine.Write(commits, func(err error) { ended <- err })
		done(<-ended)
	}
	if g.open {
		pass()
		return
	}
	g.held = append(g.held, pass)
}

// let lets the oldest write through.
func (g *gate) let() {
	pass := g.held[0]
	g.held = g.held[1:]
	pass()
}

// bench is a store actor under a supervisor, with a cell that gets the answers;
// one group, stepped by hand.
type bench struct {
	*gate
	g        *group.Group
	clock    *clock
	log      *store.Log
	cell     *cell.Cell
	reply    *cell.Cell
	answers  []*store.Committed
	failures []error
	tag      uint64
}

type collector struct{ b *bench }

// Receive implements cell.Stage.
func (c collector) Receive(ctx *cell.Context) {
	if m, ok := ctx.Message().(*store.Committed); ok {
		ctx.Keep()
		ctx.Submit(c, m)
	}
}

// Accept implements cell.Acceptor.
func (c collector) Accept(m cell.Message) { c.b.answers = append(c.b.answers, m.(*store.Committed)) }

// clock stands still until it is moved.
type clock struct{ now int64 }

// Now implements group.Clock.
func (c *clock) Now() int64 { return c.now }

func newBench(t require.TestingT, e store.Engine, retained store.Retained) *bench {
	b := &bench{gate: &gate{Engine: e}, clock: &clock{now: 1}}
	b.g = group.New("test", b.clock, nil)
	kind := store.Kind(b.gate, func(err error) { b.failures = append(b.failures, err) }, zerolog.Nop())
	b.cell = cell.New(kind, "store", b.g, nil)
	b.reply = cell.New(&cell.Kind{Name: "collector", New: func(*cell.Cell) cell.Stage { return collector{b} }}, "reply", b.g, nil)
	b.log = store.NewLog(e.Last(), b.cell, retained)
	root := supervisor.New("root", b.g, supervisor.Options{MaxRestarts: 1 << 30, Within: time.Hour,
		Children: []supervisor.Child{{Cell: b.cell}, {Cell: b.reply}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { panic("root gave up") }))
	b.drain()
	return b
}

// drain runs the group to the end of its work, turn after turn; a Goexit ends only
// the goroutine that drives it.
func (b *bench) drain() {
	for ended := false; !ended; {
		var driver sync.WaitGroup
		driver.Go(func() {
			b.run()
			for b.g.Next() <= b.clock.now {
				b.g.Tick()
				b.run()
			}
			ended = true
		})
		driver.Wait()
	}
}

// run is what is left of the turn.
func (b *bench) run() {
	for b.g.RunOne() {
		continue
	}
}

// pass lets time pass until the next timer.
func (b *bench) pass() {
	b.clock.now = b.g.Next()
	b.drain()
}

// commit accepts a commit of one message for session 1.
func (b *bench) commit() *store.Commit {
	b.tag++
	c := &store.Commit{Ops: []store.Op{appendTo(&message.Message{Topic: "t"}, 1)}, Reply: b.reply, Tag: b.tag}
	b.log.Accept(c)
	return c
}

func (b *bench) tags() (out []uint64) {
	for _, a := range b.answers {
		out = append(out, a.Tag)
	}
	return out
}

func upTo(n uint64) (out []uint64) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

// book is a retained index that writes down what it is told.
type book struct{ seqs []uint64 }

func (b *book) Put(m *message.Message) { b.seqs = append(b.seqs, m.ID.Seq) }

func positions(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1), appendTo(at(41, "t"), 1))
	told := &book{}
	b := newBench(t, e, told)
	b.open = true
	require.EqualValues(t, 41, b.log.Position())
	m := &message.Message{Topic: "t", Payload: []byte("x")}
	b.log.Accept(&store.Commit{Ops: []store.Op{appendTo(m, 1), {Kind: store.Retain, Message: m}}})
	require.EqualValues(t, 42, m.ID.Seq, "one message, one position")
	require.Equal(t, []uint64{42}, told.seqs, "the index knows it at its acceptance")
	b.log.Accept(&store.Commit{Ops: []store.Op{sent(1, 1, m, store.Sent), put(2)}})
	require.EqualValues(t, 42, b.log.Position(), "only a new message takes one")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				b.log.Accept(&store.Commit{Ops: []store.Op{appendTo(&message.Message{Topic: "t", Payload: []byte("y")}, 1),
					{Kind: store.Retain, Message: &message.Message{Topic: "r", Payload: []byte("y")}}}})
			}
		})
	}
	wg.Wait()
	b.drain()
	require.EqualValues(t, 842, b.log.Position())
	require.EqualValues(t, 842, e.Last())
	require.IsIncreasing(t, told.seqs)
	q := all(t, e)[0].Queue
	require.Len(t, q, 401)
	require.IsIncreasing(t, seqs(q))
	require.NoError(t, e.Close())
}

func slow(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1))
	b := newBench(t, e, nil)
	b.commit()
	b.run()
	require.Empty(t, b.sizes, "the turn may bring more")
	b.drain()
	for range 4 {
		b.commit()
	}
	b.drain()
	require.Equal(t, []int{1}, b.sizes, "nothing goes beside the first")
	require.Empty(t, b.answers, "nobody is answered before it is durable")
	b.let()
	b.drain()
	require.Equal(t, []int{1, 4}, b.sizes)
	require.Equal(t, upTo(1), b.tags())
	lazy := b.commit()
	lazy.Reply = nil
	b.let()
	b.drain()
	require.Equal(t, upTo(5), b.tags())
	b.let()
	b.drain()
	require.Equal(t, upTo(5), b.tags(), "whoever does not wait is not answered")
	require.Empty(t, b.held)
	require.Equal(t, upTo(6), seqs(one(t, e).Queue))
	require.NoError(t, e.Close())
}

func together(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1))
	b := newBench(t, e, nil)
	commit := func(n int) {
		for range n {
			b.commit()
			b.drain()
		}
	}
	b.commit()
	b.drain()
	for b.clock.now = 1; len(b.sizes) < 16; b.clock.now += int64(time.Millisecond) { // a disk that takes as long
		commit(4)
		b.let()
		b.drain()
	}
	b.sizes = nil
	b.let()
	b.drain()
	commit(3)
	require.Empty(t, b.sizes, "one is missing of those that were answered")
	commit(1)
	require.Equal(t, []int{4}, b.sizes)
	b.let()
	b.drain()
	commit(3)
	before := b.clock.now
	for len(b.sizes) == 1 {
		b.pass()
	}
	require.Equal(t, []int{4, 3}, b.sizes, "it does not come")
	require.LessOrEqual(t, b.clock.now-before, int64(time.Millisecond))
	b.let()
	b.drain()
	require.Len(t, b.answers, int(b.tag))
	require.NoError(t, e.Close())
}

func early(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1))
	b := newBench(t, e, nil)
	early := func() { b.commit().Early = true }
	early()
	b.drain()
	require.Equal(t, upTo(1), b.tags(), "before it is written")
	b.commit()
	early()
	b.drain()
	require.Equal(t, []uint64{1, 3}, b.tags())
	b.let()
	b.drain()
	b.let()
	b.drain()
	require.Equal(t, []uint64{1, 3, 2}, b.tags(), "and not again when it is")
	require.Empty(t, b.held)
	require.Equal(t, upTo(3), seqs(one(t, e).Queue))
	b.broken = errors.New("no space")
	b.commit()
	b.drain()
	b.let()
	b.drain()
	require.Equal(t, []uint64{1, 3, 2, 4}, b.tags())
	early()
	b.drain()
	require.Equal(t, []uint64{1, 3, 2, 4}, b.tags(), "nothing is acknowledged after an error")
	require.NoError(t, e.Close())
}

func fails(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1))
	b := newBench(t, e, nil)
	b.commit()
	b.drain()
	b.broken = errors.New("no space")
	b.commit()
	b.commit()
	b.let()
	b.drain()
	b.commit()
	b.let()
	b.drain()
	b.broken = nil
	for range 3 {
		b.commit()
		b.drain()
	}
	require.Empty(t, b.held, "nothing is written after an error")
	require.Len(t, b.failures, 1)
	require.Equal(t, []uint64{1, 2, 3}, b.tags())
	require.NoError(t, b.answers[0].Err)
	for _, a := range b.answers[1:] {
		require.ErrorContains(t, a.Err, "no space")
	}
	require.Equal(t, upTo(1), seqs(one(t, e).Queue))
	require.NoError(t, e.Close())
}

// faults crashes the store actor at random, at most once per message.
type faults struct {
	rng *rand.Rand
	hit map[cell.Message]bool
	n   int
}

func (f *faults) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if c.Kind().Name != "store" || p == cell.Done || f.hit[m] || f.rng.IntN(6) > 0 {
		return
	}
	f.hit[m] = p != cell.Between
	f.n++
	switch f.rng.IntN(3) {
	case 0:
		panic("injected")
	case 1:
		runtime.Goexit()
	}
	c.Stop()
}

func crashes(t *testing.T, open func() store.Engine) {
	defer cell.SetHook(nil)
	for seed := range uint64(20) {
		e := open()
		write(t, e, put(1))
		b := newBench(t, e, nil)
		f := &faults{rng: rand.New(rand.NewPCG(seed, 7)), hit: map[cell.Message]bool{}}
		cell.SetHook(f)
		for range 150 {
			b.commit()
			if f.rng.IntN(3) == 0 {
				b.drain()
			}
			if len(b.held) > 0 && f.rng.IntN(2) == 0 {
				b.let()
			}
		}
		b.drain()
		for len(b.held) > 0 {
			b.let()
			b.drain()
		}
		cell.SetHook(nil)
		require.Equal(t, upTo(150), b.tags(), "seed %d", seed)
		require.Equal(t, upTo(150), seqs(one(t, e).Queue))
		require.Positive(t, f.n)
		for _, a := range b.answers {
			require.NoError(t, a.Err)
		}
		require.NoError(t, e.Close())
	}
}

// sticky crashes every attempt at a message whose type has the name.
type sticky struct {
	name string
	nth  int // of them, counted from 1
	hit  cell.Message
}

func (s *sticky) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if c.Kind().Name != "store" || p != cell.Before || fmt.Sprintf("%T", m) != s.name {
		return
	}
	if s.hit == nil {
		if s.nth--; s.nth == 0 {
			s.hit = m
		}
	}
	if s.hit == m {
		panic("sticky")
	}
}

func poisonCommit(t *testing.T, open func() store.Engine) {
	defer cell.SetHook(nil)
	e := open()
	write(t, e, put(1))
	b := newBench(t, e, nil)
	b.open = true
	cell.SetHook(&sticky{name: "*store.Commit", nth: 2})
	for range 4 {
		b.commit()
	}
	b.drain()
	require.Equal(t, upTo(4), b.tags(), "each is answered once, in its order")
	require.Equal(t, upTo(4), seqs(one(t, e).Queue))
	require.Empty(t, b.failures)
	require.NoError(t, e.Close())
}

func poisonWritten(t *testing.T, open func() store.Engine) {
	defer cell.SetHook(nil)
	e := open()
	write(t, e, put(1))
	b := newBench(t, e, nil)
	b.open = true
	cell.SetHook(&sticky{name: "*store.written", nth: 1})
	for range 4 {
		b.commit()
		b.drain()
	}
	require.Equal(t, upTo(4), b.tags())
	require.Equal(t, upTo(4), seqs(one(t, e).Queue))
	require.NoError(t, e.Close())
}
