// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"

	"emqttd/actors/cast"
	"emqttd/actors/retainer"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/actors/store/pebble"
	"emqttd/protocol/message"
	"emqttd/supervisor"
)

// restore takes up what the store has, before anybody is let in: retained
// messages, sessions with their subscriptions and messages.
func (b *Broker) restore() error {
	err := b.restoreRetained()
	if err != nil {
		return err
	}
	now := b.clock.Now()
	n := 0
	sessions := b.engine.Sessions
	if b.pub.Reader != nil {
		sessions = b.pub.Reader.Engine.Resume
	}
	err = sessions(func(in store.Stored) bool {
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
		b.log.Info().Int("sessions", n).Msg("sessions are restored from the store")
	}
	return nil
}

// reader gives back what waits in the store only, on the pool, or in a simulation at
// once; nil: the engine gives nothing back.
func (b *Broker) reader() *store.Reader {
	f, ok := b.engine.(store.Fetcher)
	switch {
	case !ok:
		return nil
	case b.manual:
		return &store.Reader{Engine: f, Try: func(read func()) bool { read(); return true }}
	}
	return &store.Reader{Engine: f, Try: b.pool.Try}
}

// restoreRetained reads the topics with a retained message: of an engine that
// finds the messages again, while clients are let in, whose lookups wait for it.
func (b *Broker) restoreRetained() error {
	source, cold := b.engine.(retainer.Source)
	if cold {
		b.pub.Retained.From(source, b.pool, int64(b.cfg.Retained.MaxMemory))
	}
	take, end := b.pub.Retained.Load()
	load := func() error {
		defer end()
		err := b.engine.Retained(func(m *message.Message) bool {
			take(m)
			return !b.unload.Load()
		})
		if err != nil {
			return fmt.Errorf("retained messages: %w", err)
		}
		if n := b.pub.Retained.Len(); n > 0 {
			b.log.Info().Int("topics", n).Msg("retained messages are restored from the store")
		}
		return nil
	}
	if !cold {
		return load()
	}
	b.loaded = make(chan struct{})
	go func() {
		defer close(b.loaded)
		if err := load(); err != nil {
			b.storeFailed(err)
		}
	}()
	return nil
}

// stopLoading ends the reading of retained messages.
func (b *Broker) stopLoading() {
	b.unload.Store(true)
	if b.loaded != nil {
		<-b.loaded
	}
}

// synced counts a synced write of the store.
func (b *Broker) synced(s pebble.Synced) {
	m := b.env.Metrics
	m.StoreSync.Observe(s.Took)
	m.StoreBatch.Observe(int64(s.Bytes))
	m.StoreCommits.Add(int64(s.Commits))
}
