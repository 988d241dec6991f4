// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/stagetest"
)

// sleepers are children of a simple_one_for_one that hibernate.
func sleepers(t *testing.T, n int) (*house, *cell.Kind, []*cell.Cell) {
	k := quiet("k")
	k.Hibernate = time.Second
	h := newHouse(t, supervisor.Options{Strategy: supervisor.SimpleOneForOne})
	var all []*cell.Cell
	for i := range n {
		c := cell.New(k, fmt.Sprint("c", i), h.g, nil)
		all = append(all, c)
		h.sup.Cell().Push(supervisor.Start(c))
	}
	stagetest.Drain(h.g)
	for range 100 {
		h.pass(10 * time.Millisecond)
	}
	require.EqualValues(t, n, k.Asleep.Load())
	return h, k, all
}

func TestTheTreeShowsChildrenThatHibernate(t *testing.T) {
	h, k, all := sleepers(t, 3)
	all[1].Push(&number{})
	stagetest.Drain(h.g)
	page, total := h.sup.Page(0, 10)
	require.Equal(t, 3, total)
	for i, life := range []cell.Life{cell.Hibernating, cell.Up, cell.Hibernating} {
		require.Equal(t, life, page[i].Life)
		require.Equal(t, all[i].Name(), page[i].Name, "in the order of their start")
	}
	require.Zero(t, k.Restarts.Load())
	require.Empty(t, h.root.Down())
}

// TestARestartOfTheSupervisorWakesNobody: what hibernates has no actor that could
// be stopped with its supervisor's.
func TestARestartOfTheSupervisorWakesNobody(t *testing.T) {
	h, k, all := sleepers(t, 3)
	all[0].Push(&number{})
	stagetest.Drain(h.g)
	h.sup.Cell().Stop()
	stagetest.Drain(h.g)
	require.Equal(t, cell.Up, all[0].Life())
	require.EqualValues(t, 1, k.Restarts.Load(), "of the one that was awake")
	require.EqualValues(t, 2, k.Asleep.Load())
	h.sup.Cell().Stop()
	all[1].Push(&number{}) // it asks a supervisor that is between two incarnations
	stagetest.Drain(h.g)
	require.Equal(t, cell.Up, all[1].Life())
	require.EqualValues(t, 1, k.Asleep.Load())
}

func TestWhatHibernatesIsDoneWhenItsSupervisorShutsDown(t *testing.T) {
	h, k, all := sleepers(t, 2000)
	for _, c := range all[:700] {
		c.Push(&number{})
	}
	end := h.shutDown()
	stagetest.Drain(h.g)
	require.Equal(t, ending{times: 1}, *end, "nobody had to be killed, and nobody had to wait")
	require.EqualValues(t, 1300, k.Asleep.Load(), "nobody was woken for it")
	all[1999].Push(&number{})
	stagetest.Drain(h.g)
	require.Nil(t, all[1999].PID(), "and nobody wakes any more")
}

func TestTheRosterKeepsItsOrderAndForgetsWhoHasLeft(t *testing.T) {
	k := &cell.Kind{Name: "k", New: func(*cell.Cell) cell.Stage { return stageFunc(func(ctx *cell.Context) { ctx.End() }) }}
	h := newHouse(t, supervisor.Options{Strategy: supervisor.SimpleOneForOne})
	var here []*cell.Cell
	for i := range 1000 {
		c := cell.New(k, fmt.Sprint("c", i), h.g, nil)
		h.sup.Cell().Push(supervisor.Start(c))
		stagetest.Drain(h.g)
		if here = append(here, c); i%5 > 0 { // one in five stays for ever
			at := (i * 7) % len(here)
			here[at].Push(&number{})
			here = append(here[:at:at], here[at+1:]...)
			stagetest.Drain(h.g)
		}
	}
	page, total := h.sup.Page(0, 1000)
	require.Equal(t, len(here), total)
	for i, c := range here {
		require.Equal(t, c.Name(), page[i].Name)
	}
	require.LessOrEqual(t, supervisor.Places(h.sup), 2*len(here)+65)
	end := h.shutDown()
	stagetest.Drain(h.g)
	require.Equal(t, ending{times: 1}, *end)
}
