// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"emqttd/actors/cast"
	"emqttd/listeners/tls"
	"emqttd/listeners/ws"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/chaos"
	"emqttd/supervisor/mailbox"
)

// Listener is the core's part of a listener: its socket, which no crash of the
// listener's actor closes, and what its connections share. The actor decides who
// comes in.
type Listener struct {
	Base    *cast.Listener
	TLS     *tls.Server // nil: plain
	Proxy   ProxyMode
	Backlog int // what the kernel holds until it is accepted
	Terms   atomic.Pointer[Terms]
	// Refused is told of upgrades that were not granted; Serve of requests for
	// something else than MQTT, which it answers with Conn.Respond, on the loop.
	// Both may be nil.
	Refused func(c *Conn, r *ws.Refusal)
	Serve   func(c *Conn, r *http.Request, body []byte)
	// Admit says whether the client that a PROXY header names may come in; nil:
	// everybody may. It must not wait.
	Admit func(client netip.AddrPort) bool
	// Data is the owner's.
	Data any

	cell   *cell.Cell // of the listener's actor
	loops  []*Loop
	n      atomic.Int64 // open connections
	serial atomic.Uint64
	sock   listening
}

// Terms are what a reload may change of a listener, for connections that do not
// speak MQTT yet. There are some before the first connection.
type Terms struct {
	WS           *ws.Upgrader  // nil, before and after: MQTT directly
	ProxyTimeout time.Duration // that the PROXY header may take
	MaxHandshake int           // bytes of a TLS handshake
}

// listening is a bound socket.
type listening interface {
	addr() net.Addr
	// stop ends accepting and closes the socket; then it calls done, which may be
	// at once, and on any goroutine. It does not wait.
	stop(done func())
}

// Len is the number of open connections.
func (ln *Listener) Len() int64 { return ln.n.Load() }

// Accepted is the number of connections that were let in since the start.
func (ln *Listener) Accepted() uint64 { return ln.serial.Load() }

// Addr is the bound address.
func (ln *Listener) Addr() net.Addr { return ln.sock.addr() }

// Stop stops accepting, without waiting, and then calls done. Connections stay.
func (ln *Listener) Stop(done func()) { ln.sock.stop(done) }

// Close is Stop that waits; not on an event loop.
func (ln *Listener) Close() {
	done := make(chan struct{})
	ln.sock.stop(func() { close(done) })
	<-done
}

func (ln *Listener) refused(c *Conn, r *ws.Refusal) {
	if ln.Refused != nil {
		ln.Refused(c, r)
	}
}

func (ln *Listener) serve(c *Conn, r *http.Request, body []byte) {
	if ln.Serve == nil {
		c.Respond(http.StatusNotFound, "Not found.\n")
		return
	}
	ln.Serve(c, r, body)
}

// Knock is a connection that was accepted by the kernel: the listener's actor
// decides about it. core -> listener actor, which submits it to the Listener
// with its verdict.
type Knock struct {
	mailbox.Link
	Peer netip.AddrPort
	at   *Listener
	from porch
	fd   int // what porch calls it, where that is a number
}

// porch holds a connection that knocks until there is a verdict.
type porch interface {
	take(k *Knock, v Verdict)
}

// Verdict is what a listener's actor says of a knock.
type Verdict uint8

const (
	LetIn    Verdict = iota
	TurnAway         // close it before anything is read
	TooFast          // let it in, and refuse its CONNECT with 0x9F
)

// Answer is a knock with its verdict.
type Answer struct {
	mailbox.Link
	knock   *Knock
	verdict Verdict
}

// With is the knock with a verdict.
func (k *Knock) With(v Verdict) *Answer { return &Answer{knock: k, verdict: v} }

// ChaosScope implements chaos.Scoped.
func (k *Knock) ChaosScope() chaos.Scope {
	if k.at == nil {
		return chaos.Scope{}
	}
	return chaos.Scope{Listener: k.at.Base.Name}
}

// Accept implements cell.Acceptor for *Answer.
func (ln *Listener) Accept(m cell.Message) {
	a := m.(*Answer)
	if a.verdict != TurnAway {
		ln.n.Add(1)
	}
	a.knock.from.take(a.knock, a.verdict)
}

// Response answers a plain HTTP request with text. http listener actor -> core.
type Response struct {
	mailbox.Link
	Status int
	Text   string
}

// responder takes Responses for a connection (cell.Acceptor).
type responder struct{ c *Conn }

// Responder is where the answer to a plain HTTP request is submitted.
func (c *Conn) Responder() cell.Acceptor { return responder{c} }

// Accept implements cell.Acceptor. The actor may run on another loop than the
// connection.
func (r responder) Accept(m cell.Message) {
	res := m.(*Response)
	r.c.loop.Post(func() { r.c.Respond(res.Status, res.Text) })
}

// pick is the loop for a new connection: the one with the fewest.
func (ln *Listener) pick() *Loop {
	best := ln.loops[0]
	for _, l := range ln.loops[1:] {
		if l.Len() < best.Len() {
			best = l
		}
	}
	return best
}

// connection makes the connection that a knock was let in with.
func (ln *Listener) connection(l *Loop, peer netip.AddrPort, v Verdict) *Conn {
	c := &Conn{loop: l, listener: ln}
	c.base.TooFast = v == TooFast
	c.base.Serial = ln.serial.Add(1)
	c.base.Listener, c.base.Peer, c.base.Opened = ln.Base, peer, l.opts.Clock.Now()
	return c
}

// Attach gives a listener without a socket its loops, for ServeConn.
func (ln *Listener) Attach(loops []*Loop) { ln.loops = loops }

// ServeConn makes nc a connection of ln, for in-memory connections: the loop's
// poller does not matter, since goroutines read and write it.
func (ln *Listener) ServeConn(nc net.Conn) {
	l := ln.pick()
	ln.n.Add(1)
	l.Post(func() {
		c := ln.connection(l, peerOf(nc.RemoteAddr()), LetIn)
		l.addNet(c, nc)
		c.open()
	})
}

func peerOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		p := t.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}
