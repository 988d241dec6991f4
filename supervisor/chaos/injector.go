// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// MaxFaults is how many faults may be armed at once.
const MaxFaults = 256

// ErrOccupied is returned by Add when another Injector of the process is armed:
// cells have one hook.
var ErrOccupied = errors.New("chaos: another injector of this process is armed: clear it first")

// Options say what an Injector may use of its surroundings.
type Options struct {
	Clock group.Clock // of Add and List; nil: the machine's
	// Kill ends the process at once; nil: kill is not allowed here, and Add says so.
	Kill func()
	// Wait waits for d, or for ever when d is 0, or until cancel is closed; nil: on
	// the machine's clock.
	Wait func(d time.Duration, cancel <-chan struct{})
	// OnHit is told of each hit before it happens, on the goroutine of the actor: it
	// must not wait. It may be nil.
	OnHit func(Hit)
}

// Hit is one injected fault.
type Hit struct {
	ID      int // of the fault
	Fault   Fault
	Actor   string // cell.Name
	Kind    string
	Message string
	Phase   cell.Phase
	Scope   Scope // whose message it was, as far as it is known
	At      int64 // nanoseconds since the Unix epoch, on the group's clock
}

// Armed is a fault as List shows it.
type Armed struct {
	ID    int   `json:"id"`
	Fault Fault `json:"fault"`
	Seen  int64 `json:"seen"` // occurrences of the place, within the scope
	Hits  int64 `json:"hits"`
	// Blind counts occurrences that told nothing of what Scope asks for: a scope
	// that nobody answers never hits.
	Blind int64 `json:"blind"`
	Until int64 `json:"until,omitempty"` // nanoseconds since the Unix epoch; 0: no limit
}

// Scoped is a message, or the owner of a cell, that knows whose it is. Empty
// fields are not known.
type Scoped interface {
	ChaosScope() Scope
}

// Injector arms faults and is the hook of the cells while any is armed.
type Injector struct {
	opts Options

	mu     sync.Mutex
	faults []*armed
	serial int
	lives  map[*cell.Cell]*life
	many   int // lives at which those of ended cells are looked for
}

type armed struct {
	Armed
	place  place
	rand   *rand.Rand
	cancel chan struct{} // closed when the fault is disarmed
}

// life is the message that a cell has in work, from its first attempt to its
// end.
type life struct {
	msg     cell.Message
	attempt int
	hit     []int // faults that hit it
}

// minSweep is how many cells may be in the middle of a message before those that
// ended there are looked for.
const minSweep = 4096

// NewInjector makes an injector without faults.
func NewInjector(o Options) *Injector {
	if o.Clock == nil {
		o.Clock = group.Wall{}
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Injector{opts: o}
}

// occupant is the injector that is installed.
var occupant atomic.Pointer[Injector]

// Add arms f and returns its number. Its errors say what to write instead; one
// that wraps ErrImpossible is about what cannot be injected at all.
func (in *Injector) Add(f Fault) (id int, err error) {
	if err := f.Validate(); err != nil {
		return 0, err
	}
	if f.Do.Action == Kill && in.opts.Kill == nil {
		return 0, fmt.Errorf("%w: do=kill: whoever started this process has not allowed it", ErrImpossible)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.prune(in.opts.Clock.Now())
	if len(in.faults) >= MaxFaults {
		return 0, fmt.Errorf("chaos: %d faults are armed already: clear some", MaxFaults)
	}
	if len(in.faults) == 0 {
		if !occupant.CompareAndSwap(nil, in) {
			return 0, ErrOccupied
		}
		in.lives, in.many = map[*cell.Cell]*life{}, minSweep
		defer cell.SetHook(in)
	}
	in.serial++
	if f.When.P != 0 && f.When.Seed == 0 {
		f.When.Seed = rand.Uint64()>>1 + 1
	}
	a := &armed{Armed: Armed{ID: in.serial, Fault: f}, cancel: make(chan struct{})}
	a.place, _ = splitPlace(f.At)
	a.rand = rand.New(rand.NewPCG(f.When.Seed, 0))
	if f.TTL != 0 {
		a.Until = in.opts.Clock.Now() + int64(f.TTL)
	}
	in.faults = append(in.faults, a)
	return a.ID, nil
}

// List is the armed faults in the order they were added.
func (in *Injector) List() []Armed {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.prune(in.opts.Clock.Now())
	out := make([]Armed, len(in.faults))
	for i, a := range in.faults {
		out[i] = a.Armed
	}
	slices.SortFunc(out, func(a, b Armed) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Clear disarms one fault and reports whether it was armed. What it stalls goes
// on.
func (in *Injector) Clear(id int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	n := len(in.faults)
	in.keep(func(a *armed) bool { return a.ID != id })
	return len(in.faults) < n
}

// ClearAll disarms every fault.
func (in *Injector) ClearAll() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.keep(func(*armed) bool { return false })
}

func (in *Injector) prune(now int64) {
	in.keep(func(a *armed) bool { return a.Until == 0 || now < a.Until })
}

// keep disarms the faults that fn refuses, and takes the injector off the cells
// with the last one.
func (in *Injector) keep(fn func(*armed) bool) {
	if len(in.faults) == 0 {
		return
	}
	in.faults = slices.DeleteFunc(in.faults, func(a *armed) bool {
		if fn(a) {
			return false
		}
		close(a.cancel)
		return true
	})
	if len(in.faults) == 0 {
		cell.SetHook(nil)
		in.lives = nil
		occupant.CompareAndSwap(in, nil)
	}
}

// At implements cell.Hook.
func (in *Injector) At(c *cell.Cell, phase cell.Phase, m cell.Message) {
	if m == nil {
		return // effects that an incarnation left: their message was hit already
	}
	a, hit := in.choose(c, phase, m)
	if a == nil {
		return
	}
	if in.opts.OnHit != nil {
		in.opts.OnHit(hit)
	}
	in.act(c, a)
}

// choose counts an occurrence and returns the fault that hits it, nil for none.
func (in *Injector) choose(c *cell.Cell, phase cell.Phase, m cell.Message) (*armed, Hit) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lives == nil {
		return nil, Hit{}
	}
	kind, name := c.Kind().Name, nameOf(m)
	if !slices.ContainsFunc(in.faults, func(a *armed) bool { return a.place.meant(kind, name) }) {
		return nil, Hit{}
	}
	l := in.follow(c, phase, m)
	now := c.Group().Now()
	in.prune(now)
	if l == nil {
		return nil, Hit{}
	}
	for _, a := range in.faults {
		if a.place.phase != phase || !a.place.meant(kind, name) {
			continue
		}
		scope, ok := a.within(c, m)
		if !ok || !a.due(l) {
			continue
		}
		a.Hits++
		l.hit = append(l.hit, a.ID)
		if phase == cell.Between && (a.Fault.Do.Action == Panic || a.Fault.Do.Action == Goexit) {
			delete(in.lives, c) // the message is committed: the hook sees no end of it
		}
		return a, Hit{ID: a.ID, Fault: a.Fault, Actor: c.Name(), Kind: kind, Message: name, Phase: phase, Scope: scope, At: now}
	}
	return nil, Hit{}
}

// follow keeps the attempts at the message that c has in work. It returns nil
// when there is nothing to hit: at the end, and for a message whose beginning
// was before the injector was installed, of which the cell may not know that it
// can fail.
func (in *Injector) follow(c *cell.Cell, phase cell.Phase, m cell.Message) *life {
	l := in.lives[c]
	switch phase {
	case cell.Done:
		delete(in.lives, c)
		return nil
	case cell.Before:
		if l == nil || l.msg != m {
			in.sweep()
			l = &life{msg: m}
			in.lives[c] = l
		}
		l.attempt++
	}
	if l == nil || l.msg != m {
		return nil
	}
	return l
}

// sweep forgets cells that ended in the middle of a message, once they are many.
func (in *Injector) sweep() {
	if len(in.lives) < in.many {
		return
	}
	for c := range in.lives {
		if c.Ended() {
			delete(in.lives, c)
		}
	}
	in.many = max(minSweep, 2*len(in.lives))
}
