// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Verdict is the outcome of one statement.
type Verdict uint8

const (
	Pass          Verdict = iota
	Fail                  // the broker did something else
	NotApplicable         // the broker does not offer what the statement is about, or there is no script
	Error                 // the script could not be played: no connection, or the run was stopped
)

var verdictNames = [...]string{"pass", "fail", "not applicable", "error"}

func (v Verdict) String() string { return verdictNames[v] }

// Result is what became of one statement.
type Result struct {
	Statement *Statement
	Verdict   Verdict
	Reason    string // why it is not applicable, or what the error was
	// The step that failed, with its line in the data file, what it expected
	// and what came.
	Line          int
	Step          string
	Expected, Got string
	Trace         []Exchange // every exchange of the script, in order
	Elapsed       time.Duration
}

// String is the result in one line.
func (r Result) String() string {
	s := r.Statement.Name() + ": " + r.Verdict.String()
	switch {
	case r.Reason != "":
		s += ": " + r.Reason
	case r.Verdict == Fail:
		s += fmt.Sprintf(": line %d: %s: expected %s, got %s", r.Line, r.Step, r.Expected, r.Got)
	}
	return s
}

// Exchange is one message of a script's run.
type Exchange struct {
	Conn  string
	Sent  bool // by the script; else received
	Text  string
	Bytes []byte // as MQTT; WebSocket framing is left out; at most maxTrace
}

// maxTrace bounds the bytes kept of one exchange, maxExchanges the exchanges kept
// of one script: a broker may send as much as it likes.
const (
	maxTrace     = 4096
	maxExchanges = 20_000
)

// String is the exchange as "a> text  hex".
func (e Exchange) String() string {
	arrow := "<"
	if e.Sent {
		arrow = ">"
	}
	return strings.TrimRight(fmt.Sprintf("%s%s %s  %s", e.Conn, arrow, e.Text, spaced(e.Bytes)), " ")
}

// spaced is hexadecimal with a blank between bytes.
func spaced(b []byte) string {
	digits := hex.EncodeToString(b)
	var s strings.Builder
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			s.WriteByte(' ')
		}
		s.WriteString(digits[i : i+2])
	}
	return s.String()
}

// failure is a step that did not find what it expected.
type failure struct{ expected, got string }

func (f *failure) Error() string { return "expected " + f.expected + ", got " + f.got }

// notApplicable ends a script whose subject the broker does not have.
type notApplicable struct{ reason string }

func (n *notApplicable) Error() string { return n.reason }
