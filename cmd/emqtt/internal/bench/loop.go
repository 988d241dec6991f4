// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"time"
)

// driver moves bytes between connections and the broker. It calls the methods
// of conn (opened, received, writable, fail) from within wait only.
type driver interface {
	// dial begins to connect; opened or fail follows.
	dial(c *conn) error
	// write takes what it can of b without waiting and does not keep it. If that
	// is less than all, writable follows.
	write(c *conn, b []byte) (int, error)
	// mute lets what comes for c lie where it is; only its end is reported.
	mute(c *conn)
	// close ends c's stream; nothing of it is reported any more.
	close(c *conn)
	// wait handles what is ready, after waiting for at most limit if nothing is.
	wait(limit time.Duration) error
	// shut ends the driver, when all connections are closed.
	shut()
}

// loop runs connections on the calling goroutine.
type loop struct {
	target *target
	driver driver
	now    int64   // nanos, of the last thing that came in
	dirty  []*conn // have something to write
	pongs  int     // PINGRESPs that came

	message publish // that is being handled: one for all, so that none is allocated

	atEnd      func(now int64) // of every turn, before the writes: publishers fill in
	onWritable func(*conn)
}

// newLoop picks the driver that suits the target.
func newLoop(t *target) (*loop, error) {
	l := &loop{target: t, atEnd: func(int64) {}, onWritable: func(*conn) {}, now: nanos()}
	var err error
	if l.driver, err = t.driver(l); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	return l, nil
}

// turn waits for at most limit, lets everything that is ready be handled, and
// then writes once to every connection that has something to say.
func (l *loop) turn(limit time.Duration) error {
	if len(l.dirty) > 0 {
		limit = 0
	}
	if err := l.driver.wait(limit); err != nil {
		return fmt.Errorf("bench: wait: %w", err)
	}
	l.now = nanos()
	l.atEnd(l.now)
	for i := 0; i < len(l.dirty); i++ { // grows by those that have more
		c := l.dirty[i]
		if err := c.flush(); err != nil {
			c.fail(err)
		}
	}
	clear(l.dirty)
	l.dirty = l.dirty[:0]
	return nil
}
