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

	"emqttd/actors/cast"
	"emqttd/protocol/message"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
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

// Kind makes the retainer's actor kind.
func Kind(x *Index, env *cast.Env) *cell.Kind {
	return &cell.Kind{Name: "retainer", Module: "emqttd_retainer", New: func(*cell.Cell) cell.Stage {
		return &retainer{index: x, env: env}
	}}
}

type retainer struct {
	index *Index
	env   *cast.Env
}

// Receive implements cell.Stage.
func (r *retainer) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *cast.Match:
		r.match(ctx, msg)
	case *cell.Poison:
		if m, ok := msg.Message.(*cast.Match); ok {
			ctx.Cast(m.Reply, &cast.Matched{Token: m.Token, Done: true})
		}
	case *cell.Skip:
	default:
		r.env.Log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

func (r *retainer) match(ctx *cell.Context, msg *cast.Match) {
	found, next, done := r.index.names.Match(msg.Filter, msg.Cursor, msg.Max, nil)
	out := &cast.Matched{Token: msg.Token, Cursor: next, Done: done}
	oldest := int64(math.MinInt64)
	if d := r.env.Limits().RetainedExpiry; d > 0 {
		oldest = ctx.Now() - int64(d)
	}
	for _, e := range found {
		if !e.Value.Expired(ctx.Now()) && e.Value.At > oldest {
			out.Messages = append(out.Messages, e.Value)
		}
	}
	ctx.Cast(msg.Reply, out)
}
