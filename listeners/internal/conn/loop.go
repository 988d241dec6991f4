// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/listeners/tls"
	"emqttd/listeners/ws"
	"emqttd/protocol/packet"
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// Options are what the loops of a broker share.
type Options struct {
	Env        *cast.Env
	Bounds     atomic.Pointer[Bounds]
	ReadBuffer int           // bytes read from one socket at a time
	Shutdown   time.Duration // that the connections of a loop may take to end when the broker stops
	Portable   bool          // goroutines even where there is epoll
	TLS        *tls.Pool
	Clock      group.Clock
	Log        zerolog.Logger
	// Actors gives a connection its three actors.
	Actors func(c *cast.Conn, owner cell.Owner, g *group.Group, l *Listener)
}

// Bounds are what a reload may change of the options, also for connections that
// are open.
type Bounds struct {
	HandshakeTimeout time.Duration // of TLS and the upgrade together
	WriteTimeout     time.Duration
	MaxCrashes       int // of one connection's actors within CrashWindow; one more closes it
	CrashWindow      time.Duration
}

// poller is how a loop waits.
type poller interface {
	// wait returns when a socket is ready, after handling it, when wake was
	// called, or at the given time.
	wait(next int64)
	wake()
	close()
}

// Loop is one event loop.
type Loop struct {
	opts   *Options
	index  int
	g      *group.Group
	poll   poller
	sup    *supervisor.Supervisor // of the actors of its connections
	shared *ws.Shared
	read   []byte // one socket read
	plain  []byte // what was encrypted in it
	chunk  []byte // payload of the frames in it
	frame  []byte // of the turn's messages, before encryption
	dirty  []*Conn
	free   [][]byte
	// freeBytes is the capacity of what is in free.
	freeBytes int
	idleBufs  []*buffers
	conns     *Conn // all of them, linked: a table beside them would take as much as a small connection's buffers
	n         atomic.Int64
	turn      int64 // when the first ready socket was taken up, since the last flush; 0: none was

	mu    sync.Mutex
	inbox []func() // what other threads want done on the loop
	todo  []func() // of it, what the loop has taken up; the loop's
	posts int      // of todo, begun

	start   sync.Once
	serial  atomic.Uint32 // of the goroutine that is the loop; higher for later ones
	stop    atomic.Bool
	stopped chan struct{}
}

// NewLoop makes a loop and starts it. Its supervisor has to be started by the
// caller, in the supervision tree.
func NewLoop(index int, opts *Options) (*Loop, error) {
	l := bare(index, opts)
	l.read = make([]byte, opts.ReadBuffer)
	var err error
	if l.poll, err = newPoller(l, opts.Portable); err != nil {
		return nil, err
	}
	return l, nil
}

// bare makes a loop that does not know how to wait.
func bare(index int, opts *Options) *Loop {
	l := &Loop{opts: opts, index: index, shared: ws.NewShared(), stopped: make(chan struct{})}
	l.g = group.New("loop/"+string(rune('0'+index)), opts.Clock, func() { l.poll.wake() })
	l.sup = supervisor.New("client_sup/"+string(rune('0'+index)), l.g, supervisor.Options{Strategy: supervisor.SimpleOneForOne,
		Shutdown: opts.Shutdown, Leave: l.tellAll, Kill: l.dropAll}, opts.Log)
	return l
}

// Group is the group that the loop drives.
func (l *Loop) Group() *group.Group { return l.g }

// Index is the loop's number.
func (l *Loop) Index() int { return l.index }

// Supervisor is the client_sup of the loop.
func (l *Loop) Supervisor() *supervisor.Supervisor { return l.sup }

// Len is the number of connections on the loop, without those that only linger.
func (l *Loop) Len() int { return int(l.n.Load()) }

// Start starts the loop's goroutine.
func (l *Loop) Start() { l.start.Do(func() { go l.run(0, nil) }) }

// Post runs f on the loop, from any goroutine.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	l.poll.wake()
}

// Close closes what connections are left and stops the loop, one that was never
// started too.
func (l *Loop) Close() {
	l.Start()
	l.dropAll()
	l.Post(func() { l.stop.Store(true) })
	<-l.stopped
	l.poll.close()
}

// run is the loop's goroutine. A Goexit in an actor's code ends it; the deferred
// call starts the next, which goes on where the dying one was: sockets that were
// not read are still ready.
//
// One that was stuck in an actor's code and was replaced has nothing to say when
// it comes back.
func (l *Loop) run(serial uint32, first func()) {
	ended := false
	defer func() {
		switch {
		case l.serial.Load() != serial:
		case ended:
			close(l.stopped)
		default:
			go l.run(serial, nil)
		}
	}()
	l.g.Drive(l)
	if first != nil {
		first()
	}
	for {
		l.g.Tick()
		l.drain() // first: what a Goexit interrupted still reads the shared buffers
		l.posted()
		l.drain()
		l.flush()
		l.turned()
		if l.stop.Load() {
			break
		}
		next := l.g.Next()
		if !l.idle() || next <= l.g.Now() { // due: that the poller's timer fired may have been lost with a goroutine
			next = 0
		}
		l.poll.wait(next)
		l.g.Awake()
	}
	ended = true
}

// turned measures the turn that has come to its end, if it had sockets.
func (l *Loop) turned() {
	if l.turn != 0 {
		l.opts.Env.Metrics.Turn.Observe(time.Duration(l.opts.Clock.Now() - l.turn))
		l.turn = 0
	}
}

// Replace implements group.Driver: the sockets, the timers and all that was said
// to the loop are taken over by another goroutine. The buffers are left to the
// one that is stuck, which may be reading them.
func (l *Loop) Replace(first func()) {
	serial := l.serial.Add(1)
	l.read, l.plain, l.chunk, l.frame = make([]byte, len(l.read)), nil, nil, nil
	go l.run(serial, first)
}

// idle announces the wait; false: there is work already.
func (l *Loop) idle() bool {
	if !l.g.Sleep() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) == 0 && len(l.dirty) == 0
}

// posted does what other threads want done. Where it stands is the loop's and not
// the goroutine's: what an actor's Goexit interrupts, the next goroutine goes on
// with.
func (l *Loop) posted() {
	if len(l.todo) == 0 {
		l.mu.Lock()
		l.todo, l.inbox = l.inbox, l.todo
		l.mu.Unlock()
	}
	for l.posts < len(l.todo) {
		f := l.todo[l.posts]
		l.todo[l.posts] = nil
		l.posts++
		f()
	}
	l.todo, l.posts = l.todo[:0], 0
}

// drain runs the actors until none has anything to do.
func (l *Loop) drain() {
	for l.g.RunOne() {
	}
}

// flush writes every connection that has something to say, once.
func (l *Loop) flush() {
	for len(l.dirty) > 0 {
		todo := l.dirty
		l.dirty = nil
		for _, c := range todo {
			c.dirty = false
			if c.layer != dead {
				c.flush()
			}
		}
		if l.dirty == nil {
			clear(todo)
			l.dirty = todo[:0]
		}
		l.drain() // a Drained may have been sent
	}
}

// buffer is an empty buffer from the loop's free list, the one that was in use
// last: it is in the processor's cache.
func (l *Loop) buffer() []byte {
	if b := l.bufferOf(0); b != nil {
		return b
	}
	return make([]byte, 0, 1024)
}

// bufferOf is buffer if that has room for n bytes, else nil.
func (l *Loop) bufferOf(n int) []byte {
	last := len(l.free) - 1
	if last < 0 || cap(l.free[last]) < n {
		return nil
	}
	b := l.free[last]
	l.free = l.free[:last]
	l.freeBytes -= cap(b)
	return b
}

// What the loop keeps of buffers that nobody needs. A turn of large messages
// fills megabytes, and the next one again.
const (
	maxFree       = 1024
	maxFreeBuffer = 1 << 20
	maxFreeBytes  = 8 << 20
)

// giveBack takes a buffer that is empty again.
func (l *Loop) giveBack(b []byte) {
	if cap(b) > 0 && cap(b) <= maxFreeBuffer && len(l.free) < maxFree && l.freeBytes+cap(b) <= maxFreeBytes {
		l.free = append(l.free, b[:0])
		l.freeBytes += cap(b)
	}
}

// add takes a connection in; on the loop only.
func (l *Loop) add(c *Conn) {
	if c.next = l.conns; c.next != nil {
		c.next.prev = c
	}
	l.conns = c
	l.n.Add(1)
	c.counted = true
	m := l.opts.Env.Metrics
	m.Connections.Add(1)
	m.Accepted.Add(1)
}

// remove forgets a connection.
func (l *Loop) remove(c *Conn) {
	l.uncount(c)
	switch {
	case c.prev != nil:
		c.prev.next = c.next
	case l.conns == c:
		l.conns = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
}

// all is every connection of the loop; the one at hand may leave.
func (l *Loop) all() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		for c := l.conns; c != nil; {
			next := c.next
			if !yield(c) {
				return
			}
			c = next
		}
	}
}

// uncount takes a connection out of the figures: it is over, even if its last
// words are still on their way.
func (l *Loop) uncount(c *Conn) {
	if !c.counted {
		return
	}
	c.counted = false
	l.n.Add(-1)
	l.opts.Env.Metrics.Connections.Add(-1)
	c.listener.n.Add(-1)
}

// tellAll ends every connection of the loop in order, with 0x8B [v5 3.14.2.1]: the
// broker stops. Any goroutine may call it.
func (l *Loop) tellAll() {
	l.Post(func() {
		for c := range l.all() {
			if c.layer == inMQTT {
				c.base.Protocol.Push(&cast.Kick{Code: packet.ServerShuttingDown, Reason: metrics.CloseShutdown})
			} else if c.layer != lingering {
				c.end(metrics.CloseShutdown, nil)
			}
		}
	})
}

// dropAll lets go of every socket of the loop.
func (l *Loop) dropAll() {
	l.Post(func() {
		for c := range l.all() {
			c.drop()
		}
	})
}
