// SPDX-License-Identifier: Apache-2.0

// Package retainer keeps the last retained message of each topic and finds
// those that a filter matches. It is emqttd_retainer.
//
// The index is told of a message at its acceptance by the store, so that
// positions decide what a subscription gets from here and what it gets live:
// none missing and none twice around the SUBACK. Lookups are asked for in
// batches with a cursor, which a session asks for as it is drained; emqttd sent
// all matches at once.
//
// Topics are in memory, payloads up to a bound; the others stay in the store and
// are read on the worker pool, a batch at a time. At the start the topics are
// read while clients are let in already: lookups wait until all are known.
//
// Supervised one_for_one. A crash loses nothing: the index belongs to the broker.
package retainer

import (
	"math"
	"time"

	"emqttd/actors/cast"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// Memory is the retainer's cell: it outlives the incarnations.
type Memory struct {
	index   *Index
	env     *cast.Env
	sweep   cell.TimerFired
	retry   cell.TimerFired
	state   state
	waiting cell.Queue[*cast.Match] // at most one of each session
}

const (
	timerSweep uint8 = iota
	timerRetry
)

// state is how far the sweeper has come.
type state struct{ cursor topic.Cursor }

var slot = cell.NewSlot[state]()

// The sweeper looks at sweepBatch messages every sweepEvery, so that what nobody
// asks for expires, too; a million retained messages are seen once in 17 minutes.
const (
	sweepEvery = time.Second
	sweepBatch = 1000
)

// retryEvery is how often lookups that wait, for the start or for the pool, are
// tried again.
const retryEvery = 10 * time.Millisecond

// New makes the retainer: its cell runs on g.
func New(x *Index, env *cast.Env, g *group.Group) *cell.Cell {
	m := &Memory{index: x, env: env}
	kind := &cell.Kind{Name: "retainer", Module: "emqttd_retainer", Init: true, New: func(*cell.Cell) cell.Stage {
		return &retainer{m}
	}}
	c := cell.New(kind, "retainer", g, nil)
	cell.InitTimer(&m.sweep, c, timerSweep)
	cell.InitTimer(&m.retry, c, timerRetry)
	return c
}

type retainer struct{ *Memory }

// Receive implements cell.Stage.
func (r *retainer) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *cell.Started:
		ctx.Arm(r.sweep.Timer(), ctx.Now()+int64(sweepEvery))
	case *cast.Match:
		ctx.Keep() // it may have to wait
		r.match(ctx, msg)
	case *busy:
		r.wait(ctx, msg.match)
	case *cell.TimerFired:
		r.timer(ctx, msg)
	case *cell.Poison:
		switch m := msg.Message.(type) {
		case *cast.Match:
			ctx.Cast(m.Reply, &cast.Matched{Token: m.Token, Done: true})
		case *busy:
			r.wait(ctx, m.match)
		case *cell.TimerFired:
			r.timer(ctx, m)
		}
	case *cell.Skip:
	default:
		r.env.Log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

func (r *retainer) timer(ctx *cell.Context, t *cell.TimerFired) {
	if t.Key == timerRetry {
		r.again(ctx)
	} else {
		r.expire(ctx)
	}
}

// match finds the next batch of a session's lookup. What has expired is
// forgotten on the way [v5 MQTT-3.3.2-5].
func (r *retainer) match(ctx *cell.Context, msg *cast.Match) {
	if r.index.Loading() {
		r.wait(ctx, msg)
		return
	}
	f := &fetch{match: msg, self: ctx.Self(), out: &cast.Matched{Token: msg.Token}}
	found := r.find(msg, f.out)
	live := r.sort(ctx, found)
	for _, e := range live {
		if e.Value.msg == nil {
			f.missing = append(f.missing, len(f.out.Messages))
			f.topics = append(f.topics, e.Name)
		}
		f.out.Messages = append(f.out.Messages, e.Value.msg)
	}
	if len(f.missing) == 0 {
		ctx.Cast(msg.Reply, f.out)
		return
	}
	ctx.Submit(reader{r.index}, f)
}

// passMost bounds the filters that one decision looks at: to a millisecond, in the
// worst case.
const passMost = 64

// find finds the names of the next batch: those of the first subscription and,
// when it has none, of the next that has. What most filters cost is a look at the
// first few nodes.
func (r *retainer) find(msg *cast.Match, out *cast.Matched) []topic.Entry[entry] {
	cur := msg.Cursor
	for last := min(len(msg.Subs), passMost) - 1; ; out.Passed++ {
		filter, _ := msg.Subs[out.Passed].Share()
		found, next, done := r.index.names.Match(filter, cur, 1, nil)
		if len(found) == 0 && done && out.Passed < last {
			cur = topic.Cursor{}
			continue
		}
		if !done && len(found) < msg.Max {
			found, next, done = r.index.names.Match(filter, next, msg.Max-len(found), found)
		}
		out.Cursor, out.Done = next, done
		return found
	}
}

// wait puts a lookup off.
func (r *retainer) wait(ctx *cell.Context, m *cast.Match) {
	if r.waiting.Len(ctx) == 0 {
		ctx.Arm(r.retry.Timer(), ctx.Now()+int64(retryEvery))
	}
	r.waiting.Push(ctx, m)
}

// again takes up what was put off.
func (r *retainer) again(ctx *cell.Context) {
	if r.index.Loading() {
		ctx.Arm(r.retry.Timer(), ctx.Now()+int64(retryEvery))
		return
	}
	for range r.waiting.Len(ctx) {
		m, _ := r.waiting.Peek(ctx)
		r.waiting.Pop(ctx)
		r.match(ctx, m)
	}
}

// expire takes the sweeper a step on.
func (r *retainer) expire(ctx *cell.Context) {
	s := slot.Edit(ctx, &r.state)
	found, next, done := r.index.names.Match("#", s.cursor, sweepBatch, nil)
	r.sort(ctx, found)
	s.cursor = next
	if done {
		s.cursor = topic.Cursor{}
	}
	ctx.Arm(r.sweep.Timer(), ctx.Now()+int64(sweepEvery))
}

// sort is those that are good; those that have expired are forgotten.
func (r *retainer) sort(ctx *cell.Context, found []topic.Entry[entry]) (live []topic.Entry[entry]) {
	oldest := int64(math.MinInt64)
	if d := r.env.Limits().RetainedExpiry; d > 0 {
		oldest = ctx.Now() - int64(d)
	}
	var dead *forget
	for _, e := range found {
		if e.Value.expiry != 0 && ctx.Now() >= e.Value.expiry || e.Value.at <= oldest {
			if dead == nil {
				dead = new(forget)
			}
			dead.entries = append(dead.entries, e)
		} else {
			live = append(live, e)
		}
	}
	if dead != nil {
		ctx.Submit(r.index, dead)
	}
	return live
}
