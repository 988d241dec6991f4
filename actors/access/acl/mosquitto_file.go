// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseMosquitto reads the text of a Mosquitto acl_file:
//
//	topic [read|write|readwrite|deny] <filter>
//	user <name>
//	pattern [read|write|readwrite|deny] <filter with %c, %u>
//
// name is for messages and decisions. The error is the first fault, with its
// line.
func ParseMosquitto(name, src string) (*Mosquitto, error) {
	m := &Mosquitto{
		users:     make(map[string][]entry),
		nothing:   Decision{Effect: Deny, Rule: name + ": no entry allows it"},
		dangerous: Decision{Effect: Deny, Rule: name + ": + or # in the client identifier or user name"},
	}
	user := ""
	number := 0
	for line := range strings.Lines(src) {
		number++
		line = strings.TrimRight(line, " \t\r\n\v\f")
		if strings.HasPrefix(line, "#") {
			continue
		}
		word, rest := cutSpace(line)
		var err error
		switch word {
		case "":
		case "user":
			if user = rest; user == "" {
				err = errors.New("user line without a name")
			}
		case "topic", "pattern":
			err = m.add(word == "pattern", user, rest, name+":"+strconv.Itoa(number))
		default:
			err = fmt.Errorf("a line begins with topic, user, pattern or #, not with %q", clip(word))
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	denialsFirst(m.anonymous)
	denialsFirst(m.patterns)
	for _, list := range m.users {
		denialsFirst(list)
	}
	return m, nil
}

// add appends one entry.
func (m *Mosquitto) add(isPattern bool, user, rest, place string) error {
	grants, filter, err := splitAccess(rest)
	if err != nil {
		return err
	}
	p, err := parsePattern(filter, isPattern, false)
	if err != nil {
		return err
	}
	if m.size++; m.size > maxTerms {
		return fmt.Errorf("more than %d entries", maxTerms)
	}
	e := entry{grants: grants, p: p, place: place}
	switch {
	case isPattern:
		m.patterns = append(m.patterns, e)
	case user == "":
		m.anonymous = append(m.anonymous, e)
	default:
		m.users[user] = append(m.users[user], e)
	}
	return nil
}

// denialsFirst orders a list as Mosquitto keeps it.
func denialsFirst(list []entry) {
	slices.SortStableFunc(list, func(a, b entry) int {
		return cmp.Compare(min(a.grants, 1), min(b.grants, 1))
	})
}

// splitAccess reads "[read|write|readwrite|deny] <filter>". A single word is a
// filter, even when it is "read": so Mosquitto has it.
func splitAccess(rest string) (access, string, error) {
	word, filter := cutSpace(rest)
	if word == "" {
		return 0, "", errors.New("line without a topic")
	}
	if filter == "" {
		return read | write, word, nil
	}
	switch word {
	case "read":
		return read, filter, nil
	case "write":
		return write, filter, nil
	case "readwrite":
		return read | write, filter, nil
	case "deny":
		return deny, filter, nil
	}
	return 0, "", fmt.Errorf("access is read, write, readwrite or deny, not %q; a topic with a space needs it", clip(word))
}

// cutSpace takes the first word off a line; words are parted by spaces only,
// and the rest may have spaces inside.
func cutSpace(line string) (word, rest string) {
	word, rest, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
	return word, strings.Trim(rest, " \t\r\n\v\f")
}

// clip shortens what a message quotes from a file.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
