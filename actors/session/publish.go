// SPDX-License-Identifier: Apache-2.0

package session

import (
	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/retainer"
	"emqttd/actors/router"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// Publisher is how a message gets from an actor to its subscribers: emqttd's
// emqttd:publish/1, run by the publisher's own actor, whichever that is.
type Publisher struct {
	Env      *cast.Env
	Table    *router.Table
	Log      *store.Log
	Retained *retainer.Index
}

// Outcome is what became of a publish.
type Outcome struct {
	Matched int  // subscriptions
	Waits   bool // a commit is under way: acknowledge after its Committed
	Code    packet.ReasonCode
}

// Publish decides what m causes: the commit, with more operations of the
// caller's, and the fan-out to everybody who subscribes. If the message must be
// durable, reply gets Committed with tag. A Code that failed means that nothing
// was done.
func (p *Publisher) Publish(ctx *cell.Context, m *message.Message, more []store.Op, reply *cell.Cell, tag uint64) Outcome {
	lim := p.Env.Limits()
	retain := m.Retain && lim.Retain
	if retain && !p.room(lim, m) {
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropRetainedFull], 1)
		if m.QoS > packet.QoS0 {
			return Outcome{Code: packet.QuotaExceeded}
		}
		retain = false
	}
	f := p.match(ctx, lim, m, retain)
	ops := more
	if to := f.DurableSessions(nil, m.QoS); len(to) > 0 {
		ops = append(ops, store.Op{Kind: store.Append, Message: m, Sessions: to})
	}
	if retain {
		ops = append(ops, store.Op{Kind: store.Retain, Message: m})
	}
	out := Outcome{Matched: f.Targets()}
	if len(ops) > 0 {
		c := &store.Commit{Ops: ops}
		if m.QoS > packet.QoS0 && reply != nil {
			c.Reply, c.Tag = reply, tag
			out.Waits = true
		}
		ctx.Submit(p.Log, c)
	}
	if out.Matched == 0 && !retain {
		f.Discard()
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropNoSubscriber], 1)
		return out
	}
	ctx.Fan(f.First(m))
	return out
}

func (p *Publisher) match(ctx *cell.Context, lim *cast.Limits, m *message.Message, retain bool) *router.Fanout {
	f := p.Table.Match(m.Topic, router.Options{From: m.From, Strategy: lim.SharedStrategy, Steps: lim.MatchSteps, Fresh: retain})
	if !f.Complete {
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropMatchSteps], 1)
	}
	return f
}

// room reports whether a retained message fits: deletions and replacements
// always do.
func (p *Publisher) room(lim *cast.Limits, m *message.Message) bool {
	switch {
	case len(m.Payload) == 0:
		return true
	case len(m.Payload) > lim.RetainedPayload:
		return false
	}
	return p.Retained.Len() < lim.RetainedCount || p.Retained.Get(m.Topic) != nil
}

// Join lets m go with the run of messages that the decision has queued last, if
// it is one of the same publisher to the same topic; it reports whether it
// does. One match and one delivery node then serve the run.
func (p *Publisher) Join(ctx *cell.Context, pub *packet.Publish, from string, make func(topic string) *message.Message) bool {
	if pub.Retain || pub.Properties != nil {
		return false
	}
	f, ok := ctx.LastFan().(*router.Fanout)
	if !ok || f.Durable || !f.Same(pub.Topic) {
		return false
	}
	ctx.Join(f, make(f.Topic()))
	return true
}
