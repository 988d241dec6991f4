// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"net/http"
	"net/netip"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/listeners/tls"
	"emqttd/listeners/ws"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/chaos"
	"emqttd/supervisor/group"
)

// socket is the wire under a connection.
type socket interface {
	// write takes as much of b as it can without waiting; 0, nil: nothing now.
	write(b []byte) (int, error)
	// want says what the loop wants to be told about.
	want(read, write bool)
	// shutdown ends our half: the peer reads what was written, then EOF.
	shutdown()
	// settle sees to it that a close takes back nothing of what write took.
	settle()
	// deaf ends all reading: the peer is gone, and the loop knows it.
	deaf()
	close()
}

// layer is how far a connection's wrappings are off.
type layer uint8

const (
	inProxy   layer = iota // waits for the PROXY header
	inTLS                  // TLS handshake
	inUpgrade              // HTTP request
	inBody                 // body of a plain HTTP request
	inHTTP                 // an HTTP answer is on its way
	inMQTT                 // the actors have it
	lingering              // nothing more to say; reads and drops until the peer closes
	dead
)

// Conn is one connection: the core's part, around the part that the actors see. An
// idle one needs little: what it is about to write, and what was only of use at the
// door or is only in trouble, is behind pointers that are nil then.
type Conn struct {
	base     cast.Conn
	loop     *Loop
	listener *Listener
	sock     socket
	next     *Conn // of loop.conns
	prev     *Conn

	door    *door    // nil from inMQTT on
	bufs    *buffers // nil: nothing is to be written
	trouble *trouble // nil: none
	secure  *tls.Session
	ws      *ws.Driver

	layer   layer
	dirty   bool // in loop.dirty
	paused  bool // an actor wants nothing read
	full    bool // the out-buffer is above its high mark: nothing is read
	notify  bool // an actor waits for Drained
	blocked bool // the socket took less than it was given
	closing bool // close once out is written
	over    bool // the peer is gone; its handshake is still being computed
	counted bool // in metrics and listener
	reading bool // what want was told last
	writing bool
	reason  metrics.Close

	deadline *group.Timer // of the handshakes, of a write, of lingering; nil: off
}

// door is what the layers in front of MQTT need.
type door struct {
	held    []byte // bytes of an unfinished header
	handsh  *tls.Handshake
	request *http.Request
}

// trouble is what is said of the end, and when actors have crashed.
type trouble struct {
	detail  string
	crashes []int64
	parting *parting // the WebSocket has ended
}

func (c *Conn) troubles() *trouble {
	if c.trouble == nil {
		c.trouble = new(trouble)
	}
	return c.trouble
}

// parting is how the WebSocket has ended, nil: it has not.
func (c *Conn) parting() *parting {
	if c.trouble == nil {
		return nil
	}
	return c.trouble.parting
}

// because says why the connection ends, for the log.
func (c *Conn) because(detail string) {
	if detail != "" || c.trouble != nil {
		c.troubles().detail = detail
	}
}

// why is what because said.
func (c *Conn) why() string {
	if c.trouble == nil {
		return ""
	}
	return c.trouble.detail
}

// Conn implements cast.Owned.
func (c *Conn) Conn() *cast.Conn { return &c.base }

// ChaosScope implements chaos.Scoped: what the protocol actor knows of the
// client. It is called on the connection's loop.
func (c *Conn) ChaosScope() chaos.Scope {
	if s, ok := c.base.ProtocolMemory.(chaos.Scoped); ok {
		return s.ChaosScope()
	}
	return chaos.Scope{Listener: c.base.Listener.Name}
}

// Crashed implements cell.Owner: crashes of a connection's actors count against
// it alone.
func (c *Conn) Crashed(crash *cell.Crash) {
	if !crash.Poison {
		c.crashed()
	}
}

func (c *Conn) crashed() {
	now, t := c.loop.g.Now(), c.troubles()
	keep := t.crashes[:0]
	for _, at := range t.crashes {
		if at > now-int64(c.loop.opts.Bounds.Load().CrashWindow) {
			keep = append(keep, at)
		}
	}
	t.crashes = append(keep, now)
	if len(t.crashes) > c.loop.opts.Bounds.Load().MaxCrashes {
		c.fail(metrics.ClosePoison, "too many crashes")
	}
}

// Abort implements cell.Owner. When an actor can not be made, what it would pass
// on of the end is said to the others at once: the session learns of it, however
// long the actor takes.
func (c *Conn) Abort(_ *cell.Cell, crash *cell.Crash) {
	c.fail(metrics.ClosePoison, crash.Text)
	if crash.Restart && c.base.Socket != nil {
		c.base.Client.Push(&cast.Closed{Reason: metrics.ClosePoison})
		c.base.Protocol.Push(&cast.Closed{Reason: metrics.ClosePoison})
	}
}

// Append implements cell.Sink: MQTT bytes of the client actor.
func (c *Conn) Append(b []byte) {
	if c.layer != inMQTT || c.closing {
		return
	}
	c.tapped(false, b)
	if w := c.buffers(); c.ws == nil && c.secure == nil {
		w.append(c.loop, b)
	} else {
		if w.turn == nil {
			w.turn = c.loop.buffer()
		}
		w.turn = append(w.turn, b...)
	}
	c.base.Pending.Add(int64(len(b)))
	c.touch()
}

// Take implements cell.Taker: where nothing waits to be written, b itself is what
// will be.
func (c *Conn) Take(b []byte) (instead []byte, ok bool) {
	if c.layer != inMQTT || c.closing {
		return nil, false
	}
	w := c.buffers()
	to := &w.out
	if c.ws != nil || c.secure != nil {
		to = &w.turn
	}
	if *to != nil {
		return nil, false
	}
	if instead = c.loop.bufferOf(len(b)); instead == nil {
		return nil, false
	}
	c.tapped(false, b)
	*to = b
	c.base.Pending.Add(int64(len(b)))
	c.touch()
	return instead, true
}

// Accept implements cell.Acceptor for *cast.Control.
func (c *Conn) Accept(m cell.Message) {
	ctl := m.(*cast.Control)
	if c.layer == dead || c.layer == lingering {
		return
	}
	switch ctl.Op {
	case cast.Pause:
		c.paused = true
		c.touch() // the turn's end tells the socket, unless it is over by then
	case cast.Resume:
		c.paused = false
		c.touch() // it may be parting
	case cast.NotifyDrain:
		c.notify = true
		c.touch()
	case cast.CloseSocket:
		c.finish(ctl.Reason, ctl.Detail)
	case cast.CountCrash:
		c.crashed()
	}
}

// touch puts c on the list of connections that the turn's end looks at.
func (c *Conn) touch() {
	if !c.dirty {
		c.dirty = true
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// interest tells the socket what the loop wants to know.
func (c *Conn) interest() {
	read := c.layer == lingering || !c.over && !c.paused && !c.full && !c.closing
	if c.reading != read {
		c.base.Resumed.Store(c.loop.g.Now())
		c.base.Unread.Store(!read)
	}
	if c.reading != read || c.writing != c.blocked {
		c.reading, c.writing = read, c.blocked
		c.sock.want(read, c.blocked)
	}
}

// arm sets the one deadline of the core's own states.
func (c *Conn) arm(d time.Duration) {
	if c.deadline == nil {
		c.deadline = new(group.Timer)
		c.deadline.Init(c)
	}
	c.loop.g.Arm(c.deadline, c.loop.g.Now()+int64(d))
}

// disarm turns it off.
func (c *Conn) disarm() {
	if c.deadline != nil {
		c.deadline.Clear()
		c.deadline = nil
	}
}

// Fire implements group.Firer: a handshake, a write or the peer's last word takes
// too long.
func (c *Conn) Fire(*group.Timer) {
	switch {
	case c.layer == lingering:
		c.drop()
	case c.layer != inMQTT:
		c.end(metrics.CloseConnectTime, nil)
	case c.blocked:
		c.end(metrics.CloseWriteTime, nil)
	}
}

// Peer is the address of the peer as the kernel, or the PROXY header, has it.
func (c *Conn) Peer() netip.AddrPort { return c.base.Peer }
