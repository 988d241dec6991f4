// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"slices"
	"sync"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

// Gate is an engine whose disk a test holds still: it takes notes of every
// commit, and what is written while it is held is durable, and answered, when it
// is let go. What a kill would leave is another engine, to start again from.
//
// As Engine.Write allows, a group that nobody waits for is answered at once, and
// durable later.
type Gate struct {
	mu      sync.Mutex
	disk    store.Engine // what is durable
	held    bool
	from    *store.OpKind // the first commit with one closes the gate
	killed  bool
	over    bool // of killed: the broker may stop
	pending []pending
	seen    []*store.Commit
	changed chan struct{} // closed at every Write, and replaced
}

type pending struct {
	group []*store.Commit
	done  func(error)
}

var _ store.Engine = (*Gate)(nil)

// NewGate makes a gate that is open, before a disk.
func NewGate(disk store.Engine) *Gate {
	return &Gate{disk: disk, changed: make(chan struct{})}
}

// Hold keeps what is written from the disk until Release.
func (g *Gate) Hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
}

// HoldFrom is Hold from the first commit on that has an operation of a kind.
func (g *Gate) HoldFrom(k store.OpKind) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.from = &k
}

// Release makes everything durable, in order, and answers it. After a Kill it
// answers and makes nothing durable: what the broker still does then, so that it
// can be stopped, leaves no trace.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held, g.over = false, g.killed
	for _, p := range g.pending {
		if g.killed {
			p.done(nil)
		} else {
			g.disk.Write(p.group, p.done)
		}
	}
	g.pending = nil
}

// Kill is a kill -9: what was not durable never will be, and nothing more is
// answered, until Release. It returns what is left.
func (g *Gate) Kill() store.Engine {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.killed = true
	return g.disk
}

// Write implements store.Engine.
func (g *Gate) Write(group []*store.Commit, done func(error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, group...)
	close(g.changed)
	g.changed = make(chan struct{})
	if g.from != nil && slices.ContainsFunc(group, func(c *store.Commit) bool {
		return slices.ContainsFunc(c.Ops, func(o store.Op) bool { return o.Kind == *g.from })
	}) {
		g.held, g.from = true, nil
	}
	switch {
	case g.over:
		done(nil)
	case g.killed:
		g.pending = append(g.pending, pending{group, done})
	case !g.held:
		g.disk.Write(group, done)
	case slices.ContainsFunc(group, func(c *store.Commit) bool { return c.Waits() }):
		g.pending = append(g.pending, pending{group, done})
	default:
		g.pending = append(g.pending, pending{group, func(error) {}})
		done(nil)
	}
}

// Seen is every commit so far, in order.
func (g *Gate) Seen() []*store.Commit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}

// Find is the first commit from number from on for which is says true; it waits
// for it until ctx ends, and returns nil then.
func (g *Gate) Find(ctx context.Context, from int, is func(*store.Commit) bool) *store.Commit {
	for {
		g.mu.Lock()
		all, changed := g.seen, g.changed
		g.mu.Unlock()
		for ; from < len(all); from++ {
			if is(all[from]) {
				return all[from]
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Sessions implements store.Engine.
func (g *Gate) Sessions(yield func(store.Stored) bool) error { return g.disk.Sessions(yield) }

// Retained implements store.Engine.
func (g *Gate) Retained(yield func(*message.Message) bool) error { return g.disk.Retained(yield) }

// Last implements store.Engine.
func (g *Gate) Last() uint64 { return g.disk.Last() }

// Order implements store.Engine.
func (g *Gate) Order() uint64 { return g.disk.Order() }

// Close implements store.Engine.
func (g *Gate) Close() error { return nil }
