// SPDX-License-Identifier: Apache-2.0

package crashlab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"emqttd/listeners/api"
	"emqttd/supervisor/chaos"
)

// How a run stands.
const (
	running = "running"
	passed  = "passed"  // every clause of the contract holds
	failed  = "failed"  // Violations says which does not
	void    = "void"    // it proved nothing: a fault did not hit, or could not be armed
	stopped = "stopped" // by an operator
)

// why says why an experiment cannot be run from here; "": it can.
func why(e *chaos.Experiment) string {
	if e.Process {
		return "it kills the broker's process, and with it this page: emqtt torture runs it against a process of its own"
	}
	return ""
}

// start begins an experiment.
func (l *Lab) start(name string, seed uint64) (Run, error) {
	e, ok := chaos.Find(name)
	if !ok {
		return Run{}, fmt.Errorf("experiment %q: %w", name, api.ErrNotFound)
	}
	if w := why(&e); w != "" {
		return Run{}, api.Fail(409, "experiment %s cannot be run from here: %s", e.Name(), w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{cancel: cancel, done: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.runs); l.closed || n > 0 && l.runs[n-1].view.State == running {
		cancel()
		return Run{}, api.Fail(409, "one experiment runs at a time: stop the present one first")
	}
	if len(l.runs) >= maxRuns {
		l.runs = slices.Delete(l.runs, 0, 1)
	}
	l.last++
	r.view = Run{ID: l.last, Experiment: e.Name(), Title: e.Title, State: running, StartedAt: l.opts.Now().UTC(), Steps: max(e.Plan.Steps, 1)}
	l.runs = append(l.runs, r)
	go l.play(ctx, r, e, seed)
	return r.view, nil
}

// play runs an experiment to its end.
func (l *Lab) play(ctx context.Context, r *run, e chaos.Experiment, seed uint64) {
	defer close(r.done)
	defer r.cancel()
	var unstopped error
	middle := e.Plan.Steps / 2
	e.Plan.Each = func(step int, _ func(chaos.Event)) {
		l.mu.Lock()
		r.view.Step = step
		l.mu.Unlock()
		if step != middle {
			return
		}
		for _, kind := range e.Stop {
			unstopped = errors.Join(unstopped, l.opts.Stop(kind))
		}
	}
	report, err := e.Run(ctx, l.opts.Dial, l.injector, seed)
	l.mu.Lock()
	defer l.mu.Unlock()
	r.view.finish(&report, errors.Join(err, unstopped), ctx.Err() != nil)
	r.view.Elapsed = l.opts.Now().Sub(r.view.StartedAt).Seconds()
	l.opts.Log.Warn().Str("experiment", r.view.Experiment).Str("verdict", r.view.State).Uint64("seed", report.Seed).Msg("experiment ended")
}

// maxTrace is how many lines of the shortest trace are kept.
const maxTrace = 200

func (v *Run) finish(r *chaos.Report, err error, cancelled bool) {
	v.Seed, v.Events, v.Published, v.Received, v.Connections = r.Seed, r.Events, r.Published, r.Received, r.Conns
	switch {
	case cancelled:
		v.State = stopped
		return
	case len(r.Violations) > 0:
		v.State = failed
	case err != nil:
		v.State, v.Error = void, err.Error()
	default:
		v.State = passed
	}
	for _, x := range r.Violations {
		v.Violations = append(v.Violations, Violation{Clause: string(x.Clause), Text: x.Text})
	}
	var text strings.Builder
	if v.State == failed && r.Write(&text) == nil { // a builder takes everything
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		v.Trace = lines[:min(len(lines), maxTrace)]
	}
}

// stop ends a run that goes on.
func (l *Lab) stop(id int) error {
	l.mu.Lock()
	i := slices.IndexFunc(l.runs, func(r *run) bool { return r.view.ID == id })
	var r *run
	if i >= 0 {
		r = l.runs[i]
	}
	l.mu.Unlock()
	if r == nil {
		return fmt.Errorf("run %d: %w", id, api.ErrNotFound)
	}
	r.cancel()
	return nil
}
