// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"strings"
	"time"

	"emqttd/supervisor/cell"
)

// Fault is one thing that goes wrong on purpose. It is a value: the methods
// below return changed copies, so that a fault reads as a sentence.
type Fault struct {
	// At is the place, kind/message[/phase]: the name of the actor kind
	// (cell.Kind.Name), the message's type name in lower case, and before (the
	// default), decide or between. Kind and message may hold * for any run of
	// characters; a * never means supervisors, poison or lifecycle messages, which
	// have to be named.
	At string `yaml:"at" json:"at"`
	// Do is what happens there.
	Do Do `yaml:"do" json:"do"`
	// When chooses among the occurrences of the place. In the phases decide and
	// between one message has several: one before each change or effect.
	When When `yaml:"when,omitempty" json:"when,omitzero"`
	// Scope chooses among clients, topics and listeners.
	Scope Scope `yaml:"scope,omitempty" json:"scope,omitzero"`
	// Hits is how often the fault may hit; 0: no limit.
	Hits int `yaml:"hits,omitempty" json:"hits,omitempty"`
	// TTL is how long the fault stays armed, on the clock of the group it hits; 0:
	// until it is cleared.
	TTL TTL `yaml:"ttl,omitempty" json:"ttl,omitzero"`
}

// TTL is a duration that reads and writes as text, such as 30s.
type TTL time.Duration

// Action is what a fault does.
type Action string

// What an actor can be made to do.
const (
	Panic  Action = "panic"
	Goexit Action = "goexit" // runtime.Goexit: the deferred calls run, the message stays
	Stop   Action = "stop"   // the actor is stopped behind the message in work
	Delay  Action = "delay"  // the actor and all of its group wait
	Stall  Action = "stall"  // the same, by default until the fault is cleared: a handler that does not return
	Kill   Action = "kill"   // kill -9 of the own process
)

// What the grammar knows and no hook of the runtime can do: Add refuses it.
const (
	Drop         Action = "drop"
	Duplicate    Action = "duplicate"
	Reorder      Action = "reorder"
	Corrupt      Action = "corrupt"
	ShortWrite   Action = "short_write"
	TornWrite    Action = "torn_write"
	EIO          Action = "eio"
	ENOSPC       Action = "enospc"
	LostUnsynced Action = "lost_unsynced"
	Reset        Action = "reset"
	HalfClose    Action = "half_close"
	Slow         Action = "slow"
)

// Do is an action with its duration, written action[:duration].
type Do struct {
	Action Action
	For    time.Duration // of Delay and Stall
}

// When chooses among occurrences. At most one of Nth, Every and P is set; none
// means always.
type When struct {
	Nth   int     // this one only, counted from 1
	Every int     // each n-th
	P     float64 // each with this probability, 0 < P <= 1
	Seed  uint64  // of P; 0: the injector chooses one and shows it
	// Sticky hits every attempt at a message; without it a fault hits first
	// attempts only, so that it is survived. The second hit makes a message poison.
	Sticky bool
	// RecoverAfter hits that many attempts at a message and lets the next pass; 0
	// or 1: the first only.
	RecoverAfter int
}

// Scope says whose messages are hit; empty fields mean everybody's.
type Scope struct {
	Client   string // client identifier, * for any run of characters
	Topic    string // topic filter
	Listener string // listener's name, * for any run of characters
}

// At begins a fault that panics at place: see Fault.At.
func At(place string) Fault { return Fault{At: place, Do: Do{Action: Panic}} }

// Panic makes the actor panic.
func (f Fault) Panic() Fault { return f.do(Panic, 0) }

// Goexit ends the goroutine in the middle of the actor's code.
func (f Fault) Goexit() Fault { return f.do(Goexit, 0) }

// Stop stops the actor.
func (f Fault) Stop() Fault { return f.do(Stop, 0) }

// Delay makes the actor wait for d.
func (f Fault) Delay(d time.Duration) Fault { return f.do(Delay, d) }

// Stall makes the actor wait for d; 0: until the fault is cleared.
func (f Fault) Stall(d time.Duration) Fault { return f.do(Stall, d) }

// Kill kills the process.
func (f Fault) Kill() Fault { return f.do(Kill, 0) }

func (f Fault) do(a Action, d time.Duration) Fault {
	f.Do = Do{a, d}
	return f
}

// Nth hits the n-th occurrence only.
func (f Fault) Nth(n int) Fault { f.When.Nth = n; return f }

// Every hits each n-th occurrence.
func (f Fault) Every(n int) Fault { f.When.Every = n; return f }

// Probably hits each occurrence with probability p; seed 0: any.
func (f Fault) Probably(p float64, seed uint64) Fault { f.When.P, f.When.Seed = p, seed; return f }

// Sticky hits further attempts at the same message, too.
func (f Fault) Sticky() Fault { f.When.Sticky = true; return f }

// RecoverAfter hits n attempts at each message.
func (f Fault) RecoverAfter(n int) Fault { f.When.RecoverAfter = n; return f }

// Client limits the fault to client identifiers like glob.
func (f Fault) Client(glob string) Fault { f.Scope.Client = glob; return f }

// Topic limits the fault to topics that match filter.
func (f Fault) Topic(filter string) Fault { f.Scope.Topic = filter; return f }

// Listener limits the fault to listeners like glob.
func (f Fault) Listener(glob string) Fault { f.Scope.Listener = glob; return f }

// Times limits how often the fault hits.
func (f Fault) Times(n int) Fault { f.Hits = n; return f }

// Within limits how long the fault stays armed.
func (f Fault) Within(d time.Duration) Fault { f.TTL = TTL(d); return f }

// place is Fault.At taken apart.
type place struct {
	kind, message string
	phase         cell.Phase
}

func splitPlace(at string) (p place, ok bool) {
	parts := strings.Split(at, "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" || strings.ContainsAny(at, " \t\n\"") {
		return place{}, false
	}
	p = place{kind: parts[0], message: parts[1]}
	if len(parts) == 3 {
		switch parts[2] {
		case "before":
		case "decide":
			p.phase = cell.Decide
		case "between":
			p.phase = cell.Between
		default:
			return place{}, false
		}
	}
	return p, true
}

// like reports whether s matches pattern, in which * stands for any run of
// characters. It goes over s once for each *.
func like(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, head)
	if !ok {
		return false
	}
	for {
		var part string
		part, rest, star = strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
}
