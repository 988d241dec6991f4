// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// op is what a step does; the constants follow the grammar in doc.go.
type op uint8

const (
	opNeeds op = iota
	opOpen
	opConnect
	opUpgrade
	opSend
	opQueue
	opExpect
	opSome // one or more
	opAny  // none or more
	opSkip // everything up to it
	opUnless
	opBye
	opDrop
	opWait
)

// step is one line of a script.
type step struct {
	line   int
	text   string // as written
	body   string // of an exchange: what stands behind the arrow
	op     op
	conn   string
	repeat string // "" or a number, possibly of variables
	verb   string // type of what is sent: packet type, "raw" or "text"
	args   []field
	raw    string        // behind raw, text and needs
	events []event       // alternatives, or, with all, a set
	all    bool          // joined by "and"
	reason string        // of opUnless
	wait   time.Duration // of opWait; of an expectation with within=
}

// event is one thing a script waits for.
type event struct {
	what   string // packet type, close, closed, nothing
	fields []field
}

// field is one name=value of a step; the value still has its variables.
type field struct{ name, value string }

// parseStep reads one line.
func parseStep(n int, line string) (step, error) {
	st := step{line: n, text: line}
	if rest, ok := strings.CutPrefix(line, "repeat "); ok {
		st.repeat, line, ok = strings.Cut(rest, ": ")
		if !ok {
			return st, fmt.Errorf("want repeat N: action, have %q", line)
		}
	}
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	if err := st.parseAction(word, rest); err != nil {
		return st, fmt.Errorf("%w in %q", err, line)
	}
	return st, nil
}

func (st *step) parseAction(word, rest string) (err error) {
	if i := strings.IndexAny(word, "<>+?"); i > 0 {
		st.conn = word[:i]
		return st.parseExchange(word[i:], rest)
	}
	switch word {
	case "needs":
		st.op, st.raw = opNeeds, rest
	case "open", "connect", "upgrade":
		st.op = map[string]op{"open": opOpen, "connect": opConnect, "upgrade": opUpgrade}[word]
		st.conn, rest, _ = strings.Cut(rest, " ")
		st.args, err = splitFields(rest)
	case "bye", "drop":
		st.op = map[string]op{"bye": opBye, "drop": opDrop}[word]
		st.conn = rest
	case "wait":
		st.op = opWait
		st.wait, err = milliseconds(rest)
	default:
		err = fmt.Errorf("unknown action %q", word)
	}
	return err
}

// parseExchange reads what stands behind the connection's name.
func (st *step) parseExchange(arrow, rest string) error {
	st.body = rest
	switch arrow {
	case ">", "+":
		st.op = opSend
		if arrow == "+" {
			st.op = opQueue
		}
		return st.parseMessage(rest)
	case "?":
		st.op = opUnless
		var ok bool
		if rest, st.reason, ok = strings.Cut(rest, " -- "); !ok {
			return fmt.Errorf("want -- reason")
		}
	case "<":
		st.op = opExpect
	case "<+":
		st.op = opSome
	case "<*":
		st.op = opAny
	case "<<":
		st.op = opSkip
	default:
		return fmt.Errorf("unknown arrow %q", arrow)
	}
	return st.parseEvents(rest)
}

func (st *step) parseMessage(rest string) (err error) {
	verb, rest, _ := strings.Cut(rest, " ")
	st.verb = verb
	if verb == "raw" || verb == "text" {
		st.raw = rest
		return nil
	}
	if st.args, err = splitFields(rest); err != nil {
		return err
	}
	return checkFields(verb, st.args)
}

func (st *step) parseEvents(rest string) error {
	words, err := splitWords(rest)
	if err != nil {
		return err
	}
	var ev event
	flush := func() error {
		if ev.what == "" {
			return fmt.Errorf("want an event")
		}
		if err := ev.check(); err != nil {
			return err
		}
		st.events, ev = append(st.events, ev), event{}
		return nil
	}
	for _, w := range words {
		switch name, value, isField := strings.Cut(w, "="); {
		case w == "or" || w == "and":
			st.all = w == "and"
			if err := flush(); err != nil {
				return err
			}
		case !isField:
			ev.what = w
		case name == "within":
			if st.wait, err = milliseconds(value); err != nil {
				return err
			}
		default:
			ev.fields = append(ev.fields, field{name, value})
		}
	}
	return flush()
}

// check refuses unknown events and fields that the event's packet does not have.
func (e event) check() error {
	switch e.what {
	case "close":
		if len(e.fields) > 1 || len(e.fields) == 1 && e.fields[0].name != "code" {
			return fmt.Errorf("close takes code= only")
		}
		return nil
	case "closed", "nothing":
		if len(e.fields) > 0 {
			return fmt.Errorf("%s takes no fields", e.what)
		}
		return nil
	}
	return checkFields(e.what, e.fields)
}

func milliseconds(s string) (time.Duration, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return time.Duration(n) * time.Millisecond, err
}

// checkNames refuses connections used before they are opened and variables used
// before they are known: a slip in a script must not wait for the run.
func checkNames(steps []step) error {
	var conns, vars []string
	for _, st := range steps {
		switch st.op {
		case opOpen, opConnect, opUpgrade:
			conns = append(conns, st.conn)
		case opNeeds, opWait:
		default:
			if !slices.Contains(conns, st.conn) {
				return fmt.Errorf("line %d: connection %q is not open", st.line, st.conn)
			}
		}
		for _, name := range variables(st.text) {
			if !slices.Contains(vars, name) && !builtin(name) {
				return fmt.Errorf("line %d: $%s has no value", st.line, name)
			}
		}
		for _, ev := range st.events {
			for _, f := range ev.fields {
				if strings.HasPrefix(f.value, "?") {
					vars = append(vars, f.value[1:])
				}
			}
		}
	}
	return nil
}
