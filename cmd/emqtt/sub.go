// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"math/rand/v2"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

func subCommand(w *world) *cobra.Command {
	return tool(w, "sub", "subscribe and print messages, as mosquitto_sub", subscribe)
}

// errEnough ends a sub that has done what it was asked for.
var errEnough = errors.New("done")

// subscriber is one run of sub.
type subscriber struct {
	w   *world
	s   *settings
	c   *client.Client
	end context.CancelCauseFunc

	// of the handler's goroutine
	out     *bufio.Writer
	printed int
	over    bool

	mu       sync.Mutex
	waiting  int            // SUBACK and UNSUBACK to come
	removals sync.WaitGroup // publishes of --remove-retained on their way
}

func subscribe(ctx context.Context, w *world, s *settings) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	running, end := context.WithCancelCause(ctx)
	defer end(nil)
	u := &subscriber{w: w, s: s, end: end, out: bufio.NewWriter(w.out)}
	cfg, err := s.config(w)
	if err != nil {
		return s.complain(w, err)
	}
	cfg.Handler, cfg.OnConnect = u.message, u.connected
	cfg.Reconnect = &client.Backoff{Min: time.Second, Max: time.Second}
	cfg.Window = 65535 // --remove-retained must not wait in the handler
	if u.c, err = client.NewClient(cfg); err != nil {
		return err
	}
	if _, err := u.c.Connect(ctx); err != nil {
		return s.failed(w, err)
	}
	return u.wait(ctx, running)
}

// wait waits for the end, whichever comes first, and leaves in good order.
func (u *subscriber) wait(ctx, running context.Context) error {
	if u.s.sub.timeout > 0 {
		timed, cancel := context.WithTimeout(running, u.s.sub.timeout)
		defer cancel()
		running = timed
	}
	select {
	case <-running.Done():
	case <-u.c.Done():
		return u.s.failed(u.w, u.c.Wait())
	}
	why := context.Cause(running)
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if errors.Is(why, errEnough) {
		u.removals.Wait()
	}
	_ = u.c.Disconnect(leaving, u.s.disconnect()) // gone already is as good
	<-u.c.Done()
	if code, ok := errors.AsType[exitCode](why); ok {
		return code
	}
	if errors.Is(why, context.DeadlineExceeded) {
		u.s.errorf(u.w, "Timed out")
		return exitTimeout
	}
	return nil
}

// connected subscribes, on every connection: the session may be new.
func (u *subscriber) connected(*packet.Connack) {
	u.mu.Lock()
	u.waiting = 1 + len(u.s.sub.unsubscribe)
	u.mu.Unlock()
	subs := make([]packet.Subscription, len(u.s.topics))
	for i, f := range u.s.topics {
		subs[i] = packet.Subscription{Filter: f, QoS: u.s.qos, RetainAsPublished: u.s.sub.retainAsPublished}
	}
	if err := u.c.SubscribeAsync(u.s.wire(packet.SUBSCRIBE), u.subscribed, subs...); err != nil {
		u.failed(err)
		return
	}
	for _, f := range u.s.sub.unsubscribe {
		err := u.c.UnsubscribeAsync(u.s.wire(packet.UNSUBSCRIBE), func(_ *packet.Unsuback, err error) {
			if err == nil {
				u.answered()
			}
		}, f)
		if err != nil {
			u.failed(err)
			return
		}
	}
}

// failed ends the program, unless a new connection will try again.
func (u *subscriber) failed(err error) {
	if errors.Is(err, client.ErrNotConnected) {
		return
	}
	u.s.errorf(u.w, "Error: %v", err)
	u.end(exitFailure)
}

func (u *subscriber) subscribed(a *packet.Suback, err error) {
	if err != nil {
		return // the connection is gone, and the next subscribes again
	}
	if u.s.debug && !u.s.quiet {
		u.printf("Subscribed (mid: %d): %d", a.ID, a.Codes[0])
		for _, c := range a.Codes[1:] {
			u.printf(", %d", c)
		}
		u.printf("\n")
	}
	for _, c := range a.Codes {
		if !c.Failed() {
			u.answered()
			return
		}
	}
	u.s.errorf(u.w, "All subscription requests were denied.")
	u.end(exitCode(a.Codes[0]))
}

func (u *subscriber) answered() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiting--; u.waiting == 0 && u.s.sub.exitAfterSub {
		u.end(errEnough)
	}
}

// message handles one message.
func (u *subscriber) message(m *client.Message) {
	o := &u.s.sub
	switch {
	case u.over:
		return
	case o.retainedOnly && !m.Retain:
		u.enough()
		return
	case u.filteredOut(m.Topic):
		return
	}
	if o.removeRetained && m.Retain {
		u.remove(m.Topic)
	}
	if m.Retain && o.noRetained || o.randomFilter < 100 && rand.Float64()*100 >= o.randomFilter {
		return
	}
	u.print(m)
	if u.printed++; u.printed == o.count {
		u.enough()
	}
}

func (u *subscriber) enough() {
	u.over = true
	u.end(errEnough)
}

func (u *subscriber) filteredOut(name string) bool {
	for _, f := range u.s.sub.filterOut {
		if topic.Match(f, name) {
			return true
		}
	}
	return false
}

// remove clears a retained message; sub does not leave before it is done.
func (u *subscriber) remove(name string) {
	u.removals.Add(1)
	m := &client.Message{Topic: name, QoS: packet.QoS1, Retain: true}
	err := u.c.PublishAsync(context.Background(), m, func(client.Result) { u.removals.Done() })
	if err != nil {
		u.removals.Done()
		u.s.errorf(u.w, "Error: %v", err)
	}
}
