// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"net/netip"
	"time"

	"github.com/rs/zerolog"

	"emqttd/actors/retainer"
	"emqttd/actors/router"
	"emqttd/actors/store"
	"emqttd/listeners"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/group"
)

// Surroundings are what a simulated broker has in the place of disk, sockets,
// threads and clock.
type Surroundings struct {
	Engine store.Engine
	Clock  group.Clock
	Seed   uint64 // of the order in which tables are walked
}

// Simulate makes a broker that does nothing by itself: it binds no port, and its
// event loops move when the caller steps them (Loop.Turn, Loop.Run). Everything
// from the bytes of a connection to the store's interface is as in Start. One
// goroutine at a time may touch it.
func Simulate(cfg *config.Config, log zerolog.Logger, in Surroundings) (*Broker, error) {
	b := &Broker{cfg: cfg, log: log, engine: in.Engine, clock: in.Clock, manual: true, seed: in.Seed, failed: make(chan error, 1),
		started: time.Unix(0, in.Clock.Now())}
	b.pool = group.NewPool(1, 1)
	g, err := newGates(cfg, b.pool)
	if err != nil {
		b.pool.Close()
		return nil, err
	}
	b.gates.Store(g)
	if err := b.build(); err != nil {
		b.Abandon()
		return nil, err
	}
	for _, p := range b.ports {
		gate, err := g.gate(p.named)
		if err != nil {
			b.Abandon()
			return nil, err
		}
		p.gate.Store(gate)
		p.core.Attach(b.loops)
	}
	return b, nil
}

func (b *Broker) newLoop(i int, opts *listeners.Options) (*listeners.Loop, error) {
	if b.manual {
		return listeners.NewManualLoop(i, opts), nil
	}
	return listeners.NewLoop(i, opts)
}

// tables makes the routing table and the index of retained messages. The order of
// a walk through the table is a secret of the process, so that no peer can choose
// what collides, and the seed's in a simulation; that of the index, in which the
// store notes places, is the store's.
func (b *Broker) tables(levels int) (*router.Table, *retainer.Index) {
	index := retainer.NewSeededIndex(levels, b.engine.Order())
	if b.manual {
		return router.NewSeededTable(levels, b.seed), index
	}
	return router.NewTable(levels), index
}

// Loops are the event loops of a simulated broker.
func (b *Broker) Loops() []*listeners.Loop { return b.loops }

// Connect makes w a connection of the listener with key, such as
// "listeners.tcp.default", on one of the loops; nil when there is no such
// listener.
func (b *Broker) Connect(key string, loop int, peer netip.AddrPort, w listeners.Wire) *listeners.Socket {
	for _, p := range b.ports {
		if p.named.Key() == key {
			return p.core.Connect(b.loops[loop], peer, w)
		}
	}
	return nil
}

// Abandon lets go of a simulated broker as kill -9 does: nothing is said to
// anybody, nothing is written.
func (b *Broker) Abandon() { b.pool.Close() }
