// SPDX-License-Identifier: Apache-2.0

// Package alarm knows what is wrong at present, and what was lately. It is
// emqttd_alarm, a gen_event there whose crash took the whole broker along
// (its supervisor was one_for_all); here it is a table that any actor or
// goroutine tells, and no actor at all.
//
// An alarm has an id and is raised once, however often its cause is seen, until
// it is cleared. What is measured goes through a Level first, whose two marks
// keep a value that wavers around one of them from raising and clearing for ever.
// Whoever raises an alarm in a decision hands a *Change to the table with
// Context.Submit; everybody else calls Raise and Clear.
package alarm

import (
	"slices"
	"sync"
	"time"

	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Severity is emqttd's.
type Severity string

const (
	Warning  Severity = "warning"
	Error    Severity = "error"
	Critical Severity = "critical"
)

// Alarm is one alarm.
type Alarm struct {
	ID       string     `json:"id"` // "long_gc": the level of its topic
	Severity Severity   `json:"severity"`
	Title    string     `json:"title"`
	Summary  string     `json:"summary"` // with the figures of the moment
	RaisedAt time.Time  `json:"raised_at"`
	Cleared  *time.Time `json:"cleared_at,omitempty"` // missing: it is still so
}

// Bounds hold the table. An alarm above MaxActive is not raised, which is
// counted.
type Bounds struct{ MaxActive, History int }

// Table is the alarms of one broker. A nil Table takes nothing.
type Table struct {
	bounds Bounds
	notify func(Alarm) // of each change, under no lock; it must not wait

	mu      sync.Mutex
	active  []Alarm // in the order in which they were raised
	history []Alarm // cleared, oldest first
	refused int64
}

// New makes an empty table.
func New(b Bounds, notify func(Alarm)) *Table { return &Table{bounds: b, notify: notify} }

// Change is what an actor submits: an alarm to raise, or, with Clear, to clear.
type Change struct {
	mailbox.Link
	Alarm Alarm
	Clear bool
}

// Accept implements cell.Acceptor for *Change.
func (t *Table) Accept(m cell.Message) {
	c := m.(*Change)
	if c.Clear {
		t.Clear(c.Alarm.ID, c.Alarm.RaisedAt)
		return
	}
	t.Raise(c.Alarm)
}

// Raise raises a, whose RaisedAt is now, and reports whether it was not raised
// already; then only its summary is replaced.
func (t *Table) Raise(a Alarm) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	if i := t.find(a.ID); i >= 0 {
		t.active[i].Summary = a.Summary
		t.mu.Unlock()
		return false
	}
	if len(t.active) >= t.bounds.MaxActive {
		t.refused++
		t.mu.Unlock()
		return false
	}
	t.active = append(t.active, a)
	t.mu.Unlock()
	t.notify(a)
	return true
}

// Clear clears an alarm at the time now and reports whether it was raised.
func (t *Table) Clear(id string, now time.Time) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	i := t.find(id)
	if i < 0 {
		t.mu.Unlock()
		return false
	}
	a := t.active[i]
	a.Cleared = &now
	t.active = slices.Delete(t.active, i, i+1)
	if t.bounds.History > 0 {
		if len(t.history) >= t.bounds.History {
			t.history = slices.Delete(t.history, 0, 1)
		}
		t.history = append(t.history, a)
	}
	t.mu.Unlock()
	t.notify(a)
	return true
}

func (t *Table) find(id string) int {
	return slices.IndexFunc(t.active, func(a Alarm) bool { return a.ID == id })
}

// Active is what is wrong, in the order in which it began.
func (t *Table) Active() []Alarm {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.active)
}

// History is what was cleared, the latest first.
func (t *Table) History() []Alarm {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.Clone(t.history)
	slices.Reverse(out)
	return out
}

// Forget empties the history.
func (t *Table) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.history = nil
}

// Refused is how many alarms found no room.
func (t *Table) Refused() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// Level is a measured value with two marks: it is high from High on, and calm
// again when it was below Low, Calm times in a row.
type Level struct {
	High, Low float64
	Calm      int
}

// State is where a Level stands; the zero State is calm. It is a value: a
// decision that is made twice makes it twice from the same.
type State struct {
	Raised bool
	calm   int
}

// Next is the state after a measurement.
func (l Level) Next(s State, value float64) State {
	switch {
	case value >= l.High:
		return State{Raised: true}
	case !s.Raised:
		return State{}
	case value >= l.Low:
		return State{Raised: true}
	case s.calm+1 >= l.Calm:
		return State{}
	}
	return State{Raised: true, calm: s.calm + 1}
}
