// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"emqttd/listeners/api"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// inspector shows the broker to the API (api.Broker). What actors know is read
// on the groups that run them, in pieces; everything else from tables that may be
// read from anywhere.
type inspector struct{ *Broker }

// config is the configuration in force.
func (b *Broker) config() *config.Config {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cfg
}

// UseOrigins tells the broker where the values of its configuration came from,
// for those who ask.
func (b *Broker) UseOrigins(o *config.Origins) { b.origins.Store(o) }

// OnReload tells the broker how its configuration is read anew, for operators who
// ask for that: f loads it and calls Broker.Reload.
func (b *Broker) OnReload(f func() (needRestart []string, err error)) { b.reload.Store(&f) }

// Reload implements api.Broker.
func (b inspector) Reload() (needRestart []string, err error) {
	f := b.reload.Load()
	if f == nil {
		return nil, api.Fail(409, "the program around this broker does not read a configuration anew")
	}
	if needRestart, err = (*f)(); err != nil {
		return nil, api.Fail(422, "%v", err)
	}
	return append([]string{}, needRestart...), nil // in JSON a list without entries, not null
}

// Node implements api.Broker.
func (b inspector) Node() api.Node {
	cfg, now := b.config(), time.Now()
	n := api.Node{Name: b.env.Node, Version: Version(), Description: description, StartedAt: b.started.UTC(),
		Uptime: int64(now.Sub(b.started) / time.Second), Now: now.UTC(), GoVersion: runtime.Version(), OS: runtime.GOOS,
		Arch: runtime.GOARCH, PID: os.Getpid(), CPUs: runtime.GOMAXPROCS(0), Goroutines: runtime.NumGoroutine(),
		Chaos: cfg.Chaos.Enabled, DataDir: b.dataDir, Store: string(cfg.Store.Engine), MaxFiles: maxFiles()}
	n.Ready, _ = b.Ready()
	m := processMemory()
	n.Heap, n.Memory, n.GCs = m[0], m[1]-m[2], m[3]
	if limit := debug.SetMemoryLimit(-1); limit < 1<<62 {
		n.MemoryLimit = limit
	}
	for _, l := range b.loops {
		n.Loops = append(n.Loops, api.Loop{Index: l.Index(), Connections: l.Len(), Turns: int64(l.Group().Turns())})
	}
	return n
}

const description = "emqttd in Go"

// processMemory reads heap, all memory, what of it was given back, and the collections
// so far. It does not stop the world.
func processMemory() (v [4]int64) {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	for i := range s {
		v[i] = int64(s[i].Value.Uint64())
	}
	return v
}

// Ready implements api.Broker.
func (b inspector) Ready() (ok bool, why string) {
	if err := b.Broker.Ready(); err != nil {
		return false, err.Error()
	}
	return true, ""
}

// Listeners implements api.Broker.
func (b inspector) Listeners() []api.Listener {
	out := []api.Listener{}
	for _, p := range b.ports {
		base := p.core.Base
		rules := p.door.Rules()
		l := api.Listener{Name: base.Name, Key: p.key, Transport: base.Transport, Address: b.address(p), Running: p.bound.Load(),
			Loopback: base.Loopback, AllowAnonymous: base.AllowAnonymous, Connections: p.core.Len(), MaxConnections: rules.MaxConnections,
			MaxConnectRate: rules.MaxRate, Accepted: int64(p.core.Accepted()), TurnedFull: p.door.Turned.Full.Load(),
			TurnedDenied: p.door.Turned.Denied.Load()}
		if p.core.TLS != nil {
			l.NotAfter, l.Expiring = &p.core.TLS.FirstToExpire().NotAfter, b.expiring(base.Name)
		}
		out = append(out, l)
	}
	return out
}

// address is where a port is reached, the one without a socket of its own at the
// dashboard's.
func (b inspector) address(p *port) string {
	if s := b.API(); p.attached && s != nil {
		return s.Addr().String()
	}
	return p.address()
}

// Config implements api.Broker.
func (b inspector) Config() []api.ConfigKey {
	out := []api.ConfigKey{}
	for _, e := range b.origins.Load().Effective(b.config()) {
		out = append(out, api.ConfigKey{Key: e.Key, Value: e.Value, Origin: e.Origin.String(), Reload: e.Reload})
	}
	return out
}

// Metrics implements api.Broker.
func (b inspector) Metrics() api.Metrics {
	m := b.env.Metrics
	out := api.Metrics{BytesIn: m.BytesReceived.Load(), BytesOut: m.BytesSent.Load(), PacketsIn: map[string]int64{},
		PacketsOut: map[string]int64{}, MessagesIn: map[string]int64{}, MessagesOut: map[string]int64{}, Dropped: map[string]int64{},
		Closed: map[string]int64{}, Faults: map[string]int64{}, Refused: map[string]int64{}, Accepted: m.Accepted.Load()}
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		out.PacketsIn[t.String()], out.PacketsOut[t.String()] = m.PacketsReceived[t].Load(), m.PacketsSent[t].Load()
	}
	for q := range m.MessagesReceived {
		name := fmt.Sprintf("qos%d", q)
		out.MessagesIn[name], out.MessagesOut[name] = m.MessagesReceived[q].Load(), m.MessagesSent[q].Load()
	}
	for code := range m.Refused {
		if n := m.Refused[code].Load(); n > 0 {
			out.Refused[packet.ReasonCode(code).String()] += n
		}
	}
	put := func(to map[string]int64) func(string, int64) bool {
		return func(name string, n int64) bool {
			to[name] = n
			return true
		}
	}
	m.Drops(put(out.Dropped))
	m.Closes(put(out.Closed))
	m.FaultCounts(put(out.Faults))
	return out
}

// ActorKinds implements api.Broker.
func (b inspector) ActorKinds() []api.ActorKind {
	out := []api.ActorKind{}
	for k := range b.Kinds {
		out = append(out, api.ActorKind{Kind: k.Name, Module: k.Module, Alive: k.Cells.Load(), Restarts: k.Restarts.Load(),
			Crashes: k.Crashes.Load(), Poisoned: k.Poisoned.Load(), Dropped: k.Dropped.Load()})
	}
	return out
}

// chunk is how many connections or sessions are looked at in one stop of a loop:
// some ten microseconds.
const chunk = 64

// onGroups calls look for every cell, on the group that runs it, in stops of at
// most chunk cells. A cell that changes its group meanwhile is looked for again;
// one that does so thrice is left out.
func onGroups(ctx context.Context, cells []*cell.Cell, look func(i int)) error {
	var left []int
	for i := range cells {
		left = append(left, i)
	}
	for range 3 {
		byGroup := map[*group.Group][]int{}
		for _, i := range left {
			if cells[i] != nil {
				byGroup[cells[i].Group()] = append(byGroup[cells[i].Group()], i)
			}
		}
		left = left[:0]
		for g, all := range byGroup {
			for len(all) > 0 {
				some := all[:min(chunk, len(all))]
				all = all[len(some):]
				err := g.Do(ctx, func() {
					for _, i := range some {
						if cells[i].Group() == g {
							look(i)
						} else {
							left = append(left, i)
						}
					}
				})
				if err != nil {
					return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
				}
			}
		}
		if len(left) == 0 {
			break
		}
	}
	return nil
}

// at is a time that the broker counts in nanoseconds; nil for none.
func at(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := time.Unix(0, ns).UTC()
	return &t
}
