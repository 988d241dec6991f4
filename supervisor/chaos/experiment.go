// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"net"
	"slices"
)

// Experiment is one recipe of the cookbook: what is broken, under which
// workload, what emqttd made of it, and what is to be seen here. Every
// experiment ends with a new client that connects.
//
// A broker under experiment has its restart intensity of connections out of the
// way (runtime.actor_max_crashes): the faults of one experiment are more than a
// connection may have otherwise.
type Experiment struct {
	Number int    `json:"number"` // as in `chaos run cookbook/07`
	Title  string `json:"title"`
	Emqttd string `json:"emqttd"` // emqttd 1.1.3: its mechanism, and what its clients saw
	Ours   string `json:"ours"`   // what to expect here
	// Faults are armed while the workload runs, as Parse reads them.
	Faults []string `json:"faults,omitempty"`
	// Hits is how often they have to hit, together, for the run to say anything.
	Hits int `json:"hits,omitempty"`
	// Stop are kinds of actors that no message passes: the runner stops them in the
	// middle of the workload.
	Stop []string `json:"stop,omitempty"`
	// Process says that the broker has to be a process of its own, which a fault
	// kills and the runner starts again on the same data.
	Process bool `json:"process,omitempty"`
	// Chop cuts what the clients write into pieces of so many bytes; 0: not at all.
	Chop int `json:"chop,omitempty"`
	// Allow are clauses that the poisoned message itself may break.
	Allow []Clause `json:"allow,omitempty"`
	Plan  Plan     `json:"-"`
}

// Name is the experiment's name, such as "07".
func (e Experiment) Name() string { return fmt.Sprintf("%02d", e.Number) }

// Run arms the experiment's faults, plays its workload against the broker
// behind dial and disarms them. seed, if not 0, replaces the plan's. The error
// says why the run is no experiment: a fault could not be armed, or did not hit.
func (e Experiment) Run(ctx context.Context, dial Dial, in *Injector, seed uint64) (Report, error) {
	var ids []int
	defer func() {
		for _, id := range ids {
			in.Clear(id)
		}
	}()
	for _, line := range e.Faults {
		f, err := Parse(line)
		if err != nil {
			return Report{}, err
		}
		id, err := in.Add(f)
		if err != nil {
			return Report{}, fmt.Errorf("chaos: experiment %s: %s: %w", e.Name(), line, err)
		}
		ids = append(ids, id)
	}
	plan := e.Plan
	if seed != 0 {
		plan.Seed = seed
	}
	r := Run(ctx, Chop(dial, e.Chop), plan)
	r.Violations = slices.DeleteFunc(r.Violations, func(v Violation) bool { return slices.Contains(e.Allow, v.Clause) })
	if len(r.Violations) == 0 {
		r.Trace = nil
	}
	hits := 0
	for _, a := range in.List() {
		if slices.Contains(ids, a.ID) {
			hits += int(a.Hits)
		}
	}
	if hits < e.Hits {
		return r, fmt.Errorf("chaos: experiment %s: its faults hit %d times, %d are needed", e.Name(), hits, e.Hits)
	}
	return r, nil
}

// Chop makes connections whose writes leave in pieces of n bytes; 0: dial as it
// is.
func Chop(dial Dial, n int) Dial {
	if n <= 0 {
		return dial
	}
	return func(ctx context.Context, clientID string) (net.Conn, error) {
		c, err := dial(ctx, clientID)
		if err != nil {
			return nil, err
		}
		return chopped{c, n}, nil
	}
}

type chopped struct {
	net.Conn
	n int // bytes
}

// Write implements net.Conn.
func (c chopped) Write(b []byte) (done int, err error) {
	for piece := range slices.Chunk(b, c.n) {
		n, err := c.Conn.Write(piece)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Find is the experiment of a name such as "07", "7" or "cookbook/07".
func Find(name string) (Experiment, bool) {
	for _, e := range Cookbook {
		if n := e.Name(); name == n || "cookbook/"+n == name || name == fmt.Sprint(e.Number) {
			return e, true
		}
	}
	return Experiment{}, false
}
