// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/stagetest"
)

// The faults of the actor library that the package doc lists, and OTP's rules
// that it does not have.

// house is a supervisor with children, under a root.
type house struct {
	clock  *manual
	g      *group.Group
	sup    *supervisor.Supervisor
	root   *supervisor.Supervisor
	system *actor.ActorSystem
	gone   int // times that the root gave up
	log    bytes.Buffer
}

func newHouse(t *testing.T, opts supervisor.Options) *house {
	h := &house{clock: &manual{1_000_000_000}}
	h.g = group.New("test", h.clock, nil)
	for i := range opts.Children {
		opts.Children[i].Cell = cell.New(opts.Children[i].Cell.Kind(), opts.Children[i].Cell.Name(), h.g, opts.Children[i].Cell.Owner())
	}
	log := zerolog.New(&h.log)
	h.sup = supervisor.New("sup", h.g, opts, log)
	h.root = supervisor.New("root", h.g, supervisor.Options{MaxRestarts: 3, Within: time.Minute,
		Children: []supervisor.Child{{Cell: h.sup.Cell(), Supervisor: h.sup}}}, log)
	h.system = supervisor.System(log)
	require.NoError(t, supervisor.StartRoot(h.system, h.root, func(*cell.Crash) { h.gone++ }))
	stagetest.Drain(h.g)
	return h
}

// pass lets time go by.
func (h *house) pass(d time.Duration) {
	h.clock.now += int64(d)
	h.g.Tick()
	stagetest.Drain(h.g)
}

type stageFunc func(ctx *cell.Context)

// Receive implements cell.Stage.
func (f stageFunc) Receive(ctx *cell.Context) { f(ctx) }

// plain is a child without a group yet: newHouse gives it one.
func plain(k *cell.Kind, name string, o cell.Owner) supervisor.Child {
	return supervisor.Child{Cell: cell.New(k, name, group.New("", &manual{}, nil), o)}
}

// TestAServiceWhoseIncarnationsCanNotBeMadeIsTriedEverLater is fault 8: what the
// library calls exponential grows by a constant and knows no bound.
func TestAServiceWhoseIncarnationsCanNotBeMadeIsTriedEverLater(t *testing.T) {
	broken, made := true, []int64(nil)
	var h *house
	seen := 0
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		if h != nil {
			made = append(made, h.clock.now)
		}
		if broken {
			panic("no incarnation")
		}
		return stageFunc(func(*cell.Context) { seen++ })
	}}
	h = newHouse(t, supervisor.Options{MaxRestarts: 2, Within: time.Hour, Children: []supervisor.Child{plain(k, "weak", nil)}})
	tree := h.root.Tree(0)
	weak := tree.Children[0].Children[0]
	require.Equal(t, cell.Failing, weak.Life)
	require.Equal(t, "no incarnation", weak.Reason)
	require.Equal(t, []string{"weak"}, h.root.Down())
	for _, ms := range []int64{10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000, 5000} {
		d := time.Duration(ms) * time.Millisecond
		made = nil
		h.pass(d - 1)
		require.Empty(t, made, "%v before its time", d)
		h.pass(1)
		require.Len(t, made, 1)
	}
	require.Zero(t, h.gone, "what cannot be made counts against nobody's intensity")
	broken = false
	h.pass(5 * time.Second)
	require.Empty(t, h.root.Down())
	require.Equal(t, cell.Up, h.root.Tree(0).Children[0].Children[0].Life)

	broken, made = true, nil // and again, from the beginning
	crash(h, 0)
	require.Len(t, made, 1)
	h.pass(10 * time.Millisecond)
	require.Len(t, made, 2, "a success ends the doubling")
	require.EqualValues(t, 14, k.By[cell.ByMaking].Load(), "every attempt but the first of each series")
	broken = false
	h.pass(time.Second)
	require.Equal(t, 1, seen, "the mailbox has waited: here is the message again")
	require.EqualValues(t, 1, k.Recovery.Count())
}

// crash makes child i of h's supervisor crash at its next message.
func crash(h *house, i int) {
	hit := false
	cell.SetHook(hookFunc(func(c *cell.Cell, p cell.Phase, m cell.Message) {
		if _, ok := m.(*number); ok && !hit {
			hit = true
			panic("injected")
		}
	}))
	defer cell.SetHook(nil)
	h.child(i).Push(&number{})
	stagetest.Drain(h.g)
}

func (h *house) child(i int) *cell.Cell { return supervisor.ChildOf(h.sup, i) }

type hookFunc func(c *cell.Cell, p cell.Phase, m cell.Message)

// At implements cell.Hook.
func (f hookFunc) At(c *cell.Cell, p cell.Phase, m cell.Message) { f(c, p, m) }

// boss counts what the owner of a connection's actor is told.
type boss struct{ crashed, aborted int }

func (b *boss) Crashed(*cell.Crash)           { b.crashed++ }
func (b *boss) Abort(*cell.Cell, *cell.Crash) { b.aborted++ }

func TestARestartThatCrashesEndsTheConnectionOfItsActor(t *testing.T) {
	b, broken := &boss{}, false
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		if broken {
			panic("no incarnation")
		}
		return stageFunc(func(*cell.Context) {})
	}}
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{plain(k, "c", b)}})
	broken = true
	crash(h, 0)
	require.Equal(t, boss{crashed: 1, aborted: 1}, *b)
	require.Zero(t, h.gone)
	broken = false
	h.pass(10 * time.Millisecond)
	require.Zero(t, h.child(0).Pending(), "what its connection's end has to say is heard")
}

// TestTheRootIsNotStoppedByItsOwnCrashes is fault 13: without a guardian the
// library stops a root actor after ten crashes, and every actor with it.
func TestTheRootIsNotStoppedByItsOwnCrashes(t *testing.T) {
	seen := 0
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) { seen++ }) }}
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{plain(k, "c", nil)}})
	cell.SetHook(hookFunc(func(c *cell.Cell, p cell.Phase, m cell.Message) {
		if _, ok := m.(*number); ok && c == h.root.Cell() {
			panic("injected")
		}
	}))
	defer cell.SetHook(nil)
	for range 12 {
		h.root.Cell().Push(&number{}) // crashes at both attempts
		stagetest.Drain(h.g)
	}
	require.Positive(t, h.gone, "whoever runs the tree is told that its root crashes too often")
	h.child(0).Push(&number{})
	stagetest.Drain(h.g)
	require.Equal(t, 1, seen)
	require.Equal(t, cell.Up, h.root.Cell().Life())
}

// TestRestartIntensity is OTP's, which the library counts per child and for ever
// (fault 9): one supervisor counts the crashes of all its children within its
// window, and forgets the others.
func TestRestartIntensity(t *testing.T) {
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) {}) }}
	h := newHouse(t, supervisor.Options{MaxRestarts: 3, Within: time.Second,
		Children: []supervisor.Child{plain(k, "a", nil), plain(k, "b", nil)}})
	for range 500 {
		crash(h, 0)
		h.pass(400 * time.Millisecond)
		require.LessOrEqual(t, h.sup.Remembered(), 3)
	}
	require.Zero(t, h.sup.Cell().Info().Restarts, "three in a second are allowed")
	h.pass(time.Second)
	require.Zero(t, h.root.Tree(0).Children[0].Used)
	for i := range 3 {
		crash(h, i%2)
	}
	require.Equal(t, 3, h.root.Tree(0).Children[0].Used)
	require.Zero(t, h.sup.Cell().Info().Restarts)
	crash(h, 1)
	require.Equal(t, 1, h.sup.Cell().Info().Restarts, "the fourth is the supervisor's own crash")
	require.Zero(t, h.gone)
	require.Empty(t, h.root.Down(), "its children are up again")
}

func TestStrategies(t *testing.T) {
	for _, tt := range []struct {
		strategy supervisor.Strategy
		want     [4]int // restarts of each child when the third crashes
	}{
		{supervisor.OneForOne, [4]int{0, 0, 1, 0}},
		{supervisor.OneForAll, [4]int{1, 1, 1, 1}},
		{supervisor.RestForOne, [4]int{0, 0, 1, 1}},
	} {
		t.Run(tt.strategy.String(), func(t *testing.T) {
			var order []string
			var children []supervisor.Child
			for _, name := range []string{"a", "b", "c", "d"} {
				children = append(children, plain(&cell.Kind{Name: name, New: func(*cell.Cell) cell.Stage {
					order = append(order, name)
					return stageFunc(func(*cell.Context) {})
				}}, name, nil))
			}
			h := newHouse(t, supervisor.Options{Strategy: tt.strategy, MaxRestarts: 5, Within: time.Minute, Children: children})
			require.Equal(t, "abcd", strings.Join(order, ""))
			order = nil
			crash(h, 2)
			var got [4]int
			for i, n := range h.root.Tree(0).Children[0].Children {
				got[i] = n.Restarts
			}
			require.Equal(t, tt.want, got)
			restarted := ""
			for i, n := range tt.want {
				restarted += strings.Repeat(string("abcd"[i]), n)
			}
			slices.Sort(order)
			require.Equal(t, restarted, strings.Join(order, ""), "and each made anew once")
			require.Equal(t, tt.strategy.String(), h.root.Tree(0).Children[0].Strategy)
		})
	}
}

// TestChildrenMayHaveOneName is fault 10: the second actor of a name is refused,
// after its producer has run.
func TestChildrenMayHaveOneName(t *testing.T) {
	seen := 0
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) { seen++ }) }}
	h := newHouse(t, supervisor.Options{Strategy: supervisor.SimpleOneForOne})
	for range 3 {
		c := cell.New(k, "session/same", h.g, nil)
		h.sup.Cell().Push(supervisor.Start(c))
		c.Push(&number{})
	}
	stagetest.Drain(h.g)
	require.Equal(t, 3, seen)
	n := h.root.Tree(2).Children[0]
	require.Len(t, n.Children, 2)
	require.Equal(t, 1, n.More)
}

// TestACrashIsOneLineInTheLog is fault 16: the library tells of each crash at
// info, without a stack.
func TestACrashIsOneLineInTheLog(t *testing.T) {
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) {}) }}
	h := newHouse(t, supervisor.Options{MaxRestarts: 9, Within: time.Minute, Children: []supervisor.Child{plain(k, "weak", nil)}})
	h.log.Reset()
	crash(h, 0)
	require.Equal(t, 1, strings.Count(h.log.String(), "\n"), h.log.String())
	for _, what := range []string{`"actor":"weak"`, `"kind":"k"`, `"phase":"decide"`, `"reason":"injected"`, `number"`, "faults_test.go"} {
		require.Contains(t, h.log.String(), what)
	}
}

// TestTheLibrarysOwnLogGoesThroughOurs: what it says at warn and above is a line of
// the broker's log.
func TestTheLibrarysOwnLogGoesThroughOurs(t *testing.T) {
	var out bytes.Buffer
	log := supervisor.System(zerolog.New(&out)).Logger()
	log.Info("chatter")
	require.Empty(t, out.String())
	log.Warn("odd", "pid", "nonhost/$1")
	for _, what := range []string{`"level":"warn"`, `"lib":"proto.actor"`, `"pid":"nonhost/$1"`, `"message":"odd"`} {
		require.Contains(t, out.String(), what)
	}
}

// TestAPoisonPillLosesNothing is fault 17: the library drops what is queued
// behind it.
func TestAPoisonPillLosesNothing(t *testing.T) {
	var seen []int
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		return stageFunc(func(ctx *cell.Context) { seen = append(seen, ctx.Message().(*number).n) })
	}}
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{plain(k, "c", nil)}})
	pid := h.child(0).PID()
	for n := range 3 {
		h.child(0).Push(&number{n: n})
	}
	h.system.Root.Poison(pid)
	for n := range 3 {
		h.child(0).Push(&number{n: 3 + n})
	}
	stagetest.Drain(h.g)
	require.Equal(t, "[0 1 2 3 4 5]", fmt.Sprint(seen))
	require.Equal(t, 1, h.child(0).Info().Restarts)
	require.EqualValues(t, 1, k.By[cell.ByStop].Load())
}

// TestStagesNeverSeeTheLifecycle is what makes the faults 2, 3 and 14 impossible:
// a stage that crashes at everything it is told that is not its own is stopped
// and restarted like any other.
func TestStagesNeverSeeTheLifecycle(t *testing.T) {
	seen := 0
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		return stageFunc(func(ctx *cell.Context) {
			if _, ok := ctx.Message().(*number); !ok {
				panic(fmt.Sprintf("lifecycle: %T", ctx.Message()))
			}
			seen++
		})
	}}
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{plain(k, "c", nil)}})
	for range 5 {
		h.child(0).Stop()
		h.child(0).Push(&number{})
		stagetest.Drain(h.g)
	}
	h.sup.Cell().Stop()
	stagetest.Drain(h.g)
	h.child(0).Push(&number{})
	stagetest.Drain(h.g)
	require.Equal(t, 6, seen)
	require.Zero(t, k.Crashes.Load())
}
