// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"errors"
	"time"

	"emqttd/actors/sys"
	"emqttd/supervisor/broker/config"
)

// Reload takes over a new configuration as far as that goes without a restart,
// and reads files anew: certificates, passwords, rules. Connections stay. It
// returns the keys that need a restart. After an error everything that could not
// be read is as it was.
func (b *Broker) Reload(cfg *config.Config) (needRestart []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, needRestart = config.Diff(b.cfg, cfg)
	cfg = config.InForce(b.cfg, cfg)
	g, err := newGates(cfg, b.pool)
	if err != nil {
		return needRestart, err
	}
	g.bans, g.poisonings = b.gates.Load().bans, b.gates.Load().poisonings
	if err := g.readBans(); err != nil {
		return needRestart, err
	}
	b.gates.Store(g)
	b.env.SetLimits(limitsOf(cfg))
	b.bounds.Store(boundsOf(cfg))
	sys.Configure(b.env.Sys, settingsOf(cfg))
	byKey := map[string]config.Named{}
	for _, l := range cfg.Listeners.Active() {
		byKey[l.Key()] = l
	}
	byKey[dashboardKey] = dashboardPort(&b.cfg.Dashboard) // its own keys need a restart
	var errs []error
	for _, p := range b.ports {
		l, ok := byKey[p.key]
		if !ok {
			continue
		}
		gate, err := g.gate(l)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.gate.Store(gate)
		p.door.SetRules(b.rules(l, g))
		p.core.Terms.Store(p.terms(l))
		if p.core.TLS != nil {
			errs = append(errs, b.reread(p.core.Base.Name, func() error { return p.core.TLS.Change(tlsOf(l)) }))
		}
	}
	if b.dashTLS != nil {
		errs = append(errs, b.reread(dashboardKey, b.dashTLS.Reload))
	}
	b.cfg = cfg
	b.checkExpiries(cfg.Runtime.CertificateExpiryAlarm, time.Now())
	return needRestart, errors.Join(errs...)
}
