// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// run is one scenario while it is played. A scenario is ordinary code from top
// to bottom: it starts something and then turns the loop until it is done.
type run struct {
	*Config
	*loop
	ctx    context.Context
	target *target
	stamp  uint32 // of this run's payloads
	prefix string // of its topics and client identifiers
	result *Result
	tally  *Tally

	pubs  []*publisher
	subs  []*subscriber
	ready []*publisher // may have room for more messages

	conns    []*conn // all that were opened, to be closed at the end
	opened   int     // connections that became ready, ever
	suback   int     // filters granted
	broken   error   // what ended the run: an error of a connection while it was set up
	running  bool    // connections are to stay: one that ends is Dropped
	deadline time.Time

	made    int64 // connections, of the scenarios that count them
	dialled int64 // churn: connects begun
	acked   int64 // acknowledgements, where they are timed

	deafened int // connections that read no more

	dueAt   func(n int64) int64 // open loop: when message n of all is due; nil: closed loop
	dueN    int64               // the next one
	onStart func()

	sending  bool  // publishers may send
	budget   int64 // messages that may still be sent; < 0: any number
	latency  histogram
	measured struct{ from, to int64 } // instants between which a latency counts
	progress progress
}

// Run plays one scenario. The result is worth looking at even with an error: it
// says how far the run came.
func Run(ctx context.Context, c Config) (*Result, error) {
	s, err := c.settle()
	if err != nil {
		return nil, err
	}
	t, err := newTarget(c.URL, c.TLS, c.Mine)
	if err != nil {
		return nil, err
	}
	l, err := newLoop(t)
	if err != nil {
		return nil, err
	}
	r := &run{Config: &c, loop: l, ctx: ctx, target: t, stamp: rand.Uint32(), budget: -1}
	r.prefix = fmt.Sprintf("bench-%08x", r.stamp)
	r.result = newResult(&c, t)
	r.tally = &r.result.Tally
	r.deadline = time.Now().Add(c.Limit)
	r.measured.from, r.measured.to = 1<<62, 1<<62
	l.atEnd, l.onWritable = r.fill, r.writable
	r.progress.begin(r)
	if c.PID != 0 {
		if _, err := processCPU(c.PID); err != nil {
			return nil, fmt.Errorf("bench: --pid %d: %w", c.PID, err)
		}
	}
	err = s.play(r)
	r.running = false
	for _, c := range r.conns {
		c.close()
	}
	l.driver.shut()
	r.result.finish(r, err)
	if err != nil {
		return r.result, fmt.Errorf("bench: %s: %w", s.name, err)
	}
	return r.result, nil
}

// errSlow is wrapped when something took longer than it may.
var errSlow = errors.New("took too long")

// until turns the loop until done. limit bounds how long; the run's own limit
// holds as well.
func (r *run) until(what string, limit time.Duration, done func() bool) error {
	end := time.Now().Add(limit)
	if end.After(r.deadline) {
		end = r.deadline
	}
	for !done() {
		now := time.Now()
		switch {
		case r.broken != nil:
			return fmt.Errorf("%s: %w", what, r.broken)
		case r.ctx.Err() != nil:
			return r.ctx.Err()
		case now.After(end):
			return fmt.Errorf("%s %w", what, errSlow)
		}
		r.progress.tick(r, now)
		if err := r.turn(min(end.Sub(now), r.idleFor())); err != nil {
			return err
		}
	}
	if r.broken != nil {
		return fmt.Errorf("%s: %w", what, r.broken)
	}
	return nil
}

// inTurn does one step after the other, until one fails.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// idleFor is how long a turn may wait.
func (r *run) idleFor() time.Duration {
	const most = 50 * time.Millisecond // then done is asked again
	if r.dueAt == nil || !r.sending {
		return most
	}
	return min(most, time.Duration(r.dueAt(r.dueN)-nanos()))
}

// elapse turns the loop for a time.
func (r *run) elapse(what string, d time.Duration) error {
	end := nanos() + int64(d)
	return r.until(what, d+time.Minute, func() bool { return r.now >= end })
}

// client is a new connection that is not dialled.
func (r *run) client(as role, id string, clean bool, expiry uint32) (*conn, error) {
	m := &packet.Connect{Version: r.Version, CleanStart: clean, ClientID: id}
	if r.target.hasUser {
		m.Username, m.HasUsername = r.target.username, true
	}
	if r.target.hasPass {
		m.Password, m.HasPassword = []byte(r.target.password), true
	}
	if r.Version == packet.V5 {
		m.Properties = &packet.Properties{ReceiveMaximum: 65_535, SessionExpiry: expiry}
		m.Properties.Set(packet.PropReceiveMaximum).Set(packet.PropSessionExpiry)
	}
	hello, err := serializer.Append(nil, m, r.Version)
	if err != nil {
		return nil, err
	}
	c := &conn{l: r.loop, role: as, version: r.Version, hello: hello, source: len(r.conns) / portsPerSource}
	if r.target.webSocket() {
		c.ws = newWebSocket(uint64(r.stamp) + uint64(len(r.conns)))
	}
	r.conns = append(r.conns, c)
	return c, nil
}

// maxDialling is how many connections are being opened at one time: below every
// usual backlog.
const maxDialling = 100

// connect opens connections and waits until all are ready.
func (r *run) connect(conns []*conn) error {
	begin, next := r.opened, 0
	return r.until(fmt.Sprintf("opening %d connections", len(conns)), time.Minute+time.Duration(len(conns))*time.Millisecond, func() bool {
		for next < len(conns) && next-(r.opened-begin) < maxDialling && r.broken == nil {
			if err := r.driver.dial(conns[next]); err != nil {
				r.broken = err
			}
			next++
		}
		return r.opened-begin == len(conns)
	})
}

// end is a role's answer to a connection that closed.
func (r *run) end(err error) {
	if r.running {
		r.tally.Dropped++
	}
	if r.broken == nil {
		r.broken = err
	}
}
