// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"net"

	"emqttd/actors/sys"
	"emqttd/listeners/crashlab"
	"emqttd/supervisor/cell"
)

// makeLab makes the crash lab, which is closed unless chaos.enabled, and arms the
// faults of the configuration.
func (b *Broker) makeLab() error {
	lab := crashlab.New(crashlab.Options{Enabled: b.cfg.Chaos.Enabled, Stop: b.StopService, Log: b.log,
		Dial:    func(ctx context.Context, _ string) (net.Conn, error) { return b.Dial(ctx) },
		Changed: func() { sys.Broken(b.env.Sys) }})
	b.lab.Store(lab)
	if !b.cfg.Chaos.Enabled {
		return nil
	}
	b.log.Warn().Str("hint", "not for production: set chaos.enabled to false").Msg("actors may be crashed on purpose")
	sys.Broken(b.env.Sys)
	return lab.Arm(b.cfg.Chaos.Faults)
}

// broken is what is broken on purpose, for alarms and $SYS.
func (b *Broker) broken() (c sys.Chaos) {
	if lab := b.lab.Load(); lab != nil {
		c.Enabled = lab.Enabled()
		c.Faults, c.Hits = lab.Armed()
	}
	return c
}

// StopService stops the first service of a kind, as an operator's mistake would:
// its supervisor starts it again.
func (b *Broker) StopService(kind string) error {
	services := append([]*cell.Cell{b.env.Sys, b.env.Store, b.env.Retainer}, b.env.Router...)
	for _, c := range append(services, b.env.SM...) {
		if c.Kind().Name == kind {
			c.Stop()
			return nil
		}
	}
	return fmt.Errorf("no service is of the kind %q", kind)
}
