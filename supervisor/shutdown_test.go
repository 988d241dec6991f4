// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/stagetest"
)

// quiet is a stage that does nothing.
func quiet(name string) *cell.Kind {
	return &cell.Kind{Name: name, New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) {}) }}
}

// shutDown asks the root to stop and reports how it ended.
func (h *house) shutDown() *ending {
	e := new(ending)
	h.root.Shutdown(func(killed []*cell.Cell) {
		e.times++
		for _, c := range killed {
			e.killed = append(e.killed, c.Name())
		}
	})
	return e
}

type ending struct {
	times  int
	killed []string
}

// TestShutdownStopsTheChildrenInReverse is fault 11: the library's Shutdown stops
// nobody, and called twice it panics.
func TestShutdownStopsTheChildrenInReverse(t *testing.T) {
	k := quiet("k")
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{plain(k, "a", nil), plain(k, "b", nil), plain(k, "c", nil)}})
	var order []string
	end, again := h.shutDown(), h.shutDown()
	seen := map[string]bool{}
	for h.g.RunOne() {
		for i := range 3 {
			if c := h.child(i); c.PID() == nil && !seen[c.Name()] {
				seen[c.Name()] = true
				order = append(order, c.Name())
			}
		}
	}
	require.Equal(t, []string{"c", "b", "a"}, order)
	require.Equal(t, ending{times: 1}, *end)
	require.Zero(t, again.times)
	require.Nil(t, h.root.Cell().PID(), "the supervisors have stopped, too")
	require.Nil(t, h.sup.Cell().PID())
	h.child(1).Push(&number{})
	stagetest.Drain(h.g)
	require.Nil(t, h.child(1).PID(), "nobody starts it again")
	require.Equal(t, 1, h.child(1).Pending(), "its mailbox is whole")
	h.pass(time.Hour)
	require.Equal(t, ending{times: 1}, *end)
}

func TestAChildThatIsToStopHandlesItsMailboxFirst(t *testing.T) {
	var seen []int
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		return stageFunc(func(ctx *cell.Context) { seen = append(seen, ctx.Message().(*number).n) })
	}}
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{plain(k, "a", nil)}})
	end := h.shutDown()
	for n := range 3 {
		h.child(0).Push(&number{n: n})
	}
	stagetest.Drain(h.g)
	h.child(0).Push(&number{n: 3})
	stagetest.Drain(h.g)
	require.Equal(t, []int{0, 1, 2}, seen)
	require.Equal(t, 1, end.times)
}

// TestWhatDoesNotStopInItsTimeIsKilled plays a child that never finishes what it
// does before it stops: shutdown 5000, then brutal_kill.
func TestWhatDoesNotStopInItsTimeIsKilled(t *testing.T) {
	k := quiet("k")
	slow, fast := plain(k, "slow", nil), plain(k, "fast", nil)
	var finish func()
	slow.Leave, slow.Shutdown = func(done func()) { finish = done }, 3*time.Second
	fast.Leave = func(done func()) { done() }
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{plain(k, "first", nil), slow, fast}})
	end := h.shutDown()
	stagetest.Drain(h.g)
	require.NotNil(t, finish)
	require.Nil(t, h.child(2).PID())
	require.Equal(t, "root > sup > slow", h.root.Stopping())
	h.pass(3*time.Second - 1)
	require.NotNil(t, h.child(1).PID(), "it has its time")
	require.NotNil(t, h.child(0).PID(), "who was started before it waits for it")
	require.Zero(t, end.times)
	h.log.Reset()
	h.pass(1)
	require.Nil(t, h.child(1).PID())
	require.Nil(t, h.child(0).PID())
	require.Equal(t, ending{times: 1, killed: []string{"slow"}}, *end)
	require.Equal(t, 1, strings.Count(h.log.String(), `"level":"error"`), h.log.String())
	require.Contains(t, h.log.String(), `"actor":"slow","supervisor":"sup","mailbox":0,"shutdown":3000,"message":"killed: it did not stop in its time"`)
	require.Empty(t, h.root.Stopping())
	finish() // too late, and nothing comes of it
	h.pass(time.Minute)
	require.Equal(t, 1, end.times)
}

func TestAChildWithoutATimeHasTheDefault(t *testing.T) {
	c := plain(quiet("k"), "c", nil)
	c.Leave = func(func()) {}
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{c}})
	end := h.shutDown()
	stagetest.Drain(h.g)
	h.pass(supervisor.DefaultShutdown - 1)
	require.Zero(t, end.times)
	h.pass(1)
	require.Equal(t, []string{"c"}, end.killed)
}

func TestBrutalKillGivesNoTime(t *testing.T) {
	seen := 0
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) { seen++ }) }}
	c := plain(k, "c", nil)
	c.Shutdown = supervisor.BrutalKill
	h := newHouse(t, supervisor.Options{Children: []supervisor.Child{c}})
	end := h.shutDown()
	stagetest.Drain(h.g)
	h.pass(0)
	require.Nil(t, h.child(0).PID())
	require.Equal(t, []string{"c"}, end.killed)
	require.NotContains(t, h.log.String(), "killed:")
}

// TestAStopThatNobodyOrderedIsRepairedDuringAShutdown: a service is needed by those
// that stop before it.
func TestAStopThatNobodyOrderedIsRepairedDuringAShutdown(t *testing.T) {
	seen := 0
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) { seen++ }) }}
	last := plain(k, "last", nil)
	var finish func()
	last.Leave = func(done func()) { finish = done }
	h := newHouse(t, supervisor.Options{MaxRestarts: 9, Within: time.Minute, Children: []supervisor.Child{plain(k, "first", nil), last}})
	end := h.shutDown()
	stagetest.Drain(h.g)
	for i := range 2 {
		h.child(i).Stop()
		h.child(i).Push(&number{})
		stagetest.Drain(h.g)
		crash(h, i)
	}
	h.sup.Cell().Stop()
	stagetest.Drain(h.g)
	for i := range 2 {
		h.child(i).Push(&number{})
	}
	stagetest.Drain(h.g)
	require.Equal(t, 6, seen)
	require.Zero(t, end.times)
	finish()
	stagetest.Drain(h.g)
	require.Equal(t, ending{times: 1}, *end)
}

func TestAServiceThatCanNotBeMadeKeepsNobodyFromStopping(t *testing.T) {
	broken := false
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		if broken {
			panic("no incarnation")
		}
		return stageFunc(func(*cell.Context) {})
	}}
	h := newHouse(t, supervisor.Options{MaxRestarts: 9, Within: time.Minute, Children: []supervisor.Child{plain(k, "weak", nil)}})
	broken = true
	crash(h, 0)
	require.Equal(t, cell.Failing, h.child(0).Life())
	end := h.shutDown()
	stagetest.Drain(h.g)
	require.Equal(t, ending{times: 1}, *end)
}

// crowded is a house with n children of a simple_one_for_one.
func crowded(t *testing.T, n int, k *cell.Kind, opts supervisor.Options) (*house, []*cell.Cell) {
	opts.Strategy = supervisor.SimpleOneForOne
	h := newHouse(t, opts)
	cells := make([]*cell.Cell, n)
	for i := range cells {
		cells[i] = cell.New(k, fmt.Sprint("session/", i), h.g, nil)
		h.sup.Cell().Push(supervisor.Start(cells[i]))
	}
	stagetest.Drain(h.g)
	return h, cells
}

func TestTheChildrenOfASimpleOneForOneStopTogether(t *testing.T) {
	const n = 2000
	seen := 0
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(*cell.Context) { seen++ }) }}
	h, cells := crowded(t, n, k, supervisor.Options{})
	for _, c := range cells {
		c.Push(&number{})
	}
	end := h.shutDown()
	stagetest.Drain(h.g)
	require.Equal(t, ending{times: 1}, *end)
	require.Equal(t, n, seen)
	for _, c := range cells {
		require.Nil(t, c.PID())
	}
	late := cell.New(k, "late", h.g, nil)
	h.sup.Cell().Push(supervisor.Start(late))
	stagetest.Drain(h.g)
	require.Nil(t, late.PID(), "nobody is started any more")
}

// TestConnectionsComeToTheirOwnEnd: children that end by themselves are asked to,
// and what does not within the time is let go of and killed.
func TestConnectionsComeToTheirOwnEnd(t *testing.T) {
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		return stageFunc(func(ctx *cell.Context) { ctx.End() })
	}}
	var cells []*cell.Cell
	kills := 0
	h, cells := crowded(t, 4, k, supervisor.Options{Shutdown: 2 * time.Second, Kill: func() { kills++ }, Leave: func() {
		for _, c := range cells[:3] {
			c.Push(&number{})
		}
	}})
	end := h.shutDown()
	stagetest.Drain(h.g)
	for _, c := range cells[:3] {
		require.True(t, c.Ended())
	}
	require.NotNil(t, cells[3].PID())
	require.Equal(t, "root > sup", h.root.Stopping())
	h.pass(2 * time.Second)
	require.Equal(t, ending{times: 1, killed: []string{"session/3"}}, *end)
	require.Equal(t, 1, kills)
	require.Nil(t, cells[3].PID())
}

// TestAPageOfChildrenIsTheSameTheNextTime: in the order of their start, whoever
// leaves.
func TestAPageOfChildrenIsTheSameTheNextTime(t *testing.T) {
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage {
		return stageFunc(func(ctx *cell.Context) { ctx.End() })
	}}
	h, cells := crowded(t, 500, k, supervisor.Options{})
	var want []string
	for i, c := range cells {
		if i%7 == 3 {
			want = append(want, c.Name())
		} else {
			c.Push(&number{})
		}
	}
	stagetest.Drain(h.g)
	names := func(skip, max int) (out []string) {
		page, total := h.sup.Page(skip, max)
		require.Equal(t, len(want), total)
		for _, i := range page {
			out = append(out, i.Name)
		}
		return out
	}
	require.Equal(t, want, names(0, 1000))
	require.Equal(t, want[10:15], names(10, 5))
	require.Empty(t, names(len(want), 5))
	n := h.root.Tree(3).Children[0]
	require.Equal(t, want[0], n.Children[0].Name)
	require.Equal(t, len(want)-3, n.More)
}
