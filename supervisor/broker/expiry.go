// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"emqttd/actors/alarm"
	"emqttd/listeners/tls"
)

// expiries are how the certificates stand whose end comes near, by listener.
type expiries struct {
	mu sync.Mutex
	of map[string]expiry
}

// expiry is one of them.
type expiry struct {
	cert *x509.Certificate // of the chain that is shown, the first to expire
	near alarm.State
	of   time.Duration // what near means
}

// calmAgain is how many times in a row a certificate has to be found far from its
// end again, and a tenth farther than where the alarm begins, until the alarm is
// cleared: a clock that is set back and forth does not raise it again and again.
// Another certificate, or another configuration, clears it at once.
const calmAgain = 2

// checkExpiries looks how long the certificates of all listeners still hold. It
// reads no file.
func (b *Broker) checkExpiries(within time.Duration, now time.Time) {
	b.expiries.mu.Lock()
	defer b.expiries.mu.Unlock()
	if b.expiries.of == nil {
		b.expiries.of = map[string]expiry{}
	}
	for name, s := range b.secured {
		b.checkExpiry(name, s, within, now)
	}
}

// checkExpiry raises and clears the alarms of one listener. Two, since one that has
// expired is not only nearer: whoever checks certificates does not connect any more.
func (b *Broker) checkExpiry(listener string, s *tls.Server, within time.Duration, now time.Time) {
	e, cert := b.expiries.of[listener], s.FirstToExpire()
	if !e.cert.Equal(cert) || e.of != within {
		e = expiry{cert: cert, of: within}
	}
	left := cert.NotAfter.Sub(now)
	e.near = alarm.Level{High: -within.Seconds(), Low: -1.1 * within.Seconds(), Calm: calmAgain}.Next(e.near, -left.Seconds())
	b.expiries.of[listener] = e
	said := fmt.Sprintf("%s of %s: not after %s", cert.Subject, s.CertFile(), cert.NotAfter.UTC().Format(time.RFC3339))
	expired := left <= 0
	b.alarm(within > 0 && expired, alarm.Alarm{ID: "certificate_expired_" + listener, Severity: alarm.Critical,
		Title: "the certificate of " + listener + " has expired", Summary: said + ": clients that check it do not connect", RaisedAt: now})
	b.alarm(within > 0 && !expired && e.near.Raised, alarm.Alarm{ID: "certificate_expires_" + listener, Severity: alarm.Warning,
		Title: "the certificate of " + listener + " expires soon", Summary: fmt.Sprintf("%s, in %s", said, days(left)), RaisedAt: now})
}

// expiring reports whether the alarm about a listener's certificate is raised.
func (b *Broker) expiring(listener string) bool {
	b.expiries.mu.Lock()
	defer b.expiries.mu.Unlock()
	e := b.expiries.of[listener]
	return e.of > 0 && e.near.Raised
}

// alarm raises a or clears it.
func (b *Broker) alarm(is bool, a alarm.Alarm) {
	if is {
		b.env.Alarms.Raise(a)
	} else {
		b.env.Alarms.Clear(a.ID, a.RaisedAt)
	}
}

// days is d for people.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", d/day)
}

// certificateEnds calls yield with when the certificate of each listener expires.
func (b *Broker) certificateEnds(yield func(listener string, notAfter time.Time) bool) {
	for name, s := range b.secured {
		if !yield(name, s.FirstToExpire().NotAfter) {
			return
		}
	}
}
