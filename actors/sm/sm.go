// SPDX-License-Identifier: Apache-2.0

// Package sm decides who owns a client id. It is emqttd_sm, one actor of a pool
// hashed by client id: whatever happens to one client id is decided by one actor,
// one thing after the other.
//
// Each connection that takes the id gets a higher epoch; nobody waits for the
// connection before, whose late messages carry an epoch that its session no
// longer answers to. A session ends only when this actor says so, so that an id
// can never be bound to a session that is on its way out (emqttd locked such
// clients out until they asked for a clean session). What the store may still have
// of such a session goes with the next CONNECT of its client id, which waits for
// that: a client that was told that it has no session must not find one after a
// kill.
//
// Supervised by emqttd_sm_pool_sup, one_for_one, 10 restarts an hour. A crash
// loses nothing: the table is the cell's.
package sm

import (
	"slices"
	"sync/atomic"

	"github.com/rs/zerolog"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/protocol/packet"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Memory is the table of one worker.
type Memory struct {
	env      *cast.Env
	pub      *session.Publisher
	sessions *cell.Kind
	epochs   *atomic.Uint64
	numbers  *atomic.Uint64
	table    cell.Map[string, owner]
	// ending are the sessions of client ids that have none now, as in owner.ends: a
	// client must not hear that it has no session while a kill could bring one back.
	ending cell.Map[string, []uint64]
}

// owner is the session of a client id and the epoch of its newest connection.
type owner struct {
	session *cell.Cell
	number  uint64
	epoch   uint64
	kept    bool // the store may have a record of it
	// ends are the numbers of the sessions before it that the store may still have.
	// Immutable.
	ends []uint64
}

// left are the sessions that the store may have when this one has ended.
func (o owner) left() []uint64 {
	if !o.kept {
		return o.ends
	}
	return append(slices.Clip(o.ends), o.number)
}

// NewMemory makes the memory of a worker. The counters are shared by the pool:
// epochs grow over restarts (boot number and counter), and so do the numbers of
// sessions.
func NewMemory(env *cast.Env, pub *session.Publisher, sessions *cell.Kind, epochs, numbers *atomic.Uint64) *Memory {
	return &Memory{env: env, pub: pub, sessions: sessions, epochs: epochs, numbers: numbers}
}

// Load takes a restored session in, before the worker runs. Of two with one
// client id, of which a clean start was about to end the older when the broker
// ended, the one that was loaded first ends now.
func (m *Memory) Load(clientID string, s *cell.Cell, number, epoch uint64) {
	o := owner{session: s, number: number, epoch: epoch, kept: true}
	if old, had := m.table.Loaded(clientID); had {
		old.session.Push(&cast.Destroy{Reason: metrics.CloseNormal, Kept: true})
		o.ends = old.left()
	}
	m.table.Load(clientID, o)
}

// Len is the number of sessions of the worker.
func (m *Memory) Len() int { return m.table.Len() }

// Kind makes the actor kind of one worker.
func Kind(m *Memory) *cell.Kind {
	return &cell.Kind{Name: "sm", Module: "emqttd_sm", New: func(*cell.Cell) cell.Stage {
		return &manager{Memory: m, log: m.env.Log}
	}}
}

type kick struct {
	mailbox.Link
	clientID string
}

// Kick ends the connection and the session of a client id, by an operator.
func Kick(env *cast.Env, clientID string) { env.Pick(env.SM, clientID).Push(&kick{clientID: clientID}) }

type deadLetters struct {
	mailbox.Link
	clientID string
	request  *session.DeadRequest
}

// DeadLetters asks the session of a client id about its dead letters, for an
// operator: the request's channel gets the reply.
func DeadLetters(env *cast.Env, clientID string, r *session.DeadRequest) {
	env.Pick(env.SM, clientID).Push(&deadLetters{clientID: clientID, request: r})
}

type manager struct {
	*Memory
	log zerolog.Logger
}

// Receive implements cell.Stage.
func (m *manager) Receive(ctx *cell.Context) { m.decide(ctx, ctx.Message()) }

func (m *manager) decide(ctx *cell.Context, msg cell.Message) {
	switch msg := msg.(type) {
	case *cast.StartSession:
		ctx.Keep()
		m.start(ctx, msg)
	case *cast.Expired:
		m.expired(ctx, msg)
	case *cast.NotAttached:
		m.notAttached(ctx, msg)
	case *cast.SessionGone:
		m.gone(ctx, msg)
	case *kick:
		m.kick(ctx, msg.clientID)
	case *deadLetters:
		m.deadLetters(ctx, msg)
	case *cell.Poison:
		switch p := msg.Message.(type) {
		case *cast.StartSession:
			ctx.Cast(&p.Conn.Protocol, &cast.SessionStarted{Code: packet.ImplementationSpecificError})
		case *deadLetters:
			p.request.NoSession(ctx)
		default: // a session that is over, and nobody who would say so again
			m.decide(ctx, p)
		}
	case *cell.Skip:
	default:
		m.log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

// start resumes the session of the client id or makes one: {start_session,
// {CleanSess, ClientId, ClientPid}}.
func (m *manager) start(ctx *cell.Context, msg *cast.StartSession) {
	o, had := m.table.Get(ctx, msg.ClientID)
	epoch, ends := m.epochs.Add(1), o.ends
	if had && msg.CleanStart {
		ctx.Cast(o.session, &cast.Destroy{Reason: metrics.CloseTakeover, Kept: o.kept})
		m.cut(ctx, msg, o)
		had, ends = false, o.left()
	} else if !had && m.env.Metrics.Sessions.Load() >= int64(m.env.Limits().MaxSessions) {
		ctx.Cast(&msg.Conn.Protocol, &cast.SessionStarted{Code: packet.QuotaExceeded})
		return
	}
	if !had {
		if before, any := m.ending.Get(ctx, msg.ClientID); any {
			ends = before
			m.ending.Delete(ctx, msg.ClientID)
		}
		number := m.numbers.Add(1)
		s := session.New(m.sessions, m.pub, msg.ClientID, number, msg.Conn)
		o = owner{session: s.Cell(), number: number, ends: ends}
		ctx.Submit(m.env.Directory, &cast.SessionOpened{ClientID: msg.ClientID, Number: number, CreatedAt: ctx.Now(), Session: o.session})
		ctx.Cast(m.env.SessionSup[msg.Conn.LoopIndex], supervisor.Start(o.session))
		ctx.Count(&m.env.Metrics.Sessions, 1)
	}
	o.epoch, o.kept = epoch, o.kept || msg.Expiry > 0 || msg.Will != nil
	m.table.Put(ctx, msg.ClientID, o)
	ctx.Cast(o.session, &cast.Attach{Start: msg, Epoch: epoch, Ends: ends})
}

// cut tells the connection of a session that a clean start ends: that session has
// another group perhaps, and the new connection its CONNACK before it gets there.
// What the old one is sent behind that must find it closing. (With a session that
// is resumed, its Kick is in the mailbox before the CONNACK is on its way.)
func (m *manager) cut(ctx *cell.Context, msg *cast.StartSession, o owner) {
	if c, ok := m.env.Directory.Client(msg.ClientID); ok && c.Session == o.session {
		ctx.Cast(&c.Conn.Protocol, &cast.Kick{Code: packet.SessionTakenOver, Reason: metrics.CloseTakeover})
	}
}

// expired ends a session whose time is over, unless a connection has taken it
// up since.
func (m *manager) expired(ctx *cell.Context, msg *cast.Expired) {
	o, ok := m.table.Get(ctx, msg.ClientID)
	if !ok || o.session != msg.Session || o.epoch != msg.Epoch {
		return
	}
	m.end(ctx, msg.ClientID, o, metrics.CloseNormal)
}

// notAttached gives a session the epoch back that it answers to. One that never had
// a connection ends: nobody will come to end it.
func (m *manager) notAttached(ctx *cell.Context, msg *cast.NotAttached) {
	o, ok := m.table.Get(ctx, msg.ClientID)
	if !ok || o.session != msg.Session || o.epoch != msg.Epoch {
		return
	}
	if msg.Before == 0 {
		m.end(ctx, msg.ClientID, o, metrics.CloseNormal)
		return
	}
	o.epoch = msg.Before
	m.table.Put(ctx, msg.ClientID, o)
}

func (m *manager) deadLetters(ctx *cell.Context, msg *deadLetters) {
	o, ok := m.table.Get(ctx, msg.clientID)
	if !ok {
		msg.request.NoSession(ctx)
		return
	}
	ctx.Cast(o.session, msg.request)
}

func (m *manager) kick(ctx *cell.Context, clientID string) {
	if o, ok := m.table.Get(ctx, clientID); ok {
		m.end(ctx, clientID, o, metrics.CloseKicked)
	}
}

// end takes a session out of the table and the directory, and tells it.
func (m *manager) end(ctx *cell.Context, clientID string, o owner, reason metrics.Close) {
	m.table.Delete(ctx, clientID)
	if left := o.left(); len(left) > 0 {
		m.ending.Put(ctx, clientID, left)
	}
	ctx.Submit(m.env.Directory, &cast.SessionEnded{ClientID: clientID, Session: o.session})
	ctx.Cast(o.session, &cast.Destroy{Reason: reason, Kept: o.kept})
}

// gone is told that the store has nothing more of a session that was ended.
func (m *manager) gone(ctx *cell.Context, msg *cast.SessionGone) {
	without := func(ends []uint64) []uint64 {
		return slices.DeleteFunc(slices.Clone(ends), func(n uint64) bool { return n == msg.Number })
	}
	if o, ok := m.table.Get(ctx, msg.ClientID); ok && slices.Contains(o.ends, msg.Number) {
		o.ends = without(o.ends)
		m.table.Put(ctx, msg.ClientID, o)
	}
	if ends, ok := m.ending.Get(ctx, msg.ClientID); ok {
		if ends = without(ends); len(ends) > 0 {
			m.ending.Put(ctx, msg.ClientID, ends)
		} else {
			m.ending.Delete(ctx, msg.ClientID)
		}
	}
}
