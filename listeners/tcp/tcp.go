// SPDX-License-Identifier: Apache-2.0

// Package tcp is the listener actor of a TCP or TLS port. It is esockd_listener
// with its acceptors and esockd_connection_sup's limits.
//
// The actor decides who comes in; the bound socket is the loop's. So a crash of
// the actor closes no port and no connection, and the connections that knocked
// meanwhile wait in its mailbox. In emqttd the death of esockd_connection_sup cost
// every client its connection, and the port never came back.
//
// Supervised by esockd_sup, one_for_one.
package tcp

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"emqttd/listeners/internal/conn"
	"emqttd/supervisor/cell"
)

// Rules say who may enter a port. A reload replaces them.
type Rules struct {
	MaxConnections int
	MaxRate        int                            // connections per second; 0: no limit
	Admit          func(peer netip.AddrPort) bool // access rules and bans; nil: everybody
	Behind         func(peer netip.AddrPort) bool // the same for clients that a PROXY header names; nil: everybody
}

// Gate decides about knocks; it is the part that all listener actors share.
type Gate struct {
	core   *conn.Listener
	rules  atomic.Pointer[Rules]
	state  state
	Turned Counters
}

// Counters are the knocks that were turned away, by reason.
type Counters struct{ Full, Denied atomic.Int64 }

// state is the token bucket of the connect rate.
type state struct {
	tokens float64
	at     int64
}

var slot = cell.NewSlot[state]()

// NewGate makes the gate of a listener.
func NewGate(core *conn.Listener, r *Rules) *Gate {
	g := &Gate{core: core}
	g.rules.Store(r)
	core.Admit = func(client netip.AddrPort) bool {
		behind := g.rules.Load().Behind
		if behind == nil || behind(client) {
			return true
		}
		g.Turned.Denied.Add(1)
		return false
	}
	return g
}

// Listener is the core's part of the listener.
func (g *Gate) Listener() *conn.Listener { return g.core }

// Rules are the rules in force.
func (g *Gate) Rules() *Rules { return g.rules.Load() }

// SetRules replaces the rules; connections that are in stay.
func (g *Gate) SetRules(r *Rules) { g.rules.Store(r) }

// Knock decides about a connection that the kernel has accepted. What is full
// or denied is closed before anything of it is read; what is too fast is let in
// and refused at its CONNECT, where there is a code to say so.
func (g *Gate) Knock(ctx *cell.Context, k *conn.Knock) {
	r := g.rules.Load()
	verdict := conn.LetIn
	switch {
	case g.core.Len() >= int64(r.MaxConnections):
		ctx.Count(&g.Turned.Full, 1)
		verdict = conn.TurnAway
	case r.Admit != nil && !r.Admit(k.Peer):
		ctx.Count(&g.Turned.Denied, 1)
		verdict = conn.TurnAway
	case r.MaxRate > 0 && !g.token(ctx, float64(r.MaxRate)):
		verdict = conn.TooFast
	}
	ctx.Submit(g.core, k.With(verdict))
}

func (g *Gate) token(ctx *cell.Context, rate float64) bool {
	s := slot.Edit(ctx, &g.state)
	if s.at == 0 {
		s.tokens = rate
	} else {
		s.tokens = min(rate, s.tokens+rate*float64(ctx.Now()-s.at)/float64(time.Second))
	}
	s.at = ctx.Now()
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

// Poison lets a knock that crashed the actor twice go.
func (g *Gate) Poison(ctx *cell.Context, p *cell.Poison) {
	if k, ok := p.Message.(*conn.Knock); ok {
		ctx.Submit(g.core, k.With(conn.TurnAway))
	}
}

// Kind makes the actor kind of a port.
func Kind(g *Gate, log zerolog.Logger) *cell.Kind {
	return &cell.Kind{Name: "listener", Module: "esockd_listener", New: func(*cell.Cell) cell.Stage { return &listener{g, log} }}
}

type listener struct {
	*Gate
	log zerolog.Logger
}

// Receive implements cell.Stage.
func (l *listener) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *conn.Knock:
		l.Knock(ctx, msg)
	case *cell.Poison:
		l.Poison(ctx, msg)
	case *cell.Skip:
	default:
		l.log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}
