// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"fmt"
	"math"
	"time"

	"emqttd/protocol/topic"
)

// ErrImpossible is wrapped by the error of a fault that can be written but not
// injected.
var ErrImpossible = errors.New("chaos: this fault cannot be injected")

// impossible says why, for each such action. The hook sees a message and may
// fail or wait; it can neither take the message away nor change it, and it
// stands before neither the disk nor the socket.
var impossible = map[Action]string{
	Drop:         "the hook cannot take a message out of a mailbox; stop or goexit lose nothing either, by contract",
	Duplicate:    "the hook cannot put a second copy into a mailbox: a message has one owner",
	Reorder:      "the hook cannot change the order of a mailbox",
	Corrupt:      "the hook cannot change a message: it is immutable after it is sent",
	ShortWrite:   "no store engine asks for injected faults",
	TornWrite:    "no store engine asks for injected faults",
	EIO:          "no store engine asks for injected faults",
	ENOSPC:       "no store engine asks for injected faults",
	LostUnsynced: "no store engine asks for injected faults",
	Reset:        "no socket asks for injected faults; do it from the peer's side",
	HalfClose:    "no socket asks for injected faults; do it from the peer's side",
	Slow:         "no socket asks for injected faults; do it from the peer's side",
}

// Validate reports what is wrong with f, in a sentence that says what to write;
// an error that wraps ErrImpossible is about what no broker can do yet.
func (f Fault) Validate() error {
	if _, ok := splitPlace(f.At); !ok {
		return fmt.Errorf("chaos: at=%q: write kind/message or kind/message/phase with phase before, decide or between, such as ws_loop/data/decide", f.At)
	}
	if err := f.Do.validate(); err != nil {
		return err
	}
	if err := f.When.validate(); err != nil {
		return err
	}
	if f.Scope.Topic != "" {
		if err := topic.ValidFilter(f.Scope.Topic, topic.Limits{}); err != nil {
			return fmt.Errorf("chaos: scope=topic:%s: %w", quoted(f.Scope.Topic), err)
		}
	}
	if f.Hits < 0 {
		return fmt.Errorf("chaos: hits=%d: write a number from 1, or leave it out for no limit", f.Hits)
	}
	if f.TTL < 0 {
		return fmt.Errorf("chaos: ttl=%s: write a duration such as 30s, or leave it out for no limit", time.Duration(f.TTL))
	}
	if len(f.String()) > maxText { // quoting may have made it longer than what was read
		return errTooLong
	}
	return nil
}

func (d Do) validate() error {
	switch d.Action {
	case Panic, Goexit, Stop, Kill:
		if d.For != 0 {
			return fmt.Errorf("chaos: do=%s takes no duration", d.Action)
		}
		return nil
	case Delay:
		if d.For <= 0 {
			return errors.New("chaos: do=delay needs its duration, such as delay:50ms")
		}
		return nil
	case Stall:
		if d.For < 0 {
			return errors.New("chaos: do=stall takes a duration such as stall:5s, or none for until it is cleared")
		}
		return nil
	}
	if why, ok := impossible[d.Action]; ok {
		return fmt.Errorf("%w: do=%s: %s", ErrImpossible, d.Action, why)
	}
	return fmt.Errorf("chaos: do=%q: write panic, goexit, stop, delay:DURATION, stall or kill", d.Action)
}

func (w When) validate() error {
	chosen := 0
	for _, set := range []bool{w.Nth != 0, w.Every != 0, w.P != 0} {
		if set {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return errors.New("chaos: when: write one of nth, every and p")
	case w.Nth < 0 || w.Every < 0 || w.RecoverAfter < 0:
		return errors.New("chaos: when: nth, every and recover_after are numbers from 1")
	case w.P < 0 || w.P > 1 || math.IsNaN(w.P):
		return fmt.Errorf("chaos: when=p:%v: a probability is above 0 and at most 1", w.P)
	case w.Seed != 0 && w.P == 0:
		return errors.New("chaos: when: a seed goes with p")
	case w.Sticky && w.RecoverAfter != 0:
		return errors.New("chaos: when: sticky never recovers, recover_after does: write one of them")
	}
	return nil
}
