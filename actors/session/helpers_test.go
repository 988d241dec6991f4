// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/cast/casttest"
	"emqttd/actors/metrics"
	"emqttd/actors/retainer"
	"emqttd/actors/router"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/stagetest"
)

// slow is the memory engine whose writes become durable when the test says so.
type slow struct {
	*memory.Engine
	hold    bool
	waiting []func()
	ops     []store.Op
	commits []*store.Commit
}

// Write implements store.Engine.
func (s *slow) Write(group []*store.Commit, done func(error)) {
	for _, c := range group {
		s.ops = append(s.ops, c.Ops...)
		s.commits = append(s.commits, c)
	}
	write := func() { s.Engine.Write(group, done) }
	if s.hold {
		s.waiting = append(s.waiting, write)
		return
	}
	write()
}

// desk is one session with the real router, retainer and store around it, and
// probes in the places of its connection's actors and of the session manager.
type desk struct {
	t      *testing.T
	w      *stagetest.World
	env    *cast.Env
	limits cast.Limits
	pub    *session.Publisher
	engine *slow
	s      *session.Session
	sm     *stagetest.Probe
	epoch  uint64
}

// end is one connection of the session.
type end struct {
	*casttest.Conn
	client, protocol *stagetest.Probe
	epoch            uint64
}

func newDesk(t *testing.T, w *stagetest.World) *desk { return newDeskOn(t, w, memory.New()) }

// newDeskOn is a desk that starts on what an engine has, but for its sessions.
func newDeskOn(t *testing.T, w *stagetest.World, e *memory.Engine) *desk {
	d := &desk{t: t, w: w, engine: &slow{Engine: e}}
	d.limits = cast.Limits{Topics: topic.Limits{Length: 64, Levels: 8}, MatchSteps: 1 << 14, MaxSubscriptions: 4, MaxQoS: 2, Retain: true,
		SharedStrategy: "round_robin", OutHigh: 1 << 16, OutLow: 1 << 15, MaxInflight: 4, MaxQueued: 5, MaxQueuedBytes: 1 << 12,
		QueueWindow: 2, QueueQoS0: true, MaxAwaitingRel: 3, RetainedCount: 100, RetainedPayload: 1 << 10, RetainedBatch: 2, StoreBytes: 1 << 20}
	d.env = cast.NewEnv("emqttd@127.0.0.1", zerolog.Nop(), new(metrics.Metrics), &d.limits)
	table, index := router.NewTable(128), retainer.NewSeededIndex(128, 1)
	require.NoError(t, e.Retained(func(m *message.Message) bool { index.Put(m); return true }))
	d.env.Store = cell.New(store.Kind(d.engine, nil, zerolog.Nop()), "store", w.Group, nil)
	commits := store.NewLog(e.Last(), d.env.Store, index)
	d.env.Router = []*cell.Cell{cell.New(router.Kind(table, d.env, commits), "router/0", w.Group, nil)}
	d.env.Retainer = retainer.New(index, d.env, w.Group)
	d.sm = w.Probe("sm")
	d.env.SM = []*cell.Cell{d.sm.Cell}
	w.Start(d.env.Store, d.env.Router[0], d.env.Retainer)
	d.pub = &session.Publisher{Env: d.env, Table: table, Retained: index, Log: commits,
		Reader: &store.Reader{Engine: d.engine, Try: func(read func()) bool { read(); return true }}}
	return d
}

// open makes the session with its first connection.
func (d *desk) open(change func(*cast.StartSession)) *end {
	d.t.Helper()
	c := casttest.New(d.t)
	d.w.ProbeAt(&c.Loop, "loop", nil)
	d.s = session.New(session.Kind(d.env), d.pub, "c", 1, &c.Conn)
	d.w.Start(d.s.Cell())
	return d.attach(change)
}

// attach binds a further connection and takes it past its CONNACK.
func (d *desk) attach(change func(*cast.StartSession)) *end {
	d.t.Helper()
	e, started := d.knock(change)
	require.NotNil(d.t, started, "the session does not answer")
	require.False(d.t, started.Code.Failed())
	d.tell(&cast.Ready{Epoch: e.epoch})
	return e
}

// knock asks for the session; the answer is nil while it waits.
func (d *desk) knock(change func(*cast.StartSession)) (*end, *cast.SessionStarted) {
	d.t.Helper()
	return d.knockWith(change)
}

// knockWith is knock in the place of the sessions with these numbers.
func (d *desk) knockWith(change func(*cast.StartSession), ends ...uint64) (*end, *cast.SessionStarted) {
	d.t.Helper()
	d.epoch++
	e := &end{Conn: casttest.New(d.t), epoch: d.epoch}
	d.w.ProbeAt(&e.Loop, "loop", nil)
	e.client = d.w.ProbeAt(&e.Client, "client", nil)
	e.protocol = d.w.ProbeAt(&e.Protocol, "protocol", e.Owner())
	start := &cast.StartSession{Conn: &e.Conn.Conn, ClientID: "c", Version: packet.V5, ReceiveMaximum: 65535}
	if change != nil {
		change(start)
	}
	d.tell(&cast.Attach{Start: start, Epoch: e.epoch, Ends: ends})
	for _, m := range e.protocol.Take() {
		if started, ok := m.(*cast.SessionStarted); ok {
			return e, started
		}
	}
	return e, nil
}

func (d *desk) tell(m cell.Message) { d.t.Helper(); d.w.Tell(d.s.Cell(), m) }

// sync makes durable what was written so far.
func (d *desk) sync() {
	for len(d.engine.waiting) > 0 {
		next := d.engine.waiting[0]
		d.engine.waiting = d.engine.waiting[1:]
		next()
		d.w.Drain()
	}
}

func kept(s *cast.StartSession) { s.Expiry = 3600 }

func (d *desk) subscribe(e *end, filters ...packet.Subscription) {
	d.t.Helper()
	d.tell(&cast.Subscribe{Epoch: e.epoch, Packet: &packet.Subscribe{ID: 1, Subscriptions: filters},
		Codes: make([]packet.ReasonCode, len(filters))})
}

// publish lets somebody else publish.
func (d *desk) publish(m *message.Message) {
	d.t.Helper()
	if m.From == "" {
		m.From = "other"
	}
	m.At = d.w.Clock.Now()
	d.w.Tell(d.publisher(), &order{msg: m})
}

func (d *desk) publisher() *cell.Cell {
	k := &cell.Kind{Name: "publisher", New: func(*cell.Cell) cell.Stage { return (*publisher)(d) }}
	c := cell.New(k, "publisher", d.w.Group, nil)
	d.w.Start(c)
	return c
}

type order struct {
	cast.Detach // for its link
	msg         *message.Message
}

type publisher desk

// Receive implements cell.Stage.
func (p *publisher) Receive(ctx *cell.Context) {
	p.pub.Publish(ctx, ctx.Message().(*order).msg, session.Publishing{})
	ctx.End()
}

func msg(qos packet.QoS, name, payload string) *message.Message {
	return &message.Message{Topic: name, Payload: []byte(payload), QoS: qos}
}

func retained(qos packet.QoS, name, payload string) *message.Message {
	m := msg(qos, name, payload)
	m.Retain = true
	return m
}

// sent is what was handed to the client of a connection since the last call.
func (e *end) sent() (out []string) {
	for _, m := range e.client.Take() {
		d, ok := m.(*cast.Deliver)
		if !ok {
			out = append(out, fmt.Sprintf("%T", m))
			continue
		}
		for _, x := range d.Deliveries {
			line := fmt.Sprintf("q%d #%d %s", x.QoS, x.ID, x.Message.Payload)
			if x.Dup {
				line += " dup"
			}
			if x.Retain {
				line += " retained"
			}
			if len(x.IDs.All()) > 0 {
				line += fmt.Sprint(" ", x.IDs.All())
			}
			out = append(out, line)
		}
		for _, id := range d.Pubrel {
			out = append(out, fmt.Sprintf("PUBREL #%d", id))
		}
		for _, id := range d.PubrelBad {
			out = append(out, fmt.Sprintf("PUBREL #%d unknown", id))
		}
	}
	return out
}

// answered is what the protocol actor of a connection was told.
func (e *end) answered() (out []string) {
	for _, m := range e.protocol.Take() {
		switch m := m.(type) {
		case *cast.Answer:
			for p := range m.All {
				switch p := p.(type) {
				case *packet.Ack:
					out = append(out, fmt.Sprintf("%s #%d %#02x", p.Kind, p.ID, byte(p.Code)))
				case *packet.Suback:
					out = append(out, fmt.Sprintf("SUBACK %v", p.Codes))
				case *packet.Unsuback:
					out = append(out, fmt.Sprintf("UNSUBACK %v", p.Codes))
				}
			}
			if m.Finished {
				out = append(out, "finished")
			}
		case *cast.Kick:
			out = append(out, fmt.Sprintf("kick %#02x detached %v", byte(m.Code), m.Detached))
		case *cast.SessionStarted:
			out = append(out, fmt.Sprintf("started present %v", m.Present))
		case *cast.Crashed: // not an answer
		default:
			out = append(out, fmt.Sprintf("%T", m))
		}
	}
	return out
}

func (d *desk) ack(e *end, kind packet.Type, ids ...packet.ID) {
	d.t.Helper()
	m := &cast.Acked{Epoch: e.epoch}
	for _, id := range ids {
		m.Acks = append(m.Acks, cast.Ack{Kind: kind, ID: id})
	}
	d.tell(m)
}

func (d *desk) detach(e *end, keepWill bool) {
	d.t.Helper()
	d.tell(&cast.Detach{Epoch: e.epoch, Reason: metrics.ClosePeer, KeepWill: keepWill})
}

// witness is a subscriber of its own, for what the session publishes.
func (d *desk) witness(filter string) *stagetest.Probe {
	p := d.w.Probe("witness")
	sub := &cast.Subscription{Subscriber: &cast.Subscriber{Session: p.Cell, Number: 9, ClientID: "witness"}, Filter: filter, QoS: 2}
	d.pub.Table.Accept(&cast.Route{Changes: []cast.Change{{New: sub}}})
	return p
}

// member is another member of a shared group.
func (d *desk) member(group, filter string) *stagetest.Probe {
	p := d.w.Probe("other")
	m := &cast.Subscriber{Session: p.Cell, Number: 8, ClientID: "other"}
	m.Online.Store(1)
	m.Window.Store(10)
	d.pub.Table.Accept(&cast.Route{Changes: []cast.Change{{New: &cast.Subscription{Subscriber: m, Filter: "$share/" + group + "/" + filter, QoS: 1}}}})
	return p
}

// onItsWay is m on the way from a publisher that has found the session in the
// routing table.
func (d *desk) onItsWay(m *message.Message) *cast.Dispatch {
	d.t.Helper()
	for range 3 { // a group deals
		f := d.pub.Table.Match(m.Topic, router.Options{From: "other", Strategy: "round_robin", Steps: 100}).First(m)
		for i := range f.Len() {
			if to, x := f.At(i); to == d.s.Cell() {
				return x.(*cast.Dispatch)
			}
		}
	}
	require.FailNow(d.t, "nobody sends it to the session")
	return nil
}

func heard(p *stagetest.Probe) (out []string) {
	for _, m := range p.Take() {
		for _, x := range m.(*cast.Dispatch).Messages {
			out = append(out, string(x.Payload))
		}
	}
	return out
}

func will(payload string, delay time.Duration) func(*cast.StartSession) {
	return func(s *cast.StartSession) {
		s.Expiry = 3600
		s.Will = &packet.Will{Topic: "will", Payload: []byte(payload)}
		s.WillDelay = uint32(delay / time.Second)
	}
}
