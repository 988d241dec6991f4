// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/netip"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/retainer"
	"emqttd/actors/router"
	"emqttd/actors/store"
	"emqttd/actors/trace"
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
	// Room reports whether the store has room for more; nil: always.
	Room func() bool
	// Reader gives back what waits in the store only; nil: all that waits is in memory.
	Reader *store.Reader
	// Dead knows the sessions with dead letters; nil: nobody asks.
	Dead *Graveyard
}

// Outcome is what became of a publish.
type Outcome struct {
	Matched int  // subscriptions
	Waits   bool // a commit is under way: acknowledge after its Committed
	Code    packet.ReasonCode
}

// Publishing is what a publish is done with.
type Publishing struct {
	More  []store.Op // of the publisher, in the same commit
	Reply *cell.Cell // gets Committed with Tag, if the message must be durable
	Tag   uint64
	// Early: Reply is answered at once, see store.Commit; or there is none, and
	// the publisher has its answer without.
	Early bool
	// Always: Reply waits for More, whatever the QoS of the message.
	Always bool
	// MayRefuse: the publisher can be told that its message was not taken. Else
	// what cannot be kept is delivered all the same.
	MayRefuse bool
	// Not is a session that does not get the message.
	Not *cell.Cell
	// Loan is what the message may be of; nil: of none.
	Loan *message.Loan
}

// Publish decides what m causes: the commit and the fan-out to everybody who
// subscribes. A Code that failed means that nothing was done.
func (p *Publisher) Publish(ctx *cell.Context, m *message.Message, how Publishing) Outcome {
	lim := p.Env.Limits()
	retain := m.Retain && lim.Retain
	on := p.Env.Trace.Wants(ctx.Now(), m.From, m.From, m.Topic, netip.AddrPort{})
	refuse := how.MayRefuse && m.QoS > packet.QoS0
	if retain && !p.room(lim, m) {
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropRetainedFull], 1)
		if on {
			p.trace(ctx, m, trace.Dropped, "not retained: "+metrics.DropRetainedFull.String(), 0)
		}
		if refuse {
			return Outcome{Code: packet.QuotaExceeded}
		}
		retain = false
	}
	if refuse && p.Full(lim) {
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropStoreFull], 1)
		if on {
			p.trace(ctx, m, trace.Refused, metrics.DropStoreFull.String(), 0)
		}
		return Outcome{Code: packet.QuotaExceeded}
	}
	// A trace tells of each drop whom it was for: the session knows.
	choked := p.Env.Metrics.Choked.Load() > 0 && !retain && !on && !p.Env.Trace.Clients()
	f := p.match(ctx, lim, m, router.Options{Fresh: retain, Not: how.Not, Choked: choked})
	ops := how.More
	if to := f.DurableSessions(nil, m.QoS); len(to) > 0 {
		ops = append(ops, store.Op{Kind: store.Append, Message: m, Sessions: to})
	}
	if retain {
		ops = append(ops, store.Op{Kind: store.Retain, Message: m})
	}
	out := Outcome{Matched: f.Targets()}
	p.countTopic(ctx, m, out.Matched)
	p.LeaveOut(ctx, f, 1)
	if len(ops) > 0 {
		c := &store.Commit{Ops: ops}
		if how.Reply != nil && (m.QoS > packet.QoS0 || how.Always) {
			c.Reply, c.Tag, c.Early = how.Reply, how.Tag, how.Early
			out.Waits = true
		} else if how.Early && m.QoS > packet.QoS0 {
			ctx.Count(&p.Env.Metrics.StoreEarly, 1)
		}
		ctx.Submit(p.Log, c)
	}
	if on {
		p.traceRouted(ctx, m, out, retain)
	}
	if out.Matched == 0 && !retain {
		f.Discard()
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropNoSubscriber], 1)
		return out
	}
	f.Lend(how.Loan)
	ctx.Fan(f.First(m))
	return out
}

// countTopic counts a message whose topic an operator has asked for.
func (p *Publisher) countTopic(ctx *cell.Context, m *message.Message, matched int) {
	if t := p.Env.Topics.Find(m.Topic); t != nil {
		ctx.Count(&t.Received[m.QoS], 1)
		if matched == 0 {
			ctx.Count(&t.Dropped, 1)
		}
	}
}

func (p *Publisher) match(ctx *cell.Context, lim *cast.Limits, m *message.Message, o router.Options) *router.Fanout {
	o.From, o.Strategy, o.Steps, o.QoS0 = m.From, lim.SharedStrategy, lim.MatchSteps, m.QoS == packet.QoS0
	f := p.Table.Match(m.Topic, o)
	if !f.Complete {
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropMatchSteps], 1)
	}
	return f
}

// Full reports whether what waits in sessions and what is retained has reached
// its bound: then nothing is taken that would have to be kept, until clients have
// fetched what is theirs.
func (p *Publisher) Full(lim *cast.Limits) bool {
	return p.Env.Metrics.QueuedBytes.Load()+p.Retained.Bytes() > lim.StoreBytes || p.Room != nil && !p.Room()
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
	return p.Retained.Len() < lim.RetainedCount || p.Retained.Has(m.Topic)
}

// Join lets a message go with the run of messages that the decision has queued
// last, if it is one of the same publisher to the same topic; it reports whether
// it does, and to how many. One match and one delivery node then serve the run. The
// message may be of a loan.
func (p *Publisher) Join(ctx *cell.Context, m *message.Message, loan *message.Loan) (int, bool) {
	if m.Retain {
		return 0, false
	}
	f, ok := ctx.LastFan().(*router.Fanout)
	if !ok || f.Durable || !f.Same(m.Topic, m.QoS) || !f.Lend(loan) {
		return 0, false
	}
	p.countTopic(ctx, m, f.Targets())
	p.LeaveOut(ctx, f, 1)
	if ctx.OwnFan() != nil {
		f.Add(m) // as Lead's user does: what joins at the commit would come behind that
	} else {
		ctx.Join(f, m)
	}
	return f.Targets(), true
}

// LeaveOut counts what n messages of the fan-out lose, whose sessions have no room.
func (p *Publisher) LeaveOut(ctx *cell.Context, f *router.Fanout, n int) {
	if f.LeftOut > 0 {
		ctx.Count(&p.Env.Metrics.Dropped[metrics.DropQoS0Slow], int64(n*f.LeftOut))
	}
}

// Lead is the fan-out that the decision has queued last, if it is still its own
// and further messages of the same publisher and QoS to the topic may be added; nil: they
// have to be published.
func (p *Publisher) Lead(ctx *cell.Context, topic string, qos packet.QoS) *router.Fanout {
	if f, ok := ctx.OwnFan().(*router.Fanout); ok && !f.Durable && f.Same(topic, qos) {
		return f
	}
	return nil
}
