// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

// owner counts what it is told.
type owner struct{ crashed, aborted []*cell.Crash }

func (o *owner) Crashed(c *cell.Crash)             { o.crashed = append(o.crashed, c) }
func (o *owner) Abort(_ *cell.Cell, c *cell.Crash) { o.aborted = append(o.aborted, c) }

func TestAMessageIsTriedTwiceAndIsPoisonThen(t *testing.T) {
	for _, how := range []string{"panic", "goexit"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			var log []string
			c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
				switch m := ctx.Message().(type) {
				case *text:
					log = append(log, m.s)
					require.Equal(t, m.s == "bad" && len(log) == 3, ctx.Again())
					if m.s == "bad" && how == "panic" {
						panic("bad")
					}
					if m.s == "bad" {
						runtime.Goexit()
					}
				case *cell.Poison:
					log = append(log, "poison "+m.Message.(*text).s)
					require.True(t, m.Crash.Poison)
					require.Equal(t, cell.Decide, m.Crash.Phase)
				}
			}), "c", w.g, nil))
			for _, s := range []string{"good", "bad", "after"} {
				c.Push(&text{s: s})
			}
			w.drain()
			require.Equal(t, []string{"good", "bad", "bad", "poison bad", "after"}, log)
			require.EqualValues(t, 1, c.Kind().Poisoned.Load())
			require.EqualValues(t, 2, c.Kind().Crashes.Load())
			require.EqualValues(t, 2, c.Kind().Restarts.Load())
			require.Len(t, w.crashes, 2)
			require.False(t, w.crashes[0].Poison)
			require.Same(t, w.crashes[1], c.LastCrash())
			if how == "panic" {
				require.Equal(t, "bad", c.LastCrash().Reason)
				require.Contains(t, string(c.LastCrash().Stack), "life_test.go")
			} else {
				require.Equal(t, "goexit", c.LastCrash().Reason)
			}
		})
	}
}

// TestPoisonIsFoundAlthoughIncarnationsBeginWithAMessage: the Started of the next
// incarnation once reset the count of the message behind it, which was tried for
// ever.
func TestPoisonIsFoundAlthoughIncarnationsBeginWithAMessage(t *testing.T) {
	w := newWorld(t)
	var log []string
	k := kindOf("k", func(ctx *cell.Context) {
		switch m := ctx.Message().(type) {
		case *cell.Started:
			log = append(log, "started")
			if len(log) == 1 {
				panic("first breath")
			}
		case *text:
			log = append(log, m.s)
			panic(m.s)
		case *cell.Poison:
			log = append(log, "poison")
		}
	})
	k.Init = true
	c := w.start(cell.New(k, "c", w.g, nil))
	c.Push(&text{s: "bad"})
	w.drain()
	require.Equal(t, "started started bad started bad started poison", strings.Join(log, " "))
}

func TestPoisonWhoseAnswerCrashesIsGivenUpByItsOwner(t *testing.T) {
	w := newWorld(t)
	o := &owner{}
	var log []string
	c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		switch m := ctx.Message().(type) {
		case *text:
			log = append(log, m.s)
			if m.s == "bad" {
				panic("bad")
			}
		case *cell.Poison:
			panic("no answer")
		case *cell.Skip:
			log = append(log, "skip")
		}
	}), "c", w.g, o))
	c.Push(&text{s: "bad"})
	c.Push(&text{s: "after"})
	w.drain()
	require.Equal(t, []string{"bad", "bad", "skip", "after"}, log)
	require.Len(t, o.aborted, 1)
	require.Equal(t, "bad", o.aborted[0].Reason, "the owner hears of the cause")
}

// TestAStageThatCrashesAtEverythingComesToRest: what nobody can decide about was
// once given back as poison, for ever.
func TestAStageThatCrashesAtEverythingComesToRest(t *testing.T) {
	w := newWorld(t)
	o := &owner{}
	c := w.start(cell.New(kindOf("k", func(*cell.Context) { panic("everything") }), "c", w.g, o))
	for range 3 {
		c.Push(&text{})
	}
	w.drain()
	require.Zero(t, c.Pending())
	require.Len(t, w.crashes, 18, "message, poison and skip, twice each")
	require.Len(t, o.aborted, 3)
}

func TestAPartOfABatchThatWasCommittedIsNotTriedAgain(t *testing.T) {
	w := newWorld(t)
	var log []int
	crashed := false
	out := &sink{}
	c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		b := ctx.Message().(*several)
		for b.at < len(b.vs) {
			v := b.vs[b.at]
			log = append(log, v)
			ctx.Write(out, append(ctx.Bytes(), byte(v)))
			if v == 3 && !crashed {
				crashed = true
				panic("half-way")
			}
			ctx.Commit(b)
		}
	}), "c", w.g, nil))
	c.Push(&several{vs: []int{1, 2, 3, 4}})
	w.drain()
	require.Equal(t, []int{1, 2, 3, 3, 4}, log)
	require.Equal(t, []byte{1, 2, 3, 4}, out.b)
}

func TestAStopKeepsTheMailboxAndTheOutbox(t *testing.T) {
	w := newWorld(t)
	out := &sink{}
	c := cell.New(kindOf("k", func(ctx *cell.Context) {
		m := ctx.Message().(*text)
		for _, b := range []byte(m.s) {
			ctx.Write(out, append(ctx.Bytes(), b))
			ctx.Submit(acceptFunc(func(cell.Message) { out.Append([]byte{'.'}) }), nil)
		}
	}), "c", w.g, nil)
	c.Push(&text{s: "early"}) // before it has an actor
	w.drain()
	require.Equal(t, 1, c.Pending())
	require.Nil(t, c.PID())
	w.start(c)
	n := 0
	hooked(t, func(at *cell.Cell, p cell.Phase, _ cell.Message) {
		if n++; at == c && p == cell.Between && n%3 == 0 {
			c.Stop()
			if n%2 == 0 {
				panic("between")
			}
		}
	})
	for _, s := range []string{"one", "two", "three"} {
		c.Push(&text{s: s})
		c.Stop()
	}
	w.drain()
	require.Equal(t, "e.a.r.l.y.o.n.e.t.w.o.t.h.r.e.e.", string(out.b))
	require.Greater(t, c.Kind().Restarts.Load(), int64(3))
	require.EqualValues(t, 1, c.Kind().Cells.Load())
}

// acceptFunc is an acceptor of one function.
type acceptFunc func(cell.Message)

// Accept implements cell.Acceptor.
func (f acceptFunc) Accept(m cell.Message) { f(m) }

func TestAnEndDrainsTheMailboxAndEachMessageIsCounted(t *testing.T) {
	w := newWorld(t)
	var lost []string
	out := &sink{}
	k := kindOf("k", func(ctx *cell.Context) {
		ctx.Write(out, append(ctx.Bytes(), ctx.Message().(*text).s...))
		if ctx.Message().(*text).s == "end" {
			ctx.End()
			ctx.Write(out, append(ctx.Bytes(), '!'))
		}
	})
	k.Lost = func(m cell.Message) { lost = append(lost, m.(*text).s) }
	c := w.start(cell.New(k, "c", w.g, nil))
	last := &text{s: "c"}
	for _, m := range []*text{{s: "a"}, {s: "end"}, {s: "b"}, last} {
		require.True(t, c.Push(m))
	}
	w.drain()
	require.Equal(t, "aend!", string(out.b), "what the last decision had to do is done")
	require.Equal(t, []string{"b", "c"}, lost)
	require.Equal(t, 1, last.released)
	require.True(t, c.Ended())
	require.Nil(t, c.PID())
	late := &text{s: "late"}
	require.False(t, c.Push(late), "a dead target is a result")
	require.Equal(t, 1, late.released)
	require.EqualValues(t, 3, k.Dropped.Load())
	require.Zero(t, k.Cells.Load())
	w.drain()
	require.Nil(t, c.PID(), "nobody starts it again")
}

func TestAMessageIsReleasedOnceUnlessItIsKept(t *testing.T) {
	w := newWorld(t)
	c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		if m, ok := ctx.Message().(*text); ok {
			if m.s == "keep" {
				ctx.Keep()
			}
			ctx.Count(&ctx.Self().Kind().Dropped, 1)
			ctx.Count(&ctx.Self().Kind().Dropped, 1)
		}
	}), "c", w.g, nil))
	var crash cell.Phase
	armed := false
	hooked(t, func(_ *cell.Cell, p cell.Phase, _ cell.Message) {
		if armed && p == crash {
			armed = false
			panic("injected")
		}
	})
	for _, crash = range []cell.Phase{cell.Before, cell.Decide, cell.Between, cell.Done} {
		armed = crash != cell.Done
		free, kept := &text{s: "free"}, &text{s: "keep"}
		c.Push(free)
		w.drain()
		require.Equal(t, 1, free.released, "after a crash in phase %s", crash)
		armed = crash != cell.Done
		c.Push(kept)
		w.drain()
		require.Zero(t, kept.released, "after a crash in phase %s", crash)
	}
}

// mover is sent around between groups while messages arrive.
type mover struct {
	mailbox.Link
	from, n int
}

func TestACellChangesGroupsWhileMessagesArrive(t *testing.T) {
	const producers, each = 4, 10_000
	w := newWorld(t)
	services := []*group.Service{group.NewService("a", w.clock), group.NewService("b", w.clock), group.NewService("c", w.clock)}
	var next [producers]int
	got := 0
	all := make(chan bool)
	c := cell.New(kindOf("k", func(ctx *cell.Context) {
		m, ok := ctx.Message().(*mover)
		if !ok {
			return
		}
		if m.n != next[m.from] {
			t.Errorf("producer %d: message %d came for %d", m.from, m.n, next[m.from])
		}
		next[m.from]++
		if got++; got%2 == 0 {
			ctx.Move(services[got%len(services)].Group())
		}
		if got == producers*each {
			close(all)
		}
	}), "c", w.g, nil)
	w.start(c)
	var wg sync.WaitGroup
	for from := range producers {
		wg.Go(func() {
			for n := range each {
				c.Push(&mover{from: from, n: n})
			}
		})
	}
	rest := make(chan bool)
	go func() { // the first group is driven by hand, until the cell has left it
		defer close(rest)
		for {
			select {
			case <-all:
				return
			default:
				if !w.g.RunOne() {
					runtime.Gosched()
				}
			}
		}
	}()
	<-all
	wg.Wait()
	<-rest
	for _, s := range services {
		s.Close()
	}
	require.Equal(t, producers*each, got)
	require.Zero(t, c.Pending())
}

// TestMovesAmidCrashes moves an actor that crashes between two groups of one
// driver: crash, restart and stop follow it.
func TestMovesAmidCrashes(t *testing.T) {
	w := newWorld(t)
	other := group.New("other", w.clock, nil)
	out := &sink{}
	n := 0
	c := w.start(cell.New(kindOf("k", func(ctx *cell.Context) {
		m := ctx.Message().(*text)
		ctx.Write(out, append(ctx.Bytes(), m.s...))
		if ctx.Group() == other {
			ctx.Move(w.g)
		} else {
			ctx.Move(other)
		}
		if n++; n%3 == 0 {
			panic("third")
		}
	}), "c", w.g, nil))
	want := ""
	both := func() {
		for w.steps(1000)+runAll(other) > 0 {
			continue
		}
	}
	for i := range 200 {
		s := string(rune('a' + i%26))
		want += s
		c.Push(&text{s: s})
		if i%5 == 0 {
			c.Stop()
		}
		if i%2 == 0 {
			both()
		}
	}
	both()
	require.Equal(t, want, string(out.b))
}

func runAll(g *group.Group) (ran int) {
	for g.RunOne() {
		ran++
	}
	return ran
}

// calls counts what an actor is given.
type calls struct{ n int }

func (c *calls) InvokeSystemMessage(any)             { c.n++ }
func (c *calls) InvokeUserMessage(any)               { c.n++ }
func (c *calls) EscalateFailure(reason, message any) { c.n++ }

// TestMessagesWaitUntilTheActorIsStarted: protoactor says hello and Started one
// after the other, and a group that is not the supervisor's may run between them.
func TestMessagesWaitUntilTheActorIsStarted(t *testing.T) {
	w := newWorld(t)
	c := cell.New(kindOf("k", func(*cell.Context) {}), "c", w.g, nil)
	got := new(calls)
	c.Hello(got)
	c.Push(&text{})
	w.drain()
	require.Zero(t, got.n)
	require.Equal(t, 1, c.Pending())
}
