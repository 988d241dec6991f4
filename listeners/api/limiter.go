// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net/netip"
	"sync"
	"time"
)

// limiter counts wrong passwords by address and by user name.
type limiter struct {
	failures int
	window   time.Duration

	mu   sync.Mutex
	seen map[string]*failing // len <= maxFailing
}

// failing is what one address or user has failed within a window.
type failing struct {
	n     int
	since time.Time
}

const (
	maxFailing = 10_000
	perUser    = 10 // times the failures of one address: one address cannot lock a user out
	others     = "" // counts for all that the table has no room for
)

func newLimiter(failures int, window time.Duration) *limiter {
	return &limiter{failures: failures, window: window, seen: map[string]*failing{}}
}

// wait is how long attempts from an address, or for a user, are not looked at.
func (l *limiter) wait(now time.Time, peer netip.Addr, name string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.left(now, addressKey(peer), l.failures), l.left(now, "user "+name, perUser*l.failures),
		l.left(now, others, perUser*l.failures))
}

func (l *limiter) left(now time.Time, key string, most int) time.Duration {
	f := l.seen[key]
	if f == nil || f.n < most {
		return 0
	}
	return max(0, f.since.Add(l.window).Sub(now))
}

// fail counts a wrong password.
func (l *limiter) fail(now time.Time, peer netip.Addr, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(now, addressKey(peer))
	if name != "" {
		l.count(now, "user "+name)
	}
}

func (l *limiter) count(now time.Time, key string) {
	f := l.seen[key]
	if f == nil && len(l.seen) >= maxFailing {
		for k, old := range l.seen {
			if now.Sub(old.since) > l.window {
				delete(l.seen, k)
			}
		}
		if len(l.seen) >= maxFailing {
			key = others
			f = l.seen[key]
		}
	}
	if f == nil {
		f = &failing{since: now}
		l.seen[key] = f
	}
	if now.Sub(f.since) > l.window {
		*f = failing{since: now}
	}
	f.n++
}

// addressKey is what addresses of one peer have in common: an IPv6 host has a /64
// to itself.
func addressKey(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
