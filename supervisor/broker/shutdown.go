// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"emqttd/supervisor/cell"
)

// Close stops without ceremony what Shutdown would stop in order.
func (b *Broker) Close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.Shutdown(ctx)
}

// ShutdownTimeout is how long the configuration in force gives Shutdown.
func (b *Broker) ShutdownTimeout() time.Duration { return b.config().Runtime.ShutdownTimeout }

// ErrKilled is wrapped by what Shutdown returns when services did not stop within
// runtime.child_shutdown.
var ErrKilled = errors.New("broker: killed")

// Shutdown stops the broker in the reverse order of its start: the dashboard, then
// the supervision tree (listeners; connections, whose clients are told 0x8B in 5.0
// and whose wills without delay are published; sessions; services, the store last),
// the loops, the engine. When ctx ends first it stops whatever is left, and says
// so.
func (b *Broker) Shutdown(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	if b.looking.stop != nil {
		close(b.looking.stop)
		b.looking.Wait()
	}
	err := errors.Join(b.closeDashboard(), b.stopTree(ctx))
	b.flush(ctx)
	for _, p := range b.ports {
		p.close()
	}
	for _, l := range b.loops {
		l.Close()
	}
	if b.stalls != nil { // the last: a loop that is stuck could not be closed
		b.stalls.Close()
	}
	if b.env != nil && b.env.Trace != nil { // a start may fail before
		err = errors.Join(err, b.env.Trace.Close())
	}
	b.stopLoading()
	b.pool.Close()
	b.saveOwed()
	if b.engine != nil {
		err = errors.Join(err, b.engine.Close())
	}
	return err
}

// stopTree stops the supervision tree, as far as ctx lets it.
func (b *Broker) stopTree(ctx context.Context) error {
	if ctx.Err() != nil || b.root == nil {
		return ctx.Err() // no time: what is left is dropped with its loop
	}
	killed := make(chan []*cell.Cell, 1)
	b.root.Shutdown(func(who []*cell.Cell) { killed <- who })
	select {
	case who := <-killed:
		return b.inMemoriam(who)
	case <-ctx.Done():
		left := 0
		for _, l := range b.loops {
			left += l.Len()
		}
		return fmt.Errorf("broker: the time for shutdown is over, with %d connections left: %s has not stopped", left, b.root.Stopping())
	}
}

// flush waits until the connections, whose actors have ended, have written their
// last bytes and closed; what a client has not taken within runtime.child_shutdown
// is dropped.
func (b *Broker) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Runtime.ChildShutdown)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, l := range b.loops {
		for l.Len() > 0 {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// inMemoriam is the error for services that were killed. A connection that was is a
// client's own fault, and no reason to call the stop a failure.
func (b *Broker) inMemoriam(killed []*cell.Cell) error {
	var services []string
	for _, c := range killed {
		if c.Owner() == nil {
			services = append(services, c.Name())
		}
	}
	if len(services) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s did not stop within runtime.child_shutdown", ErrKilled, strings.Join(services, ", "))
}
