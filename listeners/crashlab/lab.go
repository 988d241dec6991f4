// SPDX-License-Identifier: Apache-2.0

// Package crashlab is the door through which an operator breaks the running
// broker on purpose: faults that are armed by hand, and the experiments of the
// cookbook with the checker's verdict. The hammer and the oracle themselves are
// supervisor/chaos; here are the routes under /api/v1/chaos and what they keep.
//
// It has no counterpart in emqttd. It is open where chaos.enabled says so, to
// administrators; everybody may see that it is.
//
// No actor lives here. An experiment runs on a goroutine of its own, as a client
// of the broker inside its process; one at a time, since two would blame each
// other's faults. Faults are the injector's, of which a process has one.
package crashlab

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"emqttd/listeners/api"
	"emqttd/supervisor/chaos"
)

// Bounds of what the lab keeps. They are no configuration: what is behind them is
// looked at by a person, and belongs to the process.
const (
	maxRuns = 20  // finished runs; the oldest goes
	maxHits = 200 // latest hits of faults
)

// Options are what a lab is made of.
type Options struct {
	Enabled bool
	Dial    chaos.Dial              // to the broker, as a client that is let in
	Stop    func(kind string) error // stops an actor of a kind that no message passes
	Log     zerolog.Logger
	Now     func() time.Time // nil: the machine's
	// Changed is told that faults were armed or disarmed, from any goroutine; it must
	// not wait, and may be nil.
	Changed func()
}

// Lab is the crash lab of one broker.
type Lab struct {
	opts     Options
	injector *chaos.Injector

	mu     sync.Mutex // protects the fields below
	hits   []Hit      // newest last, len <= maxHits
	runs   []*run     // newest last, len <= maxRuns+1
	last   int        // number of the newest run
	closed bool
}

// New makes a lab in which nothing is broken yet.
func New(o Options) *Lab {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	l := &Lab{opts: o}
	l.injector = chaos.NewInjector(chaos.Options{Kill: chaos.KillSelf, OnHit: l.hit})
	return l
}

// Arm arms faults as chaos.Parse reads them: those of the configuration.
func (l *Lab) Arm(lines []string) error {
	for _, line := range lines {
		if _, err := l.add(line); err != nil {
			return fmt.Errorf("chaos.faults: %s: %w", line, err)
		}
	}
	return nil
}

func (l *Lab) add(line string) (id int, err error) {
	f, err := chaos.Parse(line)
	if err == nil {
		err = f.Validate()
	}
	if err != nil {
		return 0, err
	}
	id, err = l.injector.Add(f)
	if err == nil {
		l.opts.Log.Warn().Int("id", id).Stringer("fault", f).Msg("fault armed")
		l.opts.Changed()
	}
	return id, err
}

// clear disarms a fault.
func (l *Lab) clear(id int) error {
	if !l.injector.Clear(id) {
		return fmt.Errorf("fault %d: %w", id, api.ErrNotFound)
	}
	l.opts.Log.Warn().Int("id", id).Msg("fault disarmed")
	l.opts.Changed()
	return nil
}

func (l *Lab) clearAll() {
	l.injector.ClearAll()
	l.opts.Log.Warn().Msg("all faults disarmed")
	l.opts.Changed()
}

// Enabled reports whether the lab is open.
func (l *Lab) Enabled() bool { return l.opts.Enabled }

// Armed is how many faults are armed, and how often they have hit. It does not
// wait.
func (l *Lab) Armed() (faults int, hits int64) {
	for _, a := range l.injector.List() {
		faults++
		hits += a.Hits
	}
	return faults, hits
}

// hit keeps a hit. It runs on the goroutine of the actor that is hit: a mutex
// that is never held for longer than an append.
func (l *Lab) hit(h chaos.Hit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.hits) == maxHits {
		l.hits = append(l.hits[:0], l.hits[1:]...)
	}
	l.hits = append(l.hits, Hit{At: time.Unix(0, h.At).UTC(), Fault: h.ID, Do: string(h.Fault.Do.Action), Actor: h.Actor, Kind: h.Kind,
		Message: h.Message, Phase: h.Phase.String(), ClientID: h.Scope.Client})
}

// Close disarms every fault, ends the run that goes on and waits for it.
func (l *Lab) Close() {
	l.mu.Lock()
	l.closed = true
	runs := l.runs
	l.mu.Unlock()
	for _, r := range runs {
		r.cancel()
		<-r.done
	}
	l.injector.ClearAll()
}

// run is an experiment that was begun.
type run struct {
	cancel context.CancelFunc
	done   chan struct{}
	view   Run // under Lab.mu
}
