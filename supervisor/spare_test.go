// SPDX-License-Identifier: Apache-2.0

package supervisor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
	"emqttd/supervisor/stagetest"
)

// What the children of hotel do.
type (
	visit struct { // counts
		mailbox.Link
		panics int // so often, first
	}
	leave struct{ mailbox.Link } // comes to the end
	move  struct {
		mailbox.Link
		to *group.Group
	}
)

// hotel is a simple_one_for_one whose children come and go.
type hotel struct {
	*house
	kind   *cell.Kind
	visits map[string]int
	broken bool // no incarnation can be made
	n      int
}

func newHotel(t *testing.T) *hotel {
	h := &hotel{visits: map[string]int{}}
	h.kind = &cell.Kind{Name: "guest", New: func(*cell.Cell) cell.Stage {
		if h.broken {
			panic("no incarnation")
		}
		return stageFunc(h.receive)
	}}
	h.house = newHouse(t, supervisor.Options{Strategy: supervisor.SimpleOneForOne})
	return h
}

func (h *hotel) receive(ctx *cell.Context) {
	switch m := ctx.Message().(type) {
	case *visit:
		if m.panics > 0 {
			m.panics--
			panic("injected")
		}
		h.visits[ctx.Self().Name()]++
	case *leave:
		ctx.End()
	case *move:
		ctx.Move(m.to)
	}
}

// arrive starts a child, on g.
func (h *hotel) arrive(g *group.Group) *cell.Cell {
	h.n++
	c := cell.New(h.kind, fmt.Sprint("guest", h.n), g, &boss{})
	h.sup.Cell().Push(supervisor.Start(c))
	h.drain(g)
	return c
}

// tell sends c messages and does what comes of them.
func (h *hotel) tell(c *cell.Cell, all ...cell.Message) {
	for _, m := range all {
		c.Push(m)
	}
	h.drain(c.Group())
}

func (h *hotel) drain(other *group.Group) {
	for range 4 {
		stagetest.Drain(h.g)
		stagetest.Drain(other)
	}
}

// actors is how many actors protoactor has below the supervisor.
func (h *hotel) actors() (n int) {
	for id := range h.system.ProcessRegistry.LocalPIDs.LocalPIDs[0].Items() {
		if pid := actor.NewPID("nonhost", id); len(pid.Id) > len("root/sup/") && pid.Id[:len("root/sup/")] == "root/sup/" {
			n++
		}
	}
	return n
}

func TestTheActorOfAChildThatHasEndedServesTheNextOne(t *testing.T) {
	h := newHotel(t)
	first := h.arrive(h.g)
	pid := first.PID()
	require.NotNil(t, pid)
	h.tell(first, &visit{}, &leave{}, &visit{})
	require.True(t, first.Ended())
	require.Equal(t, cell.Ended, first.Life())
	require.Nil(t, first.PID(), "it has none any more")
	require.EqualValues(t, 0, h.kind.Cells.Load())
	require.EqualValues(t, 1, h.kind.Dropped.Load())
	require.Equal(t, 1, h.actors(), "but the actor is there")

	second := h.arrive(h.g)
	require.Same(t, pid, second.PID())
	require.Equal(t, cell.Up, second.Life())
	require.EqualValues(t, 1, h.kind.Cells.Load())
	third := h.arrive(h.g)
	require.NotSame(t, pid, third.PID())
	h.tell(second, &visit{}, &visit{})
	h.tell(third, &visit{})
	h.tell(first, &visit{})
	require.Equal(t, map[string]int{"guest1": 1, "guest2": 2, "guest3": 1}, h.visits)
	require.Zero(t, h.kind.Restarts.Load(), "nobody calls it a restart")
	page, total := h.sup.Page(0, 10)
	require.Equal(t, 2, total)
	require.Equal(t, "guest2", page[0].Name)
}

func TestAnActorThatServesItsSecondChildIsRestartedLikeAnyOther(t *testing.T) {
	h := newHotel(t)
	h.tell(h.arrive(h.g), &leave{})
	c := h.arrive(h.g)
	pid := c.PID()
	h.tell(c, &visit{panics: 1})
	require.Equal(t, 1, h.visits["guest2"], "it was tried again")
	require.Equal(t, 1, c.Owner().(*boss).crashed)
	require.EqualValues(t, 1, h.kind.Restarts.Load())

	h.tell(c, &leave{})
	require.NotSame(t, pid, h.arrive(h.g).PID(), "what has crashed is not given to anybody")
	require.Equal(t, 1, h.actors(), "it has stopped")

	c = h.arrive(h.g)
	pid = c.PID()
	c.Stop()
	h.drain(h.g)
	require.NotSame(t, pid, c.PID(), "a stop ends the actor, too")
	h.tell(c, &visit{})
	require.Equal(t, 1, h.visits["guest4"])
	require.EqualValues(t, 1, h.kind.By[cell.ByStop].Load())
}

func TestAChildThatGetsASpareActorMayFailToBeMade(t *testing.T) {
	h := newHotel(t)
	h.tell(h.arrive(h.g), &leave{})
	h.broken = true
	c := h.arrive(h.g)
	require.Equal(t, cell.Failing, c.Life())
	require.Equal(t, 1, c.Owner().(*boss).aborted)
	c.Push(&visit{})
	h.broken = false
	h.pass(10 * time.Millisecond)
	require.Equal(t, cell.Up, c.Life())
	require.Equal(t, 1, h.visits["guest2"])
}

func TestASpareActorStopsWithItsSupervisor(t *testing.T) {
	h := newHotel(t)
	a, b := h.arrive(h.g), h.arrive(h.g)
	pid := a.PID()
	h.tell(a, &leave{})
	require.Equal(t, 2, h.actors())
	h.sup.Cell().Stop() // and is started again
	h.drain(h.g)
	require.Equal(t, 1, h.actors())
	h.tell(b, &visit{})
	require.Equal(t, 1, h.visits["guest2"])
	c := h.arrive(h.g)
	require.NotSame(t, pid, c.PID())
	h.tell(c, &visit{})
	require.Equal(t, 1, h.visits["guest3"])

	h.tell(c, &leave{})
	crashOf(h.sup.Cell()) // a restart, whose actor keeps its PID
	d := h.arrive(h.g)
	h.tell(d, &visit{})
	require.Equal(t, 1, h.visits["guest4"])

	h.tell(d, &leave{})
	end := h.shutDown()
	h.drain(h.g)
	require.Equal(t, ending{times: 1}, *end)
	require.Zero(t, h.actors())
}

// crashOf makes an actor crash at the next message that it takes up.
func crashOf(c *cell.Cell) {
	hit := false
	cell.SetHook(hookFunc(func(at *cell.Cell, p cell.Phase, _ cell.Message) {
		if at == c && p == cell.Before && !hit {
			hit = true
			panic("injected")
		}
	}))
	defer cell.SetHook(nil)
	c.Push(&cell.Skip{})
	stagetest.Drain(c.Group())
}

func TestOnlySoManyActorsAreSpare(t *testing.T) {
	h := newHotel(t)
	var all []*cell.Cell
	for range 1000 {
		all = append(all, h.arrive(h.g))
	}
	for _, c := range all {
		h.tell(c, &leave{})
	}
	require.Equal(t, supervisor.MaxSpare, h.actors())
	require.Equal(t, supervisor.MaxSpare, supervisor.Spare(h.sup))
	for i := range 1000 {
		all[i] = h.arrive(h.g)
	}
	require.Zero(t, supervisor.Spare(h.sup))
	require.Equal(t, 1000, h.actors())
	for _, c := range all {
		h.tell(c, &visit{})
	}
	require.Len(t, h.visits, 1000)
}

// TestAnActorThatHasMovedIsNotSpare: its supervisor would write to it from another
// thread.
func TestAnActorThatHasMovedIsNotSpare(t *testing.T) {
	h := newHotel(t)
	h.kind.Hibernate = time.Hour
	other := group.New("other", h.clock, nil)
	c := h.arrive(h.g)
	h.tell(c, &move{to: other}, &visit{})
	h.drain(other)
	require.Same(t, other, c.Group())
	h.tell(c, &leave{})
	require.Zero(t, supervisor.Spare(h.sup))
	require.Zero(t, h.actors())

	c = h.arrive(h.g)
	h.tell(c, &move{to: other})
	h.tell(c, &visit{}, &move{to: h.g})
	h.tell(c, &visit{}, &leave{})
	require.Zero(t, supervisor.Spare(h.sup), "nor one that has come back")
	require.Zero(t, h.actors())
	require.Equal(t, 2, h.visits["guest2"])
}

func TestAnActorThatServesItsSecondChildHibernates(t *testing.T) {
	h := newHotel(t)
	h.kind.Hibernate = time.Second
	for range 5 {
		h.tell(h.arrive(h.g), &visit{}, &leave{})
		h.pass(time.Millisecond)
	}
	c := h.arrive(h.g)
	h.tell(c, &visit{})
	for range 10 {
		h.pass(10 * time.Millisecond)
	}
	require.Equal(t, cell.Hibernating, c.Life())
	require.Zero(t, h.actors())
	h.tell(c, &visit{})
	require.Equal(t, 2, h.visits["guest6"])
	h.tell(c, &leave{})
	require.Equal(t, 1, supervisor.Spare(h.sup))
	for range 300 {
		h.pass(10 * time.Millisecond)
	}
	c = h.arrive(h.g) // the dormitory has forgotten it meanwhile
	for range 10 {
		h.pass(10 * time.Millisecond)
	}
	require.Equal(t, cell.Hibernating, c.Life())
	require.Zero(t, h.kind.Restarts.Load())
}
