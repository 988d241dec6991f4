// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Clause is a sentence of the contract.
type Clause string

// The contract.
const (
	ClauseLost        Clause = "nothing acknowledged is lost"
	ClauseOnce        Clause = "exactly once"
	ClauseOrder       Clause = "order per publisher, topic and QoS"
	ClauseWill        Clause = "one will per death"
	ClauseRetained    Clause = "retained is what was acknowledged last"
	ClausePresent     Clause = "session present if and only if it was kept"
	ClauseEffective   Clause = "subscribed when SUBACK comes, and not when UNSUBACK has come"
	ClauseOwner       Clause = "one owner per client identifier"
	ClauseUndisturbed Clause = "nobody is disconnected or refused by somebody else's crash"
	ClauseAnswered    Clause = "every request is answered"
	ClauseProtocol    Clause = "the broker keeps the protocol"
)

// Clauses is the whole contract.
var Clauses = []Clause{ClauseLost, ClauseOnce, ClauseOrder, ClauseWill, ClauseRetained, ClausePresent,
	ClauseEffective, ClauseOwner, ClauseUndisturbed, ClauseAnswered, ClauseProtocol}

// Violation is one thing that the contract does not allow.
type Violation struct {
	Clause Clause `json:"clause"`
	Text   string `json:"text"`
	// Clients and Msgs are what it is about, for the trace.
	Clients []string `json:"clients,omitempty"`
	Msgs    []uint64 `json:"msgs,omitempty"`
	index   int      // of the event at which it showed
}

// DefaultSlack is how long a broker may take to notice something.
const DefaultSlack = 500 * time.Millisecond

// Check reads a history and returns what is wrong with it, in the order in which
// it showed. slack is how late the broker may be with what depends on a clock
// (expiry, will delay): what falls into it may go either way.
//
// Only what is certain is a violation: where the history leaves open what the
// broker knew (a connection lost before its CONNACK, a message whose publisher
// gave up), both outcomes pass.
func Check(events []Event, slack time.Duration) []Violation {
	h := read(events, int64(slack))
	h.checkConns()
	h.checkSessions()
	h.checkRequests()
	h.checkReceipts()
	h.checkShared()
	h.checkOrder()
	h.checkOwed()
	h.checkWills()
	h.checkRetained()
	slices.SortStableFunc(h.found, func(a, b Violation) int { return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.Text, b.Text)) })
	return h.found
}

// Checker keeps the history of a run. Its methods may be called from any
// goroutine.
type Checker struct {
	now   func() int64
	slack time.Duration

	mu     sync.Mutex
	events []Event
	full   bool
}

// maxEvents bounds a history; about 1 GB.
const maxEvents = 4 << 20

// NewChecker makes a checker without history. now is the run's clock, in
// nanoseconds since the Unix epoch; nil: the machine's. slack 0 means
// DefaultSlack.
func NewChecker(now func() int64, slack time.Duration) *Checker {
	if now == nil {
		now = func() int64 { return time.Now().UnixNano() }
	}
	return &Checker{now: now, slack: cmp.Or(slack, DefaultSlack)}
}

// Record appends an event, with the present time.
func (c *Checker) Record(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) == maxEvents {
		c.full = true
		return
	}
	e.At = c.now()
	c.events = append(c.events, e)
}

// Events is a copy of the history.
func (c *Checker) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// Verdict checks the history so far.
func (c *Checker) Verdict() Report {
	events := c.Events()
	r := Report{Events: len(events), Violations: Check(events, c.slack)}
	if c.full {
		r.Violations = append(r.Violations, Violation{Clause: ClauseProtocol, Text: "the history is full: the run was too long to be checked"})
	}
	for _, e := range events {
		r.count(e)
	}
	if len(r.Violations) > 0 {
		r.Trace = Shortest(events, c.slack, r.Violations[0])
	}
	return r
}
