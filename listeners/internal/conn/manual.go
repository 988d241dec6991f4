// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"net/netip"
)

// manual is the poller of a loop that its owner steps: nothing waits, nothing
// wakes, and no goroutine is the loop's. Simulations use it.
type manual struct{}

func (manual) wait(int64) {}
func (manual) wake()      {}
func (manual) close()     {}

// NewManualLoop makes a loop that only moves when Turn or a Socket is called. Its
// owner calls them one at a time, and after a Goexit in an actor's code goes on
// with Turn on another goroutine, as Loop.run does.
func NewManualLoop(index int, opts *Options) *Loop {
	l := bare(index, opts)
	l.poll = manual{}
	return l
}

// Turn is one turn of a manual loop, without sockets: timers, actors, what was
// posted, then what is to be written.
func (l *Loop) Turn() {
	l.g.Tick()
	l.drain()
	l.posted()
	l.drain()
	l.flush()
}

// Run runs at most n tasks of the group: a part of a turn, after which other
// threads may have their say. It reports whether there was anything to do.
func (l *Loop) Run(n int) bool {
	l.g.Tick()
	done := 0
	for done < n && l.g.RunOne() {
		done++
	}
	return done > 0
}

// Wire is the far end of a connection of a manual loop.
type Wire interface {
	// Write takes as much of b as it can without waiting; 0, nil: nothing now.
	Write(b []byte) (int, error)
	// Want says what the loop wants to be told about.
	Want(read, write bool)
	// Shutdown ends the broker's half.
	Shutdown()
	// Close closes both.
	Close()
}

type wireSocket struct{ w Wire }

func (s wireSocket) write(b []byte) (int, error) { return s.w.Write(b) }
func (s wireSocket) want(read, write bool)       { s.w.Want(read, write) }
func (s wireSocket) shutdown()                   { s.w.Shutdown() }
func (s wireSocket) settle()                     { s.w.Shutdown() }
func (s wireSocket) deaf()                       {}
func (s wireSocket) close()                      { s.w.Close() }

// Socket is the loop's side of a Wire: what a poller would tell the connection.
type Socket struct{ c *Conn }

// Connect makes w a connection of ln on the manual loop l.
func (ln *Listener) Connect(l *Loop, peer netip.AddrPort, w Wire) *Socket {
	ln.n.Add(1)
	c := ln.connection(l, peer, LetIn)
	c.sock = wireSocket{w}
	l.g.Tick()
	c.open()
	return &Socket{c}
}

// Input says that b was read. It must stay as it is until the loop's actors have
// nothing more to do: after a Goexit, until Turn has returned.
func (s *Socket) Input(b []byte) {
	s.c.loop.g.Tick()
	if s.c.layer == dead || s.c.layer == lingering {
		return
	}
	s.c.input(b)
	s.c.loop.drain()
}

// Writable says that the wire takes bytes again.
func (s *Socket) Writable() {
	if s.c.layer != dead {
		s.c.writable()
	}
}

// End says that the peer has closed (nil), or what broke the connection.
func (s *Socket) End(err error) {
	s.c.loop.g.Tick()
	if s.c.layer != dead {
		s.c.gone(err)
	}
}

// Ready reports whether Turn would find something to do now.
func (l *Loop) Ready() bool {
	busy := !l.idle() || len(l.todo) > 0 || l.g.Next() <= l.opts.Clock.Now()
	l.g.Awake()
	return busy
}
