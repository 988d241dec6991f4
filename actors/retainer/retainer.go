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
// Supervised one_for_one. A crash loses nothing: the index belongs to the broker.
package retainer

import (
	"math"
	"sync/atomic"
	"time"

	"emqttd/actors/cast"
	"emqttd/protocol/message"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

// Index is the retained messages by topic.
type Index struct {
	names *topic.Index[*message.Message]
	bytes atomic.Int64
}

// NewIndex is an empty index.
func NewIndex(maxLevels int) *Index {
	return &Index{names: topic.NewIndex[*message.Message](maxLevels)}
}

// NewSeededIndex is an empty index whose order of a walk the seed decides, for a
// simulation.
func NewSeededIndex(maxLevels int, seed uint64) *Index {
	return &Index{names: topic.NewSeededIndex[*message.Message](maxLevels, seed)}
}

// Put implements store.Retained [v3.1.1 MQTT-3.3.1-5 -10 -11, v5 MQTT-3.3.1-5 -6 -7].
func (x *Index) Put(m *message.Message) {
	if len(m.Payload) == 0 {
		if old, had := x.names.Delete(m.Topic); had {
			x.bytes.Add(-int64(old.Size()))
		}
		return
	}
	old, had := x.names.Put(m.Topic, m)
	x.bytes.Add(int64(m.Size()))
	if had {
		x.bytes.Add(-int64(old.Size()))
	}
}

// Get is the retained message of a topic, nil when there is none.
func (x *Index) Get(name string) *message.Message {
	m, _ := x.names.Get(name)
	return m
}

// Len is the number of topics; Bytes what their messages are charged for.
func (x *Index) Len() int { return x.names.Len() }

// Bytes is the memory that the messages are charged for.
func (x *Index) Bytes() int64 { return x.bytes.Load() }

// Walk calls yield for retained messages of a filter until it returns false.
func (x *Index) Walk(filter string, yield func(*message.Message) bool) {
	var cur topic.Cursor
	for {
		out, next, done := x.names.Match(filter, cur, 256, nil)
		for _, e := range out {
			if !yield(e.Value) {
				return
			}
		}
		if done {
			return
		}
		cur = next
	}
}

// Accept implements cell.Acceptor for *forget: expired messages leave the index,
// unless a newer one has taken their place.
func (x *Index) Accept(m cell.Message) {
	for _, old := range m.(*forget).messages {
		if now, ok := x.names.Get(old.Topic); ok && now == old {
			x.names.Delete(old.Topic)
			x.bytes.Add(-int64(old.Size()))
		}
	}
}

// forget names messages that have expired.
type forget struct {
	mailbox.Link
	messages []*message.Message
}

// Memory is the retainer's cell: it outlives the incarnations.
type Memory struct {
	index *Index
	env   *cast.Env
	sweep cell.TimerFired
	state state
}

// state is how far the sweeper has come.
type state struct{ cursor topic.Cursor }

var slot = cell.NewSlot[state]()

// The sweeper looks at sweepBatch messages every sweepEvery, so that what nobody
// asks for expires, too; a million retained messages are seen once in 17 minutes.
const (
	sweepEvery = time.Second
	sweepBatch = 1000
)

// New makes the retainer: its cell runs on g.
func New(x *Index, env *cast.Env, g *group.Group) *cell.Cell {
	m := &Memory{index: x, env: env}
	kind := &cell.Kind{Name: "retainer", Module: "emqttd_retainer", Init: true, New: func(*cell.Cell) cell.Stage {
		return &retainer{m}
	}}
	c := cell.New(kind, "retainer", g, nil)
	cell.InitTimer(&m.sweep, c, 0)
	return c
}

type retainer struct{ *Memory }

// Receive implements cell.Stage.
func (r *retainer) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *cell.Started:
		ctx.Arm(r.sweep.Timer(), ctx.Now()+int64(sweepEvery))
	case *cast.Match:
		r.match(ctx, msg)
	case *cell.TimerFired:
		r.expire(ctx)
	case *cell.Poison:
		if m, ok := msg.Message.(*cast.Match); ok {
			ctx.Cast(m.Reply, &cast.Matched{Token: m.Token, Done: true})
		}
	case *cell.Skip:
	default:
		r.env.Log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

// match finds the next batch of a session's lookup. What has expired is
// forgotten on the way [v5 MQTT-3.3.2-5].
func (r *retainer) match(ctx *cell.Context, msg *cast.Match) {
	found, next, done := r.index.names.Match(msg.Filter, msg.Cursor, msg.Max, nil)
	live, dead := r.sort(ctx, found)
	if len(dead) > 0 {
		ctx.Submit(r.index, &forget{messages: dead})
	}
	ctx.Cast(msg.Reply, &cast.Matched{Token: msg.Token, Messages: live, Cursor: next, Done: done})
}

// expire takes the sweeper a step on.
func (r *retainer) expire(ctx *cell.Context) {
	s := slot.Edit(ctx, &r.state)
	found, next, done := r.index.names.Match("#", s.cursor, sweepBatch, nil)
	if _, dead := r.sort(ctx, found); len(dead) > 0 {
		ctx.Submit(r.index, &forget{messages: dead})
	}
	s.cursor = next
	if done {
		s.cursor = topic.Cursor{}
	}
	ctx.Arm(r.sweep.Timer(), ctx.Now()+int64(sweepEvery))
}

// sort divides messages into those that are good and those that have expired.
func (r *retainer) sort(ctx *cell.Context, found []topic.Entry[*message.Message]) (live, dead []*message.Message) {
	oldest := int64(math.MinInt64)
	if d := r.env.Limits().RetainedExpiry; d > 0 {
		oldest = ctx.Now() - int64(d)
	}
	for _, e := range found {
		if e.Value.Expired(ctx.Now()) || e.Value.At <= oldest {
			dead = append(dead, e.Value)
		} else {
			live = append(live, e.Value)
		}
	}
	return live, dead
}
