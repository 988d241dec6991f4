// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/chaos"
	"emqttd/supervisor/group"
)

// world is a chaos.World in which chance decides what happens next.
type world struct {
	rng   *rand.Rand
	now   int64
	cfg   *config.Config
	log   zerolog.Logger
	seed  uint64
	trace hash.Hash64
	acts  int

	disk   *disk
	engine *engine
	broker *broker.Broker
	broken []bool // per loop: a Goexit interrupted it, and Turn has to come first
	driver *group.Pool
	in     *chaos.Injector
	note   func(chaos.Event) // records what clients did not do; nil before the workload begins

	lines []*line
	conns int

	killed    bool // the running action was cut off by kill -9
	exited    bool // ... by an injected Goexit
	calm      bool
	kills     int // still to come
	diskFails int
	hits      int
	killsDone int
	starts    int

	ambush ambush
}

var _ chaos.World = (*world)(nil)

// epoch is when every simulation begins, nanoseconds since the Unix epoch.
const epoch = int64(1_800_000_000_000_000_000)

// Now implements group.Clock.
func (w *world) Now() int64 { return w.now }

// newWorld starts a broker on an empty disk.
func newWorld(seed uint64, cfg *config.Config, log zerolog.Logger) (*world, error) {
	w := &world{rng: rand.New(rand.NewPCG(seed, 2)), now: epoch, cfg: cfg, log: log, seed: seed, trace: fnv.New64a(), ambush: drawAmbush(rand.New(rand.NewPCG(seed, 7))), driver: group.NewPool(1, 1)}
	w.disk = newDisk(w.rng, w.Now)
	w.in = chaos.NewInjector(chaos.Options{Clock: w, Kill: w.cut, OnHit: w.hit,
		Wait: func(d time.Duration, _ <-chan struct{}) { w.now += int64(d) }})
	return w, w.boot()
}

func (w *world) boot() error {
	w.starts++
	w.engine = &engine{d: w.disk, order: w.seed}
	b, err := broker.Simulate(w.cfg, w.log, broker.Surroundings{Engine: w.engine, Clock: w, Seed: w.seed})
	if err != nil {
		return fmt.Errorf("simulation: start %d: %w", w.starts, err)
	}
	w.broker, w.broken = b, make([]bool, len(b.Loops()))
	return nil
}

// close lets everything go.
func (w *world) close() {
	w.in.ClearAll()
	w.engine.gone = true
	w.broker.Abandon()
	w.driver.Close()
}

// mark adds what happens to the trace: two runs of a seed have the same.
func (w *world) mark(what byte, n int, b []byte) {
	var head [18]byte
	head[0], head[1] = what, byte(len(b))
	for i := range 8 {
		head[2+i], head[10+i] = byte(n>>(8*i)), byte(w.now>>(8*i))
	}
	_, _ = w.trace.Write(head[:])
	_, _ = w.trace.Write(b)
	if tracing != nil {
		tracing(what, n, b, w.now)
	}
}

// tracing, if set, is shown what mark is; for tests that look for what two runs
// differ in.
var tracing func(what byte, n int, b []byte, now int64)

// hit is told of an injected fault.
func (w *world) hit(h chaos.Hit) {
	w.hits++
	w.mark('!', h.ID, []byte(h.Actor+" "+h.Message+" "+h.Phase.String()))
	w.exited = w.exited || h.Fault.Do.Action == chaos.Goexit
}

// cut is kill -9 in the middle of an actor's work: nothing of it goes on.
func (w *world) cut() {
	w.killed = true
	runtime.Goexit()
}

// do lets f touch loop i of the broker. A Goexit in an actor's code ends the
// goroutine that f runs on, and the next one goes on with Turn; a panic that
// comes out here is one of the trusted core, and ends the process.
func (w *world) do(i int, f func()) {
	done, whole := make(chan struct{}), false
	w.exited, w.killed = false, false
	w.driver.Try(func() {
		defer close(done)
		defer func() {
			if !whole && !w.exited && !w.killed {
				fmt.Fprintf(os.Stderr, "panic outside the actors: replay with %s\n", test(w.seed, 0))
				buf := make([]byte, 1<<16)
				os.Stderr.Write(buf[:runtime.Stack(buf, false)])
				os.Exit(2)
			}
		}()
		f()
		whole = true
	})
	<-done
	w.broken[i] = !whole // Turn is whole, and nothing else is tried before it
	if w.killed {
		w.restart()
	}
}

// Open implements chaos.World.
func (w *world) Open(_ context.Context, clientID string, v packet.Version, arrive func(packet.Packet, error)) (chaos.Line, error) {
	w.conns++
	l := &line{w: w, n: w.conns, clientID: clientID, version: v, arrive: arrive, read: true, loop: w.rng.IntN(len(w.broker.Loops())),
		parser: parser.New(parser.Options{Role: parser.Client, Version: v})}
	key := "listeners.tcp.default"
	if w.rng.IntN(2) == 0 {
		key, l.frames, l.up = "listeners.ws.default", new(frames), []byte(request)
	}
	w.lines = append(w.lines, l)
	w.mark('o', l.n, []byte(clientID))
	for w.broken[l.loop] { // a turn may be interrupted, too; a loop accepts nobody before one is whole
		w.turn(l.loop)
	}
	w.do(l.loop, func() { l.sock = w.broker.Connect(key, l.loop, peer(l.n), brokerEnd{l}) })
	return l, nil
}

// Calm implements chaos.World.
func (w *world) Calm() {
	w.calm = true
	w.in.ClearAll()
}

// Until implements chaos.World.
func (w *world) Until(d time.Duration, done func() bool) bool {
	if d <= 0 {
		for range w.rng.IntN(12) {
			w.act(w.now)
		}
		if w.rng.IntN(30) == 0 && !slices.ContainsFunc(w.lines, (*line).unnoticed) {
			w.pass(w.now + w.rng.Int64N(int64(1500*time.Millisecond)))
		}
		w.rest()
		return done()
	}
	deadline := w.now + int64(d)
	for !done() {
		if !w.act(deadline) {
			if w.now >= deadline {
				return done()
			}
			w.pass(deadline)
		}
	}
	return true
}

// pass lets time go to the next deadline of the broker, to limit at most.
func (w *world) pass(limit int64) {
	next := limit
	for _, l := range w.broker.Loops() {
		next = min(next, max(l.Group().Next(), w.now))
	}
	w.now = max(next, w.now+1)
}

// act lets one thing happen, if there is anything; time passes with it, but not
// beyond limit.
func (w *world) act(limit int64) bool {
	var can [64]func()
	acts := can[:0]
	for i, l := range w.broker.Loops() {
		if w.broken[i] {
			acts = append(acts, func() { w.turn(i) })
		} else if l.Ready() {
			acts = append(acts, func() { w.turn(i) }, func() { w.part(i) })
		}
	}
	for _, l := range w.lines {
		acts = l.can(acts)
	}
	if w.disk.waits() && (len(acts) == 0 || !w.held()) {
		acts = append(acts, w.sync)
	}
	w.lines = slices.DeleteFunc(w.lines, (*line).over)
	if len(acts) == 0 {
		return false
	}
	w.acts++
	if d := w.rng.Int64N(int64(200 * time.Microsecond)); w.now+d < limit {
		w.now += d
	}
	acts[w.rng.IntN(len(acts))]()
	w.disaster()
	return true
}

func (w *world) turn(i int) {
	w.mark('t', i, nil)
	w.do(i, w.broker.Loops()[i].Turn)
}

func (w *world) part(i int) {
	n := 1 + w.rng.IntN(4)
	w.mark('p', i, nil)
	w.do(i, func() { w.broker.Loops()[i].Run(n) })
}

func (w *world) sync() {
	w.mark('s', len(w.disk.pending), nil)
	if !w.calm && w.note != nil && w.diskFails > 0 && w.rng.IntN(40) == 0 {
		w.diskFails--
		w.failDisk()
		return
	}
	w.disk.sync()
}

// failDisk is the end of a broker whose disk fails: it may say what it knows,
// but acknowledge nothing more; then it ends.
func (w *world) failDisk() {
	w.mark('f', 0, nil)
	w.disk.fail()
	starts := w.starts
	for range 20 {
		for i := range w.broken {
			if w.starts == starts {
				w.turn(i)
			}
		}
	}
	if w.starts != starts {
		return // it was killed while it did
	}
	if len(w.broker.Failed()) == 0 {
		panic("simulation: the broker goes on without its disk")
	}
	w.restart()
}

// disaster is kill -9 between two actions.
func (w *world) disaster() {
	if w.sprung() {
		w.restart()
		return
	}
	if w.calm || w.note == nil || w.kills == 0 || w.rng.IntN(400) != 0 {
		return
	}
	w.kills--
	w.restart()
}

// restart kills the broker and starts the next on what the disk has. What was on
// its way to clients may still arrive, any part of it.
func (w *world) restart() {
	w.killsDone++
	w.mark('k', w.killsDone, nil)
	w.restarted(false)
	w.engine.gone = true
	w.broker.Abandon()
	w.disk.crash()
	w.ambush.at, w.ambush.until = 0, 0
	for _, l := range w.lines {
		if !l.dead {
			l.down = l.down[:w.rng.IntN(len(l.down)+1)]
		}
		l.dead, l.shut, l.up, l.blocked, l.awaited = true, true, nil, false, 0
	}
	w.now += w.rng.Int64N(int64(8 * time.Second))
	w.restarted(true)
	if err := w.boot(); err != nil {
		panic(err.Error())
	}
}

func (w *world) restarted(up bool) {
	if w.note != nil {
		w.note(chaos.Event{Kind: chaos.Restarted, Up: up})
	}
}

// can adds what may happen to l next.
func (l *line) can(acts []func()) []func() {
	w := l.w
	if !l.dead && !w.broken[l.loop] {
		switch {
		case len(l.up) > 0 && l.read && !l.behind(func(o *line) bool { return len(o.up) > 0 && !o.dead }):
			acts = append(acts, l.input)
		case l.left && !l.told && (l.read || l.reset) && len(l.up) == 0:
			acts = append(acts, l.leave)
		}
		if l.blocked {
			acts = append(acts, l.unblock)
		}
	}
	if l.left || l.ended || l.behind(func(o *line) bool { return !o.left && !o.ended && len(o.down) > 0 }) {
		return acts
	}
	switch {
	case len(l.down) > 0:
		acts = append(acts, l.output)
	case l.shut:
		acts = append(acts, l.hangUp)
	}
	return acts
}

// behind reports whether an older connection of the client is in the way: what
// a client sends on one connection after the other, and what it is sent, keeps
// its order.
func (l *line) behind(inTheWay func(*line) bool) bool {
	for _, o := range l.w.lines {
		if o == l {
			return false
		}
		if o.clientID == l.clientID && inTheWay(o) {
			return true
		}
	}
	return false
}

// over reports whether both ends know everything.
func (l *line) over() bool { return l.dead && (l.left || l.ended) }

// unnoticed reports whether the client has left and the broker has still to be
// told: no network takes as long for that as the slack of a run is.
func (l *line) unnoticed() bool { return l.left && !l.told && !l.dead }

// some is how many of n bytes a read brings.
func (w *world) some(n int) int {
	if w.rng.IntN(3) > 0 {
		return n
	}
	return 1 + w.rng.IntN(n)
}

func (l *line) input() {
	n := l.w.some(len(l.up))
	b := slices.Clone(l.up[:n])
	l.up = l.up[n:]
	l.w.mark('i', l.n, b)
	l.w.do(l.loop, func() { l.sock.Input(b) })
}

func (l *line) leave() {
	l.told = true
	l.w.mark('l', l.n, nil)
	var err error
	if l.reset {
		err = errReset
	}
	l.w.do(l.loop, func() { l.sock.End(err) })
}

func (l *line) unblock() {
	l.blocked = false
	l.w.mark('u', l.n, nil)
	l.w.do(l.loop, l.sock.Writable)
}

func (l *line) output() { l.receive(l.w.some(len(l.down))) }
