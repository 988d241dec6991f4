// SPDX-License-Identifier: Apache-2.0

// Package wsloop is the parser actor of a connection. It is emqttd_ws:ws_loop,
// and the receiving half of emqttd_client for TCP and TLS.
//
//	{more, Parser}          keep the continuation, wait for the next chunk
//	{ok, Packet, Rest}      take the packet, go on with a fresh parser on Rest
//	{error, Reason}         tell the protocol actor what is wrong
//
// The packets of one chunk travel as one Received batch. The continuation is a
// value in the cell: a crash in the middle of a packet, or of the thirteen frames
// in which the seeds' CONNECT arrives, goes on with the same bytes. In emqttd the
// ws_loop process owned the socket and the continuation, and died with both.
//
// Supervised by client_sup of its event loop (simple_one_for_one).
package wsloop

import (
	"errors"
	"sync"

	"emqttd/actors/cast"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// Memory is what the parser actor of one connection knows.
type Memory struct {
	conn  *cast.Conn
	state state
}

type state struct {
	parser parser.Parser
	broken bool // a fault was found: what follows is not looked at
}

var slot = cell.NewSlot[state]()

// Init gives a connection its parser actor.
func Init(kind *cell.Kind, conn *cast.Conn, owner cell.Owner, g *group.Group, maxPacket int) {
	cell.Init(&conn.Loop, kind, "", g, owner)
	m := &Memory{conn: conn}
	m.state.parser = parser.New(parser.Options{Role: parser.Server, MaxPacketSize: uint32(maxPacket)})
	conn.LoopMemory = m
}

// Kind makes the actor kind.
func Kind(env *cast.Env) *cell.Kind {
	return &cell.Kind{Name: "ws_loop", NameOf: func(c *cell.Cell) string { return cast.ConnOf(c).Name() + "/loop" }, Module: "emqttd_ws", New: func(c *cell.Cell) cell.Stage {
		return &loop{Memory: cast.ConnOf(c).LoopMemory.(*Memory), env: env}
	}}
}

type loop struct {
	*Memory
	env *cast.Env
}

// Receive implements cell.Stage.
func (l *loop) Receive(ctx *cell.Context) {
	switch msg := ctx.Message().(type) {
	case *cast.Data:
		l.data(ctx, msg)
	case *cast.Closed:
		ctx.Keep()
		ctx.Cast(&l.conn.Client, msg)
		ctx.End()
	case *cell.Poison:
		l.poison(ctx, msg)
	case *cell.Skip:
	default:
		l.env.Log.Warn().Str("actor", ctx.Self().Name()).Type("message", msg).Msg("unexpected message")
	}
}

var batches = sync.Pool{}

func init() {
	free := func(r *cast.Received) { batches.Put(r) }
	batches.New = func() any { return cast.NewReceived(free) }
}

// data runs the parser over a chunk. At the second attempt each packet is
// committed by itself, so that one that crashes the parser takes none of those
// before it along.
func (l *loop) data(ctx *cell.Context, d *cast.Data) {
	if slot.See(ctx, &l.state).broken {
		return
	}
	single := ctx.Again()
	batch := batches.Get().(*cast.Received)
	s := slot.Edit(ctx, &l.state)
	for rest := d.Rest(); len(rest) > 0; {
		d.Step(len(d.Rest()) - len(rest)) // what crashes is behind
		p, left, err := s.parser.Next(rest, batch.Slab)
		if err != nil {
			s.broken = true
			l.pass(ctx, batch)
			ctx.Cast(&l.conn.Client, faulty(err, rest, l.env.Limits().HexBytes))
			return
		}
		if p != nil {
			batch.Packets = append(batch.Packets, p)
		}
		if single {
			l.pass(ctx, batch)
			d.Step(len(rest) - len(left))
			ctx.Commit(d)
			s = slot.Edit(ctx, &l.state)
			batch = batches.Get().(*cast.Received)
		}
		rest = left
	}
	l.pass(ctx, batch)
}

func (l *loop) pass(ctx *cell.Context, batch *cast.Received) {
	if len(batch.Packets) == 0 {
		batch.Release()
		return
	}
	ctx.Cast(&l.conn.Client, batch)
}

// faulty is the message for bytes that are not MQTT. What is logged of them is
// bounded, and of a CONNECT nothing behind its fixed part: it may hold a
// password.
func faulty(err error, rest []byte, show int) *cast.Faulty {
	m := &cast.Faulty{Fault: packet.FaultTruncated}
	shown := rest[:min(len(rest), show)]
	var e *parser.Error
	if errors.As(err, &e) {
		m.Fault, m.Version, m.Level = e.Fault, e.Version, e.Level
		if e.Type == packet.CONNECT || e.Type == packet.AUTH {
			shown = shown[:min(len(shown), maxShownSecret)]
		}
	}
	m.Bytes = append([]byte(nil), shown...)
	return m
}

// maxShownSecret is how much is shown of what may hold a password.
const maxShownSecret = 12

// poison: bytes that crash the parser twice end the connection; the packets
// before them have been handled.
func (l *loop) poison(ctx *cell.Context, p *cell.Poison) {
	if c, ok := p.Message.(*cast.Closed); ok {
		ctx.Cast(&l.conn.Client, &cast.Closed{Reason: c.Reason, Err: c.Err})
		ctx.End()
		return
	}
	slot.Edit(ctx, &l.state).broken = true
	ctx.Cast(&l.conn.Client, &cast.Faulty{Poison: true, Fault: packet.FaultNone, Version: l.state.parser.Version()})
}

// Continuation is what the parser of a connection waits for, as text: "{more,
// want 51 bytes of the body}". It is for people; call it on the connection's
// loop.
func Continuation(c *cast.Conn) (stage string, buffered, want int) {
	m := c.LoopMemory.(*Memory)
	return m.state.parser.Stage(), m.state.parser.Buffered(), m.state.parser.Want()
}
