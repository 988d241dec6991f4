// SPDX-License-Identifier: Apache-2.0

package router_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/router"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
)

// pool is one router actor under a supervisor, and a cell that hears its answers.
type pool struct {
	*sessions
	table  *router.Table
	env    *cast.Env
	actor  *cell.Cell
	reply  *cell.Cell
	heard  []cell.Message
	during func(cell.Message) // while an answer is taken
}

// Receive implements cell.Stage.
func (p *pool) Receive(ctx *cell.Context) {
	ctx.Keep()
	ctx.Submit(p, ctx.Message())
}

// Accept implements cell.Acceptor.
func (p *pool) Accept(m cell.Message) {
	p.heard = append(p.heard, m)
	if p.during != nil {
		p.during(m)
	}
}

func newPool(t *testing.T, n int) *pool {
	p := &pool{sessions: newSessions(n), table: router.NewTable(0)}
	p.env = cast.NewEnv("node", zerolog.Nop(), new(metrics.Metrics), &cast.Limits{SharedStrategy: "round_robin"})
	p.reply = cell.New(&cell.Kind{Name: "session", New: func(*cell.Cell) cell.Stage { return p }}, "reply", p.g, nil)
	p.actor = cell.New(router.Kind(p.table, p.env, store.NewLog(100, p.reply, nil)), "router", p.g, nil)
	root := supervisor.New("root", p.g, supervisor.Options{MaxRestarts: 1 << 30, Within: time.Hour,
		Children: []supervisor.Child{{Cell: p.actor}, {Cell: p.reply}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { t.Error("root gave up") }))
	p.drain()
	t.Cleanup(func() { cell.SetHook(nil) })
	return p
}

// drain runs the group to the end of its work; a Goexit ends only the goroutine
// that drives it.
func (p *pool) drain() {
	for ended := false; !ended; {
		var driver sync.WaitGroup
		driver.Go(func() {
			for p.g.RunOne() {
				continue
			}
			ended = true
		})
		driver.Wait()
	}
}

// ask is a change that is answered.
func ask(p *pool, token uint64, before, after *cast.Subscription) *cast.Route {
	r := route(before, after)
	r.Reply, r.Token = p.reply, token
	return r
}

type hookFunc func(c *cell.Cell, p cell.Phase, m cell.Message)

func (f hookFunc) At(c *cell.Cell, p cell.Phase, m cell.Message) { f(c, p, m) }

func TestRoutedLeavesAfterTheSubscriptionIsEffective(t *testing.T) {
	p := newPool(t, 1)
	p.during = func(m cell.Message) {
		require.Equal(t, m.(*cast.Routed).Token == 1, len(match(p.table, "t", "")) == 1)
	}
	s := p.sub(0, "t", 1)
	p.actor.Push(ask(p, 1, nil, s))
	p.drain()
	require.EqualValues(t, 1, p.table.Subscriptions())
	p.actor.Push(ask(p, 2, s, nil))
	p.drain()
	require.Zero(t, p.table.Subscriptions())
	require.Len(t, p.heard, 2)
}

// TestAnActorThatCrashesChangesTheTableOnce is emqttd's fault the other way
// round: a route that was lost, or entered twice, with its process.
func TestAnActorThatCrashesChangesTheTableOnce(t *testing.T) {
	for seed := range uint64(10) {
		p := newPool(t, 50)
		rng := rand.New(rand.NewPCG(seed, 3))
		hit, crashes := map[cell.Message]bool{}, 0
		cell.SetHook(hookFunc(func(c *cell.Cell, ph cell.Phase, m cell.Message) {
			if c != p.actor || ph == cell.Done || ph != cell.Between && hit[m] || rng.IntN(3) > 0 {
				return
			}
			hit[m] = true
			crashes++
			switch rng.IntN(3) {
			case 0:
				panic("injected")
			case 1:
				runtime.Goexit()
			}
			c.Stop()
		}))
		for i := range 50 {
			p.actor.Push(ask(p, uint64(i), nil, p.sub(i, "t", 0)))
		}
		p.drain()
		cell.SetHook(nil)
		require.Positive(t, crashes)
		require.Len(t, match(p.table, "t", ""), 50)
		require.EqualValues(t, 50, p.table.Version())
		require.EqualValues(t, 50, p.table.Subscriptions())
		require.Len(t, p.heard, 50)
		for i, m := range p.heard {
			require.EqualValues(t, i, m.(*cast.Routed).Token)
			require.False(t, m.(*cast.Routed).Failed)
		}
	}
}

func TestARequestThatIsPoisonIsAnsweredWithAFailure(t *testing.T) {
	p := newPool(t, 2)
	cell.SetHook(hookFunc(func(c *cell.Cell, ph cell.Phase, m cell.Message) {
		if r, ok := m.(*cast.Route); ok && ph == cell.Decide && r.Token == 1 {
			panic("sticky")
		}
	}))
	for i := range 2 {
		p.actor.Push(ask(p, uint64(i+1), nil, p.sub(i, "t", 0)))
	}
	p.drain()
	require.Len(t, p.heard, 2)
	require.Equal(t, cast.Routed{Token: 1, Failed: true}, bare(p.heard[0]))
	require.Equal(t, cast.Routed{Token: 2}, bare(p.heard[1]))
	require.Equal(t, []string{"c1"}, clients(match(p.table, "t", "")))
}

func bare(m cell.Message) cast.Routed {
	r := m.(*cast.Routed)
	return cast.Routed{Token: r.Token, Failed: r.Failed}
}

func TestAMessageOfAnEndedMemberGoesToAnother(t *testing.T) {
	p := newPool(t, 2)
	ref := &cast.ShareRef{Group: "g", Filter: "t"}
	heir := p.member(1, "t")
	heir.Session = p.reply
	join(p.table, "g", p.member(0, "t"), heir)
	m := &message.Message{Topic: "t"}
	for range 3 {
		p.actor.Push(&cast.Redispatch{Share: ref, Message: m, From: p.cells[0]})
	}
	p.drain()
	require.Len(t, p.heard, 3)
	d := p.heard[0].(*cast.Dispatch)
	require.Equal(t, []*message.Message{m}, d.Messages)
	require.Same(t, heir, d.Sub)
	require.Equal(t, ref, d.Share)
	p.actor.Push(&cast.Redispatch{Share: ref, Message: m, From: p.reply})
	p.drain()
	require.Len(t, p.heard, 3)
	require.Equal(t, 1, p.cells[0].Pending(), "not back to where it came from")
	// Without another member it is dropped, and counted [v5 MQTT-4.8.2-5].
	p.actor.Push(&cast.Redispatch{Share: &cast.ShareRef{Group: "h", Filter: "t"}, Message: m, From: p.reply})
	p.actor.Push(&cast.Redispatch{Share: &cast.ShareRef{Group: "g", Filter: "u"}, Message: m, From: p.reply})
	p.drain()
	require.EqualValues(t, 2, p.env.Metrics.Dropped[metrics.DropShareOver].Load())
}

// TestWhatTheStoreHasOfAMessageGoesWithItToAnotherMember in one commit, before the
// message.
func TestWhatTheStoreHasOfAMessageGoesWithItToAnotherMember(t *testing.T) {
	stored := &message.Message{Topic: "t", QoS: 1, ID: message.ID{Seq: 7}}
	for name, c := range map[string]struct {
		durable bool
		qos     packet.QoS // of the other member
		msg     *message.Message
		number  uint64
		id      packet.ID
		want    string
	}{
		"from queue to queue":                  {true, 1, stored, 1, 0, "append 7 to [2], discard 7 of 1"},
		"from flight to queue":                 {true, 1, stored, 1, 9, "append 7 to [2], strike 7 #9 of 1"},
		"from memory to queue":                 {true, 1, &message.Message{Topic: "t", QoS: 1}, 0, 0, "append 101 to [2]"},
		"from queue to memory":                 {false, 1, stored, 1, 0, "discard 7 of 1"},
		"from queue to a member that wants q0": {true, 0, stored, 1, 0, "discard 7 of 1"},
		"from memory to memory":                {false, 1, &message.Message{Topic: "t", QoS: 1}, 0, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, 2)
			heir := p.member(1, "t")
			heir.Session, heir.Durable, heir.QoS = p.reply, c.durable, c.qos
			join(p.table, "g", p.member(0, "t"), heir)
			before := c.msg.ID
			p.actor.Push(&cast.Redispatch{Share: &cast.ShareRef{Group: "g", Filter: "t"}, Message: c.msg, From: p.cells[0], Number: c.number, ID: c.id})
			p.drain()
			require.Equal(t, before, c.msg.ID, "others read it")
			if c.want != "" {
				require.Equal(t, c.want, changes(p.heard[0].(*store.Commit)))
				p.heard = p.heard[1:]
			}
			require.Len(t, p.heard, 1)
			require.Equal(t, "t", p.heard[0].(*cast.Dispatch).Messages[0].Topic)
		})
	}
}

// changes says what a commit does.
func changes(c *store.Commit) string {
	var out []string
	for _, op := range c.Ops {
		switch op.Kind {
		case store.Append:
			out = append(out, fmt.Sprintf("append %d to %v", op.Message.ID.Seq, op.Sessions))
		case store.Discard:
			out = append(out, fmt.Sprintf("discard %d of %d", op.Message.ID.Seq, op.Session))
		case store.DelInflight:
			out = append(out, fmt.Sprintf("strike %d #%d of %d", op.Message.ID.Seq, op.ID, op.Session))
		}
	}
	return strings.Join(out, ", ")
}
