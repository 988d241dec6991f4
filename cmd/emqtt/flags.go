// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// option is one row of the flag table.
//
// The grammar is mosquitto's, which no flag library speaks: every argument is
// an option, values are arguments of their own even when they begin with a dash
// (-x -1), and -D takes three or four. Added to it, because people write it:
// --long=value, -p1883, and one-letter flags in a row (-vd).
type option struct {
	short, long string // with their dashes; "" when there is none
	values      int    // how many arguments follow
	what        string // what the first of them is, for the error
	set         func(s *settings, v []string) error
	help        string
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, a ...any) error { return &usageError{fmt.Sprintf(format, a...)} }

// parse reads args into s.
func (s *settings) parse(args []string) error {
	table := options(s.tool)
	for i := 0; i < len(args); {
		n, err := s.parseOne(table, args[i], args[i+1:])
		if err != nil {
			return err
		}
		if s.help || s.showVer {
			return nil
		}
		i += 1 + n
	}
	return nil
}

// parseOne handles one argument and returns how many of the following it took.
func (s *settings) parseOne(table []option, arg string, rest []string) (taken int, err error) {
	if o := find(table, arg); o != nil {
		return s.apply(o, arg, nil, rest)
	}
	if name, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(arg, "--") {
		if o := find(table, name); o != nil && o.values > 0 {
			return s.apply(o, name, []string{value}, rest)
		}
	}
	if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' && cluster(table, arg[1:]) {
		return s.parseCluster(table, arg[1:], rest)
	}
	return 0, usage("Unknown option '%s'.", arg)
}

// apply takes the option's values: given ones first, then from rest.
func (s *settings) apply(o *option, name string, given, rest []string) (taken int, err error) {
	taken = o.values - len(given)
	if taken > len(rest) {
		return 0, missing(o, name)
	}
	values := append(given, rest[:taken]...)
	if o.values == propertyArgs { // a user property has one more
		more, err := s.addProperty(values, rest[taken:])
		return taken + more, err
	}
	return taken, o.set(s, values)
}

func missing(o *option, name string) error {
	if o.values == propertyArgs {
		return usage("--property argument given but not enough arguments specified.")
	}
	return usage("%s argument given but no %s specified.", name, o.what)
}

// cluster reports whether letters are flags without values, of which the last
// may have its value attached.
func cluster(table []option, letters string) bool {
	for i := range letters {
		o := find(table, "-"+letters[i:i+1])
		if o == nil || o.values == propertyArgs {
			return false
		}
		if o.values > 0 {
			return true
		}
	}
	return true
}

func (s *settings) parseCluster(table []option, letters string, rest []string) (taken int, err error) {
	for i := range letters {
		o := find(table, "-"+letters[i:i+1])
		var given []string
		if o.values > 0 && i+1 < len(letters) {
			given = []string{letters[i+1:]}
		}
		if taken, err = s.apply(o, o.short, given, rest); err != nil || o.values > 0 {
			return taken, err
		}
	}
	return 0, nil
}

func find(table []option, name string) *option {
	for i := range table {
		if name != "" && (table[i].short == name || table[i].long == name) {
			return &table[i]
		}
	}
	return nil
}

const maxOptionsFile = 1 << 20 // bytes

// parseFile reads options from a file, one with its value on each line, as
// mosquitto's tools do. A file that must not be there need not.
func (s *settings) parseFile(path string, must bool) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && !must {
		return nil
	}
	if err != nil {
		return usage("Unable to open options file \"%s\".", path)
	}
	defer f.Close()
	text, err := readAll(f, maxOptionsFile)
	if err != nil {
		return usage("Unable to read options file \"%s\".", path)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if err := s.parse(splitLine(line)); err != nil {
			return err
		}
	}
	return nil
}

// splitLine: the option, then its values; only -D has several.
func splitLine(line string) []string {
	name, value, ok := strings.Cut(line, " ")
	if !ok {
		return []string{name}
	}
	if name == "-D" || name == "--property" {
		return append([]string{name}, strings.Fields(value)...)
	}
	return []string{name, strings.TrimLeft(value, " ")}
}

// defaultFile is where mosquitto_pub and mosquitto_sub keep their options.
func defaultFile(tool string, getenv func(string) string) string {
	name := "mosquitto_" + tool
	if dir := getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, name)
	}
	if home := getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", name)
	}
	return ""
}
