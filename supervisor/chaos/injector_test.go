// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
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

// still is a clock that tests move.
type still struct{ now int64 }

func (s *still) Now() int64 { return s.now }

// Word is a message of one letter; client and topic are whose it is.
type Word struct {
	mailbox.Link
	letter        byte
	client, topic string
}

func (w *Word) ChaosScope() Scope { return Scope{Client: w.client, Topic: w.topic} }

// Mute is a message that does not say whose it is.
type Mute struct{ mailbox.Link }

// scribe writes every letter twice, with two effects, and ! for poison.
type scribe struct{ out []byte }

func (s *scribe) Append(b []byte) { s.out = append(s.out, b...) }

func (s *scribe) Receive(ctx *cell.Context) {
	switch m := ctx.Message().(type) {
	case *Word:
		ctx.Write(s, append(ctx.Bytes(), m.letter))
		ctx.Cast(nil, nil) // keeps the second write an effect of its own
		ctx.Write(s, append(ctx.Bytes(), m.letter))
	case *cell.Poison:
		ctx.Write(s, append(ctx.Bytes(), '!'))
	}
}

// theatre is one scribe under a supervisor, on a group driven by hand.
type theatre struct {
	t     testing.TB
	clock *still
	g     *group.Group
	c     *cell.Cell
	s     *scribe
	in    *Injector
	hits  []Hit
}

func newTheatre(t testing.TB) *theatre {
	th := &theatre{t: t, clock: &still{1}, s: &scribe{}}
	th.g = group.New("test", th.clock, nil)
	th.c = cell.New(&cell.Kind{Name: "scribe", New: func(*cell.Cell) cell.Stage { return th.s }}, "scribe/1", th.g, nil)
	root := supervisor.New("root", th.g, supervisor.Options{MaxRestarts: 1 << 30, Within: time.Hour,
		Children: []supervisor.Child{{Cell: th.c}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { t.Error("root gave up") }))
	th.drain()
	th.in = NewInjector(Options{Clock: th.clock, OnHit: func(h Hit) { th.hits = append(th.hits, h) }})
	t.Cleanup(th.in.ClearAll)
	return th
}

func (th *theatre) drain() { stagetest.Drain(th.g) }

func (th *theatre) arm(f Fault) int {
	th.t.Helper()
	id, err := th.in.Add(f)
	require.NoError(th.t, err)
	return id
}

func (th *theatre) say(letters string) string {
	for _, l := range []byte(letters) {
		th.c.Push(&Word{letter: l, client: "demo-" + string(l), topic: "t/" + string(l)})
	}
	th.drain()
	out := string(th.s.out)
	th.s.out = nil
	return out
}

func (th *theatre) at() (phases string) {
	for _, h := range th.hits {
		phases += h.Phase.String() + " "
	}
	return phases
}

func TestAFaultHitsAnAttemptAndTheRetryHeals(t *testing.T) {
	for _, phase := range []string{"before", "decide", "between"} {
		for _, do := range []Action{Panic, Goexit, Stop} {
			t.Run(phase+" "+string(do), func(t *testing.T) {
				th := newTheatre(t)
				th.arm(Fault{At: "scribe/word/" + phase, Do: Do{Action: do}})
				require.Equal(t, "aabbcc", th.say("abc"))
				require.NotEmpty(t, th.hits)
				if do != Stop {
					require.Len(t, th.hits, 3, "one for each message: %s", th.at())
					require.EqualValues(t, 3, th.c.Kind().Crashes.Load())
				}
				require.Positive(t, th.c.Kind().Restarts.Load())
				require.Zero(t, th.c.Kind().Poisoned.Load())
			})
		}
	}
}

func TestWhenChoosesOccurrences(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault Fault
		out   string
		hits  int
	}{
		{"the second only", At("scribe/word").Nth(2), "aabbccdd", 1},
		{"every second", At("scribe/word").Every(2), "aabbccdd", 2},
		{"at most one", At("scribe/word").Times(1), "aabbccdd", 1},
		{"probability 1", At("scribe/word").Probably(1, 1), "aabbccdd", 4},
		{"a sticky one is poison", At("scribe/word").Nth(2).Sticky(), "aa!ccdd", 2},
		{"two attempts are poison", At("scribe/word").Nth(2).RecoverAfter(2), "aa!ccdd", 2},
		{"the first change of each message", At("scribe/word/decide"), "aabbccdd", 4},
		{"the second effect of the first message", At("scribe/word/between").Nth(2), "aabbccdd", 1},
		{"another kind", At("poet/word"), "aabbccdd", 0},
		{"another message", At("scribe/mute"), "aabbccdd", 0},
		{"any kind and message", At("*/w*").Nth(1), "aabbccdd", 1},
		{"anything, sticky, does not crash the answer to poison", At("*/*").Sticky(), "!!!!", 8},
		{"one client", At("scribe/word").Client("demo-b"), "aabbccdd", 1},
		{"clients by glob", At("scribe/word").Client("demo-*"), "aabbccdd", 4},
		{"one topic", At("scribe/word").Topic("+/c"), "aabbccdd", 1},
		{"a client and another's topic", At("scribe/word").Topic("+/c").Client("demo-b"), "aabbccdd", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			th := newTheatre(t)
			th.arm(tt.fault)
			require.Equal(t, tt.out, th.say("abcd"))
			require.Len(t, th.hits, tt.hits, th.at())
			require.EqualValues(t, tt.hits, th.in.List()[0].Hits)
		})
	}
}

func TestAProbabilityIsReplayedByItsSeed(t *testing.T) {
	run := func(seed uint64) (got []string, used uint64) {
		th := newTheatre(t)
		th.arm(At("scribe/word").Probably(0.3, seed))
		require.Len(t, th.say("abcdefghijklmnopqrstuvwxyz"), 52)
		for _, h := range th.hits {
			got = append(got, h.Scope.Client)
		}
		used = th.in.List()[0].Fault.When.Seed
		th.in.ClearAll()
		return got, used
	}
	first, seed := run(0)
	require.NotZero(t, seed, "the chosen seed is shown")
	again, _ := run(seed)
	require.Equal(t, first, again)
	other, _ := run(seed + 1)
	require.NotEqual(t, first, other)
}

func TestAScopeThatNobodyAnswersIsSeenInTheList(t *testing.T) {
	th := newTheatre(t)
	th.arm(At("scribe/*").Client("x"))
	th.c.Push(&Mute{})
	th.drain()
	l := th.in.List()[0]
	require.EqualValues(t, 1, l.Blind)
	require.Zero(t, l.Seen+l.Hits)
}

func TestATTLEndsOnTheGroupsClock(t *testing.T) {
	th := newTheatre(t)
	th.arm(At("scribe/word").Within(time.Second))
	require.Equal(t, "aa", th.say("a"))
	require.Len(t, th.hits, 1)
	th.clock.now += int64(time.Second)
	th.g.Tick()
	require.Equal(t, "bb", th.say("b"))
	require.Len(t, th.hits, 1)
	require.Empty(t, th.in.List())
	require.Nil(t, occupant.Load(), "the hook is gone with the last fault")
}

func TestClearDisarmsOneFaultOrAll(t *testing.T) {
	th := newTheatre(t)
	a, b := th.arm(At("scribe/word").Client("demo-a")), th.arm(At("scribe/word").Client("demo-b"))
	require.True(t, th.in.Clear(a))
	require.False(t, th.in.Clear(a))
	th.say("ab")
	require.Len(t, th.hits, 1)
	require.Equal(t, b, th.hits[0].ID)
	th.in.ClearAll()
	th.say("ab")
	require.Len(t, th.hits, 1)
	require.Nil(t, occupant.Load())
}

func TestOneInjectorIsArmedAtATime(t *testing.T) {
	a, b := NewInjector(Options{}), NewInjector(Options{})
	_, err := a.Add(At("x/y"))
	require.NoError(t, err)
	_, err = b.Add(At("x/y"))
	require.ErrorIs(t, err, ErrOccupied)
	a.ClearAll()
	_, err = b.Add(At("x/y"))
	require.NoError(t, err)
	b.ClearAll()
}

func TestFaultsHaveABound(t *testing.T) {
	in := NewInjector(Options{})
	defer in.ClearAll()
	for i := range MaxFaults {
		_, err := in.Add(At(fmt.Sprintf("x/%d", i)))
		require.NoError(t, err)
	}
	_, err := in.Add(At("x/y"))
	require.ErrorContains(t, err, "armed already")
}

func TestADelayWaitsAndAStallLastsUntilItIsCleared(t *testing.T) {
	th := newTheatre(t)
	var waited []time.Duration
	th.in.opts.Wait = func(d time.Duration, _ <-chan struct{}) { waited = append(waited, d) }
	th.arm(At("scribe/word").Delay(time.Second).Nth(1))
	th.arm(At("scribe/word").Stall(0).Client("demo-b"))
	require.Equal(t, "aabb", th.say("ab"))
	require.Equal(t, []time.Duration{time.Second, 0}, waited)

	th.in.ClearAll()
	stalled := make(chan struct{})
	th.in.opts.Wait = func(d time.Duration, cancel <-chan struct{}) { close(stalled); wait(d, cancel) }
	id := th.arm(At("scribe/word").Stall(0))
	done := make(chan string)
	go func() { done <- th.say("c") }()
	<-stalled
	require.True(t, th.in.Clear(id))
	require.Equal(t, "cc", <-done)
}

func TestKillAsksWhoeverAllowedIt(t *testing.T) {
	th := newTheatre(t)
	killed := 0
	th.in.opts.Kill = func() { killed++ }
	th.arm(At("scribe/word").Kill())
	th.say("a")
	require.Equal(t, 1, killed)
}

func TestAnInjectedPanicSaysSo(t *testing.T) {
	th := newTheatre(t)
	id := th.arm(At("scribe/word"))
	th.say("a")
	reason := th.c.LastCrash().Reason
	require.Equal(t, Injected{id, At("scribe/word")}, reason)
	require.Equal(t, "injected fault 1: at=scribe/word do=panic", fmt.Sprint(reason))
}

func TestCellsThatEndedInTheMiddleOfAMessageAreForgotten(t *testing.T) {
	th := newTheatre(t)
	th.arm(At("scribe/word"))
	th.in.many = 1
	gone := cell.New(&cell.Kind{Name: "scribe"}, "gone", th.g, nil)
	th.in.lives[gone] = &life{}
	th.say("a")
	require.Len(t, th.in.lives, 1, "a cell that lives is kept")
	require.Equal(t, minSweep, th.in.many)
}

// A message costs the same whether the injector exists or not, as long as
// nothing is armed; "elsewhere" is what an armed fault costs the others.
func BenchmarkMessage(b *testing.B) {
	run := func(b *testing.B, th *theatre) {
		b.ReportAllocs()
		w := &Word{letter: 'a', client: "demo", topic: "t"}
		for b.Loop() {
			th.c.Push(w)
			for th.g.RunOne() {
			}
			th.s.out = th.s.out[:0]
		}
	}
	b.Run("never armed", func(b *testing.B) { run(b, newTheatre(b)) })
	b.Run("armed and cleared", func(b *testing.B) {
		th := newTheatre(b)
		th.arm(At("*/*"))
		th.in.ClearAll()
		run(b, th)
	})
	b.Run("armed elsewhere", func(b *testing.B) {
		th := newTheatre(b)
		th.arm(At("poet/word"))
		run(b, th)
	})
	b.Run("armed here, other phase", func(b *testing.B) {
		th := newTheatre(b)
		th.arm(At("scribe/word").Nth(1 << 60))
		run(b, th)
	})
}
