// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// Report is the verdict about a run.
type Report struct {
	Seed       uint64        `json:"seed"`
	Events     int           `json:"events"`
	Published  int           `json:"published"` // messages, not packets
	Received   int           `json:"received"`
	Conns      int           `json:"connections"`
	Elapsed    time.Duration `json:"elapsed"`
	Violations []Violation   `json:"violations,omitempty"`
	// Trace is the shortest part of the history that shows the first violation.
	Trace []Event `json:"trace,omitempty"`
}

// Pass reports whether the contract was kept.
func (r *Report) Pass() bool { return len(r.Violations) == 0 }

func (r *Report) count(e Event) {
	switch e.Kind {
	case Opened:
		r.Conns++
	case Published:
		if !e.Dup {
			r.Published++
		}
	case Received:
		r.Received++
	}
}

// maxPrinted is how many violations are written out.
const maxPrinted = 20

// Write prints the verdict for people.
func (r *Report) Write(w io.Writer) error {
	verdict := "PASS"
	if !r.Pass() {
		verdict = fmt.Sprintf("FAIL %d violations", len(r.Violations))
	}
	_, err := fmt.Fprintf(w, "%s  seed %d, %d connections, %d messages sent, %d received, %s\n", verdict, r.Seed, r.Conns, r.Published, r.Received, r.Elapsed.Round(time.Millisecond))
	for i, v := range r.Violations {
		if i == maxPrinted {
			_, err = fmt.Fprintf(w, "  ... and %d more\n", len(r.Violations)-i)
			break
		}
		_, err = fmt.Fprintf(w, "  %s: %s\n", v.Clause, v.Text)
	}
	if len(r.Trace) > 0 {
		_, err = fmt.Fprintln(w, "shortest trace of the first:")
	}
	for _, e := range r.Trace {
		_, err = fmt.Fprintf(w, "  %12s  %s\n", e.since(r.Trace[0].At), e)
	}
	return err
}

// maxShortened bounds the work of Shortest, in events.
const maxShortened = 1500

// Shortest is the part of a history that shows v and nothing that can be left
// out: without any one of its events Check would say something else.
func Shortest(events []Event, slack time.Duration, v Violation) []Event {
	var part []Event
	for _, e := range events {
		if v.about(e) {
			part = append(part, e)
		}
	}
	shows := func(es []Event) bool {
		return slices.ContainsFunc(Check(es, slack), func(o Violation) bool { return o.Clause == v.Clause && o.Text == v.Text })
	}
	if len(part) > maxShortened || !shows(part) {
		return part
	}
	for size := len(part) / 2; size > 0; size /= 2 {
		for i := 0; i+size <= len(part); {
			if shorter := slices.Concat(part[:i], part[i+size:]); shows(shorter) {
				part = shorter
				continue
			}
			i += size
		}
	}
	return part
}

// about reports whether e may have to do with v: it is about one of its
// messages, or about a connection or subscription of one of its clients, or
// about everybody.
func (v Violation) about(e Event) bool {
	switch e.Kind {
	case Settled, Restarted:
		return true
	case Published, Answered, Received:
		return slices.Contains(v.Msgs, e.Msg)
	}
	return slices.Contains(v.Clients, e.Client)
}
