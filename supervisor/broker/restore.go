// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"

	"emqttd/actors/cast"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/supervisor"
)

// restore takes up what the store has, before anybody is let in: retained
// messages, sessions with their subscriptions and messages.
func (b *Broker) restore() error {
	err := b.engine.Retained(func(m *message.Message) bool {
		b.pub.Retained.Put(m)
		return true
	})
	if err != nil {
		return fmt.Errorf("store: retained messages: %w", err)
	}
	now := b.clock.Now()
	n := 0
	err = b.engine.Sessions(func(in store.Stored) bool {
		l := b.loops[n%len(b.loops)]
		s := session.Restore(b.kinds.session, b.pub, in, l.Group(), now, b.cfg.Session.WillRestartGrace)
		b.sms[0].Load(in.Record.ClientID, s.Cell(), in.Session, in.Record.Epoch)
		b.directory.Accept(&cast.SessionOpened{ClientID: in.Record.ClientID, Number: in.Session, CreatedAt: now, Session: s.Cell()})
		b.env.SessionSup[l.Index()].Push(supervisor.Start(s.Cell()))
		b.env.Metrics.Sessions.Add(1)
		b.numbers.Store(max(b.numbers.Load(), in.Session))
		b.epochs.Store(max(b.epochs.Load(), in.Record.Epoch))
		n++
		return true
	})
	if err != nil {
		return fmt.Errorf("store: sessions: %w", err)
	}
	if n > 0 {
		b.log.Info().Int("sessions", n).Int("retained", b.pub.Retained.Len()).Msg("restored from the store")
	}
	return nil
}
