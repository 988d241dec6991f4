// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Problem is one mistake in a configuration.
type Problem struct {
	Where string // FILE:LINE:COLUMN, a variable, --set ..., or empty for the configuration as a whole
	Key   string // empty if the mistake is not about a key
	Text  string // a clause that says what is wrong and what to write
}

func (p Problem) String() string {
	out := p.Where
	if p.Key != "" && p.Where != "--set "+p.Key {
		out = strings.TrimPrefix(out+": ", ": ") + p.Key
	}
	return strings.TrimPrefix(out+": "+p.Text, ": ")
}

// Error is every mistake of a configuration at once, at least one. Returned by
// Load, Config.Validate and Config.CheckFiles.
type Error struct{ Problems []Problem }

func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "configuration: %d mistakes", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  ")
		b.WriteString(p.String())
	}
	return b.String()
}

// maxProblems bounds the report: a file that is no configuration at all would
// otherwise be answered line by line.
const maxProblems = 50

// problems collects mistakes and remembers which keys have one, so that what
// only follows from a mistake is not reported as another.
type problems struct {
	list []Problem
	bad  map[string]bool
}

func (p *problems) add(where, key, format string, args ...any) {
	if key != "" {
		p.blame(key)
	}
	if len(p.list) < maxProblems {
		p.list = append(p.list, Problem{where, shown(key), fmt.Sprintf(format, args...)})
	}
}

// shown makes a key of the operator's choice fit for a log line.
func shown(key string) string {
	if len(key) > 200 {
		key = strings.ToValidUTF8(key[:200], "") + "..."
	}
	if checkText(key) != nil {
		return strconv.Quote(key)
	}
	return key
}

// blame marks a key as wrong without a report of its own; "" is every key.
func (p *problems) blame(key string) {
	if p.bad == nil {
		p.bad = map[string]bool{}
	}
	p.bad[key] = true
}

// blamed reports whether key, or a section it lies in, has a mistake.
func (p *problems) blamed(key string) bool {
	for key != "" {
		if p.bad[key] {
			return true
		}
		key = key[:max(0, strings.LastIndexByte(key, '.'))]
	}
	return p.bad[""]
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{p.list}
}
