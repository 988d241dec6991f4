// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"emqttd/protocol/packet"
)

const never = 24 * time.Hour

// untilPing is how long the writer may sleep.
func (l *link) untilPing() time.Duration {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	d := never
	if l.limits.KeepAlive > 0 {
		d = time.Until(l.lastSent.Add(l.limits.KeepAlive))
	}
	if len(l.pings) > 0 {
		d = min(d, time.Until(l.pingAt.Add(l.pingTimeout())))
	}
	return max(d, 0)
}

func (l *link) pingTimeout() time.Duration {
	switch {
	case l.c.cfg.PingTimeout > 0:
		return l.c.cfg.PingTimeout
	case l.limits.KeepAlive > 0:
		return l.limits.KeepAlive
	}
	return never
}

// keepAlive sends PINGREQ when nothing else was sent for the keep alive
// interval [v3.1.1 MQTT-3.1.2-23, v5 MQTT-3.1.2-20] and ends a connection on
// which nothing is heard after one.
func (l *link) keepAlive() error {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	now := time.Now()
	if len(l.pings) > 0 && !now.Before(l.pingAt.Add(l.pingTimeout())) {
		if !l.stalled {
			return ErrPingTimeout
		}
		l.pingAt = now
	}
	if l.limits.KeepAlive > 0 && !now.Before(l.lastSent.Add(l.limits.KeepAlive)) {
		l.lastSent = now // also when too many pings are out: the next look is an interval away
		if len(l.pings) < maxPings && !l.closing {
			return l.ping(nil)
		}
	}
	return nil
}

func (l *link) ping(answered chan struct{}) error {
	if len(l.pings) == 0 {
		l.pingAt = time.Now()
	}
	if err := l.append(&packet.Pingreq{}); err != nil {
		return err
	}
	l.pings = append(l.pings, answered)
	return nil
}

// heard notes that the server lives.
func (l *link) heard() {
	if len(l.pings) > 0 {
		l.pingAt = time.Now()
	}
}

func (l *link) pong() {
	if len(l.pings) == 0 {
		return // nobody asked; harmless
	}
	if l.pings[0] != nil {
		close(l.pings[0])
	}
	l.pings = l.pings[1:]
}

// Ping sends PINGREQ and waits for the answer: what the server sent before it
// has been read then, and what was sent to it has been handled.
func (c *Client) Ping(ctx context.Context) error {
	answered := make(chan struct{})
	c.mu.Lock()
	l := c.link
	err := ErrNotConnected
	if l != nil {
		if err = ErrBusy; len(l.pings) < maxPings {
			err = l.ping(answered)
		}
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-answered:
		return nil
	case <-l.down:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
