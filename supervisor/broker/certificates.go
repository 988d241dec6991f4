// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"time"

	"emqttd/actors/alarm"
	"emqttd/listeners/tls"
)

// secured are the listeners that have certificates, by their names.
func (b *Broker) secured(yield func(name string, s *tls.Server) bool) {
	for _, p := range b.ports {
		if p.core.TLS != nil && !yield(p.core.Base.Name, p.core.TLS) {
			return
		}
	}
	if b.dashTLS != nil {
		yield(dashboardKey, b.dashTLS)
	}
}

// watchCertificates looks now and then whether files with certificates are others:
// who renews them writes files and cannot send a signal.
func (b *Broker) watchCertificates() error {
	every, any := b.cfg.Runtime.CertificateCheck, false
	for range b.secured {
		any = true
	}
	b.checkExpiries(b.cfg.Runtime.CertificateExpiryAlarm, time.Now())
	if every == 0 || !any {
		return nil
	}
	b.looking.stop = make(chan struct{})
	b.looking.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-b.looking.stop:
				return
			case now := <-tick.C:
				b.CheckCertificates(now)
			}
		}
	})
	return nil
}

// CheckCertificates reads the certificates anew whose files have changed, and
// looks whether one is about to expire at the time now. It waits for the disk.
func (b *Broker) CheckCertificates(now time.Time) {
	for name, s := range b.secured {
		if !s.Stale(now) {
			continue
		}
		if err := b.reread(name, s.Reload); err != nil {
			b.log.Error().Err(err).Str("listener", name).Msg("certificate: the old one stays in use")
			continue
		}
		c := s.Certificate()
		b.log.Info().Str("listener", name).Str("subject", c.Subject.String()).Time("not_after", c.NotAfter).Msg("certificate read anew")
	}
	b.checkExpiries(b.config().Runtime.CertificateExpiryAlarm, now)
}

// reread reads the files of a listener's certificate and keeps the alarm about
// them.
func (b *Broker) reread(listener string, read func() error) error {
	id, now := "certificate_"+listener, time.Now()
	err := read()
	if err == nil {
		b.env.Alarms.Clear(id, now)
		return nil
	}
	b.env.Alarms.Raise(alarm.Alarm{ID: id, Severity: alarm.Error, Title: "the certificate files of " + listener + " cannot be used",
		Summary: err.Error() + ": the certificate from before stays in use", RaisedAt: now})
	return err
}
