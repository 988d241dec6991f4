// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	_ "embed"
	"fmt"
	"strings"

	"emqttd/protocol/packet"
)

// Statement is one normative statement, or one row of the fault table, with the
// script that proves it.
type Statement struct {
	ID      string         // "MQTT-3.1.0-1", or "fault-" and the fault's label
	Version packet.Version // the standard it stands in
	Meaning string         // one line, our words
	Reason  string         // why there is no script; "" when there is one
	Source  string         // the script as written
	steps   []step
}

// Name is version and identifier, unique among all statements.
func (s *Statement) Name() string { return s.Version.String() + " " + s.ID }

// Scripted reports whether the statement has a script.
func (s *Statement) Scripted() bool { return len(s.steps) > 0 }

var (
	//go:embed statements_v311.txt
	textV311 string
	//go:embed statements_v5.txt
	textV5 string
	//go:embed faults.txt
	textFaults string
)

// Statements returns the statements of version v in the order of the standard:
// those of 3.1.1 for packet.V311, of 5.0 for packet.V5. The data is part of the
// program, so a fault in it panics.
func Statements(v packet.Version) []Statement {
	if v == packet.V5 {
		return mustParse("statements_v5.txt", textV5, v)
	}
	return mustParse("statements_v311.txt", textV311, packet.V311)
}

// Faults returns one script per fault and version: what this broker, and not
// just any broker, answers.
func Faults() []Statement { return mustParse("faults.txt", textFaults, 0) }

func mustParse(name, text string, v packet.Version) []Statement {
	list, err := Parse(name, text, v)
	if err != nil {
		panic(err)
	}
	return list
}

// Parse reads a data file. Version v goes to every statement; with v 0 each
// header ends in its own, as in [label 5.0]. Errors name file and line.
func Parse(name, text string, v packet.Version) ([]Statement, error) {
	var list []Statement
	for n, line := range strings.Split(text, "\n") {
		line = stripComment(line)
		if line == "" {
			continue
		}
		var err error
		switch {
		case line[0] == '[':
			list, err = appendHeader(list, line, v)
		case len(list) == 0:
			err = fmt.Errorf("a script before the first statement")
		default:
			err = list[len(list)-1].add(n+1, line)
		}
		if err != nil {
			return nil, fmt.Errorf("conformance: %s:%d: %w", name, n+1, err)
		}
	}
	for i := range list {
		if err := list[i].check(); err != nil {
			return nil, fmt.Errorf("conformance: %s: %s: %w", name, list[i].ID, err)
		}
	}
	return list, nil
}

// appendHeader reads "[id] meaning" or "[label version] meaning".
func appendHeader(list []Statement, line string, v packet.Version) ([]Statement, error) {
	id, meaning, ok := strings.Cut(line[1:], "] ")
	if !ok || meaning == "" {
		return nil, fmt.Errorf("want [id] meaning, have %q", line)
	}
	s := Statement{ID: id, Version: v, Meaning: meaning}
	if v == 0 {
		label, version, _ := strings.Cut(id, " ")
		s.ID = "fault-" + label
		if s.Version, ok = versions[version]; !ok {
			return nil, fmt.Errorf("version %q is none of 3.1, 3.1.1, 5.0", version)
		}
	}
	return append(list, s), nil
}

var versions = map[string]packet.Version{"3.1": packet.V31, "3.1.1": packet.V311, "5.0": packet.V5}

// add appends one line of a script.
func (s *Statement) add(n int, line string) error {
	s.Source += line + "\n"
	if reason, ok := strings.CutPrefix(line, "none:"); ok {
		s.Reason = strings.TrimSpace(reason)
		return nil
	}
	st, err := parseStep(n, line)
	if err != nil {
		return err
	}
	s.steps = append(s.steps, st)
	return nil
}

// check refuses a statement with neither script nor reason, or with both, and
// a script that uses what it has not introduced.
func (s *Statement) check() error {
	if (s.Reason == "") != s.Scripted() {
		return fmt.Errorf("want either steps or one line none: reason")
	}
	return checkNames(s.steps)
}

// stripComment removes a comment and the blanks around a line. The # of a topic
// filter has no blank before it.
func stripComment(line string) string {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return ""
	}
	if i := strings.Index(line, " # "); i >= 0 && line[0] != '[' {
		line = strings.TrimSpace(line[:i])
	}
	return line
}
