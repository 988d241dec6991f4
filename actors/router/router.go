// SPDX-License-Identifier: Apache-2.0

// Package router knows who subscribes to what. It is emqttd_router,
// emqttd_pubsub and emqttd_server: a table that publishers read in place, and a
// pool of actors, hashed by client id, through which it changes.
//
// Supervised by pubsub_pool_sup, one_for_one, 10 restarts an hour. A crash loses
// nothing: the table belongs to the broker, a change is one effect.
//
// In emqttd SUBACK left before the route existed (an asynchronous cast), and a
// publisher that heard of the subscription lost 21 to 29 of 100 messages. Here
// Routed answers after the table has changed, and the session waits for it.
package router

import (
	"slices"

	"github.com/rs/zerolog"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// Kind makes the actor kind of the pool.
func Kind(t *Table, env *cast.Env, commits *store.Log) *cell.Kind {
	return &cell.Kind{Name: "router", Module: "emqttd_router", New: func(*cell.Cell) cell.Stage {
		return &router{table: t, env: env, commits: commits, log: env.Log}
	}}
}

type router struct {
	table   *Table
	env     *cast.Env
	commits *store.Log
	log     zerolog.Logger
}

// Receive implements cell.Stage.
func (r *router) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *cast.Route:
		r.route(ctx, msg)
	case *cast.Redispatch:
		r.redispatch(ctx, msg)
	case *cell.Poison:
		r.poison(ctx, msg)
	case *cell.Skip:
	default:
		r.log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

func (r *router) route(ctx *cell.Context, msg *cast.Route) {
	ctx.Keep()
	ctx.Submit(r.table, msg)
	if msg.Reply != nil {
		ctx.Cast(msg.Reply, &cast.Routed{Token: msg.Token})
	}
}

// redispatch gives a message to another member of its group, in the store in the
// same commit: killed in between, the broker has it for one of them. With none
// left it is dropped with the session that had it [v5 MQTT-4.8.2-5].
func (r *router) redispatch(ctx *cell.Context, msg *cast.Redispatch) {
	sub := r.table.member(msg.Share, msg.From, r.env.Limits().SharedStrategy, msg.Message)
	m := msg.Message
	var ops []store.Op
	if sub != nil && sub.Durable && min(sub.QoS, m.QoS) > packet.QoS0 {
		if m.ID.Seq == 0 { // only then is it given a position, and others read it already
			own := *m
			m = &own
		}
		ops = append(ops, store.Op{Kind: store.Append, Message: m, Sessions: []uint64{sub.Number}})
	}
	switch {
	case msg.Number == 0:
	case msg.ID != 0:
		ops = append(ops, store.Op{Kind: store.DelInflight, Session: msg.Number, ID: msg.ID, Message: m})
	default:
		ops = append(ops, store.Op{Kind: store.Discard, Session: msg.Number, Message: m})
	}
	if len(ops) > 0 {
		ctx.Submit(r.commits, &store.Commit{Ops: ops})
	}
	if sub == nil {
		ctx.Count(&r.env.Metrics.Dropped[metrics.DropShareOver], 1)
		return
	}
	ctx.Cast(sub.Session, &cast.Dispatch{Messages: []*message.Message{m}, Sub: sub, Share: msg.Share})
}

func (t *Table) member(ref *cast.ShareRef, not *cell.Cell, strategy string, m *message.Message) *cast.Subscription {
	e := t.trie.Get(ref.Filter)
	if e == nil {
		return nil
	}
	groups := e.groups.Load()
	if groups == nil {
		return nil
	}
	for _, g := range *groups {
		if g.name == ref.Group {
			return g.choose(strategy, m.From, m.Topic, not)
		}
	}
	return nil
}

// Others reports whether a shared group has a connected member besides not.
func (t *Table) Others(ref *cast.ShareRef, not *cell.Cell) bool {
	e := t.trie.Get(ref.Filter)
	if e == nil || e.groups.Load() == nil {
		return false
	}
	for _, g := range *e.groups.Load() {
		if g.name != ref.Group {
			continue
		}
		for _, m := range g.members {
			if m.Session != not && m.Online.Load() > 0 {
				return true
			}
		}
	}
	return false
}

// poison answers a request that cannot be decided: the session that waits for
// it is told, and closes its connection. What only removes routes may come from a
// session that is over, and a message that goes to another member is in nobody's
// hands else: that is decided about all the same.
func (r *router) poison(ctx *cell.Context, p *cell.Poison) {
	switch m := p.Message.(type) {
	case *cast.Route:
		switch {
		case !slices.ContainsFunc(m.Changes, func(c cast.Change) bool { return c.New != nil }):
			r.route(ctx, m)
		case m.Reply != nil:
			ctx.Cast(m.Reply, &cast.Routed{Token: m.Token, Failed: true})
		}
	case *cast.Redispatch:
		r.redispatch(ctx, m)
	}
}
