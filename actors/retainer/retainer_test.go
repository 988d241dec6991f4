// SPDX-License-Identifier: Apache-2.0

package retainer_test

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/retainer"
	"emqttd/protocol/message"
	"emqttd/protocol/topic"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/stagetest"
)

func msg(name, payload string) *message.Message {
	return &message.Message{Topic: name, Payload: []byte(payload), Retain: true, At: 1}
}

func walk(x *retainer.Index, filter string) (out []string) {
	x.Walk(filter, func(m *message.Message) bool {
		out = append(out, m.Topic+"="+string(m.Payload))
		return true
	})
	slices.Sort(out)
	return out
}

func TestTheLastMessageOfATopicIsKept(t *testing.T) {
	// [v3.1.1 MQTT-3.3.1-5 -10 -11, v5 MQTT-3.3.1-5 -6 -7]
	rapid.Check(t, func(t *rapid.T) {
		x, want := retainer.NewIndex(0), map[string]*message.Message{}
		names := []string{"a", "a/b", "b", "$SYS/a", "a/b/c"}
		for n := range rapid.IntRange(1, 40).Draw(t, "steps") {
			m := msg(rapid.SampledFrom(names).Draw(t, "topic"), "")
			if rapid.IntRange(0, 2).Draw(t, "clears") > 0 {
				m.Payload = []byte(fmt.Sprint("payload", n))
				want[m.Topic] = m
			} else {
				delete(want, m.Topic)
			}
			x.Put(m)
		}
		bytes := int64(0)
		for _, name := range names {
			require.Same(t, want[name], x.Get(name))
			if m := want[name]; m != nil {
				bytes += int64(m.Size())
			}
		}
		require.Equal(t, len(want), x.Len())
		require.Equal(t, bytes, x.Bytes())
		for _, filter := range []string{"#", "a/#", "+", "a/+", "$SYS/#", "a/b"} {
			var found []string
			for _, name := range slices.Sorted(maps.Keys(want)) {
				if topic.Match(filter, name) {
					found = append(found, name+"="+string(want[name].Payload))
				}
			}
			slices.Sort(found)
			require.Equal(t, found, walk(x, filter), filter)
		}
	})
}

func TestAWalkStopsWhenItIsTold(t *testing.T) {
	x := retainer.NewIndex(0)
	for i := range 1000 {
		x.Put(msg(fmt.Sprint("t/", i), "x"))
	}
	n := 0
	x.Walk("#", func(*message.Message) bool { n++; return n < 300 })
	require.Equal(t, 300, n)
}

type clock struct{ now atomic.Int64 }

func (c *clock) Now() int64 { return c.now.Load() }

// desk is a retainer actor under a supervisor and a cell that hears it.
type desk struct {
	g     *group.Group
	clock *clock
	index *retainer.Index
	env   *cast.Env
	actor *cell.Cell
	reply *cell.Cell
	heard []*cast.Matched
}

// Receive implements cell.Stage.
func (d *desk) Receive(ctx *cell.Context) { ctx.Submit(d, ctx.Message()) }

// Accept implements cell.Acceptor.
func (d *desk) Accept(m cell.Message) { d.heard = append(d.heard, m.(*cast.Matched)) }

func newDesk(t *testing.T, l *cast.Limits) *desk {
	d := &desk{clock: new(clock), index: retainer.NewIndex(0)}
	d.clock.now.Store(int64(time.Hour))
	d.g = group.New("test", d.clock, nil)
	d.env = cast.NewEnv("node", zerolog.Nop(), new(metrics.Metrics), l)
	d.actor = retainer.New(d.index, d.env, d.g)
	d.reply = cell.New(&cell.Kind{Name: "session", New: func(*cell.Cell) cell.Stage { return d }}, "reply", d.g, nil)
	root := supervisor.New("root", d.g, supervisor.Options{MaxRestarts: 1 << 30, Within: time.Hour,
		Children: []supervisor.Child{{Cell: d.actor}, {Cell: d.reply}}}, zerolog.Nop())
	require.NoError(t, supervisor.StartRoot(supervisor.System(zerolog.Nop()), root, func(*cell.Crash) { t.Error("root gave up") }))
	d.drain()
	t.Cleanup(func() { cell.SetHook(nil) })
	return d
}

func (d *desk) drain() { stagetest.Drain(d.g) }

// filters are subscriptions to filters.
func filters(all ...string) (subs []*cast.Subscription) {
	for _, f := range all {
		subs = append(subs, &cast.Subscription{Filter: f})
	}
	return subs
}

// ask takes all batches of a filter.
func (d *desk) ask(t *testing.T, filter string, batch int) (out []string) {
	var cur topic.Cursor
	for token := uint64(1); ; token++ {
		d.heard = nil
		d.actor.Push(&cast.Match{Subs: filters(filter), Cursor: cur, Max: batch, Reply: d.reply, Token: token})
		d.drain()
		require.Len(t, d.heard, 1)
		m := d.heard[0]
		require.Equal(t, token, m.Token)
		require.LessOrEqual(t, len(m.Messages), batch)
		for _, m := range m.Messages {
			out = append(out, m.Topic)
		}
		if m.Done {
			return out
		}
		cur = m.Cursor
	}
}

func TestMatchesComeInBatchesEachOnce(t *testing.T) {
	d := newDesk(t, &cast.Limits{})
	var want []string
	for i := range 250 {
		name := fmt.Sprintf("a/%03d", i)
		d.index.Put(msg(name, "x"))
		d.index.Put(msg(fmt.Sprint("b/", i), "x"))
		want = append(want, name)
	}
	for _, batch := range []int{1, 7, 100, 1000} {
		require.ElementsMatch(t, want, d.ask(t, "a/+", batch))
	}
	require.Empty(t, d.ask(t, "c/#", 10))
}

// TestALookupPassesWhatHasNothing: one question for all filters of a SUBSCRIBE
// takes one answer for each that has messages, not for each.
func TestALookupPassesWhatHasNothing(t *testing.T) {
	d := newDesk(t, &cast.Limits{})
	var all []string
	for i := range 200 {
		all = append(all, fmt.Sprintf("dev/%03d/+", i))
	}
	for _, name := range []string{"dev/070/a", "dev/070/b", "dev/070/c", "dev/071/a"} {
		d.index.Put(msg(name, "x"))
	}
	type answer struct {
		filter string
		found  int
		done   bool
	}
	var got []answer
	subs, cur := filters(all...), topic.Cursor{}
	for token := uint64(1); len(subs) > 0; token++ {
		d.heard = nil
		d.actor.Push(&cast.Match{Subs: subs, Cursor: cur, Max: 2, Reply: d.reply, Token: token})
		d.drain()
		require.Len(t, d.heard, 1)
		m := d.heard[0]
		subs, cur = subs[m.Passed:], m.Cursor
		got = append(got, answer{subs[0].Filter, len(m.Messages), m.Done})
		if m.Done {
			subs, cur = subs[1:], topic.Cursor{}
		}
	}
	require.Equal(t, []answer{
		{"dev/063/+", 0, true}, // a decision has its bound
		{"dev/070/+", 2, false},
		{"dev/070/+", 1, true},
		{"dev/071/+", 1, true},
		{"dev/135/+", 0, true},
		{"dev/199/+", 0, true},
	}, got)
}

func TestWhatHasExpiredIsNotFound(t *testing.T) {
	l := &cast.Limits{}
	d := newDesk(t, l)
	now := d.clock.Now()
	for name, m := range map[string]*message.Message{
		"fresh": {Payload: []byte("x"), At: now - int64(time.Minute)},
		"old":   {Payload: []byte("x"), At: now - int64(30*time.Minute)},
		"due":   {Payload: []byte("x"), At: now, Expiry: now},
		"later": {Payload: []byte("x"), At: now, Expiry: now + 1},
	} {
		m.Topic = name
		d.index.Put(m)
	}
	require.ElementsMatch(t, []string{"fresh", "old", "later"}, d.ask(t, "#", 10))
	with := *l
	with.RetainedExpiry = 10 * time.Minute
	d.env.SetLimits(&with)
	require.ElementsMatch(t, []string{"fresh", "later"}, d.ask(t, "#", 10))
}

func TestALookupThatIsPoisonIsAnswered(t *testing.T) {
	d := newDesk(t, &cast.Limits{})
	d.index.Put(msg("a", "x"))
	cell.SetHook(hookFunc(func(_ *cell.Cell, p cell.Phase, m cell.Message) {
		if _, ok := m.(*cast.Match); ok && p == cell.Before {
			panic("sticky")
		}
	}))
	require.Empty(t, d.ask(t, "#", 10), "done, with nothing: the subscription goes on live")
	cell.SetHook(nil)
	require.Equal(t, []string{"a"}, d.ask(t, "#", 10))
}

type hookFunc func(c *cell.Cell, p cell.Phase, m cell.Message)

func (f hookFunc) At(c *cell.Cell, p cell.Phase, m cell.Message) { f(c, p, m) }
