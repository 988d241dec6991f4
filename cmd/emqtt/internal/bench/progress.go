// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"time"
)

// progress is the line per second, and what notices that nothing moves.
type progress struct {
	count *int64 // what is counted: of the tally or of the connections
	unit  string

	start, last time.Time // of the run, of the last line
	then        int64     // count at the last line
	seen        int64     // count when something moved last
	moved       time.Time
}

func (p *progress) begin(r *run) {
	p.count, p.unit = &r.tally.Delivered, "messages"
	p.start = time.Now()
	p.last, p.moved = p.start, p.start
}

// counts sets what is counted.
func (r *run) counts(what *int64, unit string) {
	r.progress.count, r.progress.unit, r.result.Unit = what, unit, unit
}

func (p *progress) tick(r *run, now time.Time) {
	if n := *p.count; n != p.seen {
		p.seen, p.moved = n, now
	}
	took := now.Sub(p.last)
	if took < time.Second {
		return
	}
	if r.Progress != nil {
		t := r.tally
		faults := ""
		if n := t.Duplicated + t.Reordered + t.Foreign + t.Refused + t.Dropped; n > 0 {
			faults = fmt.Sprintf("  faults %d", n)
		}
		// Progress that cannot be shown stops nothing.
		_, _ = fmt.Fprintf(r.Progress, "%-9s %4.0f s  %14s %s/s%s\n", r.Scenario, now.Sub(p.start).Seconds(),
			thousands(float64(*p.count-p.then)/took.Seconds()), p.unit, faults)
	}
	p.last, p.then = now, *p.count
}
