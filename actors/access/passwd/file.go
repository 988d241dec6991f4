// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxUsers bounds a password file and the table of built-in users.
const maxUsers = 200_000

// maxName bounds a user name, in bytes.
const maxName = 1024

// File is a password file after reading. It never changes.
type File struct {
	name     string
	users    map[string]record
	byLine   []Hash // for decoys
	warnings []string
}

type record struct {
	hash Hash
	line int
}

// ParseFile reads the text of a password file: a line for each user, "name:hash",
// comments with '#' in the first column. It is Mosquitto's password_file, and may
// also have the other hashes that ParseHash knows. name is for messages.
//
// The error is the first fault, as "name:line: ...". A line without a colon is
// no fault, because Mosquitto skips it; it is in Warnings.
func ParseFile(name, src string) (*File, error) {
	f := &File{name: name, users: make(map[string]record)}
	number := 0
	for line := range strings.Lines(src) {
		number++
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		user, encoded, found := strings.Cut(line, ":")
		if !found {
			f.warnings = append(f.warnings, fmt.Sprintf("%s:%d: no colon, the line is skipped", name, number))
			continue
		}
		if err := f.add(strings.TrimSpace(user), strings.TrimSpace(encoded), number); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, err)
		}
	}
	return f, nil
}

func (f *File) add(user, encoded string, line int) error {
	if err := checkName(user); err != nil {
		return err
	}
	if r, ok := f.users[user]; ok {
		return fmt.Errorf("user %q is already in line %d", user, r.line)
	}
	h, err := ParseHash(encoded)
	if err != nil {
		return fmt.Errorf("user %q: %w", user, err)
	}
	if len(f.users) == maxUsers {
		return fmt.Errorf("more than %d users", maxUsers)
	}
	f.users[user] = record{h, line}
	f.byLine = append(f.byLine, h)
	return nil
}

// checkName says what a user name must be to stand in a table.
func checkName(user string) error {
	switch {
	case user == "":
		return errors.New("empty user name")
	case len(user) > maxName:
		return fmt.Errorf("user name of %d bytes, at most %d are allowed", len(user), maxName)
	case !utf8.ValidString(user) || strings.ContainsAny(user, "\x00\r\n"):
		return fmt.Errorf("user name %q is not one line of UTF-8", user)
	}
	return nil
}

// Warnings are lines that were skipped, as "name:line: ...". Bounded by the
// number of lines.
func (f *File) Warnings() []string { return f.warnings }

// Lookup is the hash of a user and the place of the line, "name:line".
func (f *File) Lookup(user string) (h Hash, place string, ok bool) {
	r, ok := f.users[user]
	if !ok {
		return Hash{}, "", false
	}
	return r.hash, fmt.Sprintf("%s:%d", f.name, r.line), true
}

// Len is the number of users.
func (f *File) Len() int { return len(f.users) }

// Decoy is the hash to spend time on for a user that does not exist. n chooses
// it among the users' own, so that unknown names cost what known ones do, also
// in a file of many kinds of hash; for one name n must always be the same.
func (f *File) Decoy(n uint64) Hash {
	if len(f.byLine) == 0 {
		return Hash{}
	}
	return f.byLine[n%uint64(len(f.byLine))]
}
