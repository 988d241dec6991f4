// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"math/rand/v2"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/message"
	"emqttd/supervisor/chaos"
)

// disk outlives the brokers that use it.
type disk struct {
	synced  *memory.Engine
	pending []write // in order, not synced
	now     func() int64
	rng     *rand.Rand
	broken  bool
}

// write is one group on its way.
type write struct {
	group []*store.Commit
	done  func(error) // nil: it was answered, since nobody waits for it
	at    int64       // when it came
}

// errDisk is what a failing disk says.
var errDisk = errors.New("simulated disk: input/output error")

func newDisk(rng *rand.Rand, now func() int64) *disk {
	return &disk{synced: memory.New(), now: now, rng: rng}
}

// engine is the disk as one broker sees it; what a broker that was killed still
// asks of it is not heard.
type engine struct {
	d     *disk
	order uint64 // the seed
	gone  bool
}

var (
	_ store.Engine  = (*engine)(nil)
	_ store.Fetcher = (*engine)(nil)
)

// Write implements store.Engine.
func (e *engine) Write(group []*store.Commit, done func(error)) {
	if e.gone {
		return
	}
	lazy := true
	for _, c := range group {
		lazy = lazy && !c.Waits()
	}
	if lazy && !e.d.broken && e.d.rng.IntN(2) == 0 {
		e.d.pending = append(e.d.pending, write{group: group, at: e.d.now()})
		done(nil)
		return
	}
	e.d.pending = append(e.d.pending, write{group, done, e.d.now()})
}

// waits reports whether somebody waits for a sync.
func (d *disk) waits() bool { return len(d.pending) > 0 && d.pending[len(d.pending)-1].done != nil }

// sync makes everything that is pending durable and says so.
func (d *disk) sync() {
	all := d.pending
	d.pending = nil
	for _, w := range all {
		d.apply(w.group)
		if w.done != nil {
			w.done(nil)
		}
	}
}

// fail answers what is pending with an error. What of it is on the disk is as
// open as after a kill.
func (d *disk) fail() {
	d.broken = true
	for i, w := range d.pending {
		if w.done != nil {
			d.pending[i].done = nil
			w.done(errDisk)
		}
	}
}

// settle makes durable what has waited for a sync as long as it may, and what came
// before it: see store.Engine.
func (d *disk) settle() {
	n := 0
	for i, w := range d.pending {
		if w.done == nil && !d.broken && d.now()-w.at >= int64(chaos.Lazily) {
			n = i + 1
		}
	}
	for _, w := range d.pending[:n] {
		d.apply(w.group)
	}
	d.pending = d.pending[n:]
}

// crash is the power going out: of what may not be synced yet any prefix is there,
// often none.
func (d *disk) crash() {
	d.settle()
	var commits []*store.Commit
	for _, w := range d.pending {
		commits = append(commits, w.group...)
	}
	n := d.rng.IntN(len(commits) + 1)
	if d.rng.IntN(3) == 0 {
		n = 0
	}
	d.apply(commits[:n])
	d.pending, d.broken = nil, false
}

func (d *disk) apply(group []*store.Commit) {
	if len(group) > 0 {
		d.synced.Write(group, func(error) {})
	}
}

// Sessions implements store.Engine.
func (e *engine) Sessions(yield func(store.Stored) bool) error { return e.d.synced.Sessions(yield) }

// Resume implements store.Fetcher.
func (e *engine) Resume(yield func(store.Stored) bool) error { return e.d.synced.Resume(yield) }

// Fetch implements store.Fetcher: what is not synced is not there yet.
func (e *engine) Fetch(session uint64, positions []uint64) ([]*message.Message, error) {
	if e.d.broken {
		return nil, errDisk
	}
	return e.d.synced.Fetch(session, positions)
}

// Retained implements store.Engine.
func (e *engine) Retained(yield func(*message.Message) bool) error {
	return e.d.synced.Retained(yield)
}

// Last implements store.Engine.
func (e *engine) Last() uint64 { return e.d.synced.Last() }

// Order implements store.Engine.
func (e *engine) Order() uint64 { return e.order }

// Close implements store.Engine.
func (e *engine) Close() error { return nil }
