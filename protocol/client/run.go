// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"sync"
	"time"

	"emqttd/protocol/packet"
)

// run is the time from a Connect to the end of its last connection.
type run struct {
	ctx     context.Context // ends with the cause of Close
	cancel  context.CancelCauseFunc
	events  chan event    // nil: nobody to tell
	stopped bool          // Close or Disconnect was called: no more reconnects, no more handler calls
	halt    chan struct{} // closed with stopped
	over    bool          // the last connection has ended: nothing can be published any more
	offline chan struct{} // closed after over
	done    chan struct{} // closed when every goroutine has ended
	err     error         // why it ended; valid after done
}

// stop is called with the mutex held.
func (r *run) stop() {
	if !r.stopped {
		r.stopped = true
		close(r.halt)
	}
}

// live is the reader's goroutine: connection after connection until the end.
func (c *Client) live(r *run, l *link, dispatched *sync.WaitGroup) {
	var err error
	for l != nil {
		go l.write()
		l.read()
		<-l.written
		c.detach(l)
		l, err = c.again(r, l.err)
	}
	c.mu.Lock()
	r.over = true
	fin := c.abandon(err)
	c.mu.Unlock()
	fin.call()
	r.err = err
	r.cancel(err)
	close(r.offline)
	if r.events != nil {
		r.events <- event{down: err}
		close(r.events)
	}
	dispatched.Wait()
	c.mu.Lock()
	c.run, c.last = nil, err
	c.mu.Unlock()
	close(r.done)
}

// again dials until there is a connection; a nil link: it is over, because of
// the error.
func (c *Client) again(r *run, err error) (*link, error) {
	b := c.cfg.Reconnect
	if b == nil {
		return nil, err
	}
	for n := 0; b.Attempts == 0 || n < b.Attempts; n++ {
		if c.isStopped(r) || !b.retry(err) {
			return nil, err
		}
		if n == 0 {
			c.tell(r, event{down: err})
		}
		timer := time.NewTimer(b.wait(n))
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			timer.Stop()
			return nil, context.Cause(r.ctx)
		}
		var l *link
		if l, err = c.open(r.ctx, r, c.cleanAgain()); err == nil {
			c.attach(r, l)
			return l, nil
		}
	}
	return nil, err
}

// cleanAgain is the CleanStart of a reconnect. Before 5.0 the flag also says
// how long the session lives, so it stays [v3.1.1 MQTT-3.1.2-6]; in 5.0 that is
// the expiry interval, and starting anew would throw away what is in flight.
func (c *Client) cleanAgain() bool {
	if c.cfg.Connect.Version != packet.V5 {
		return c.cfg.Connect.CleanStart
	}
	p := c.cfg.Connect.Properties
	return c.cfg.Connect.CleanStart && !(p.Has(packet.PropSessionExpiry) && p.SessionExpiry > 0)
}

func (c *Client) isStopped(r *run) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.stopped
}
