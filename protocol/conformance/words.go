// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxFill bounds fill:N, the only value whose size is not that of its text.
const maxFill = 4 << 20

// splitWords cuts a line at blanks; "quoted text" is unquoted where it stands.
func splitWords(line string) ([]string, error) {
	var words []string
	var w strings.Builder
	started := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted, err := strconv.QuotedPrefix(line[i:])
			if err != nil {
				return nil, fmt.Errorf("quote without end at %q", line[i:])
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			w.WriteString(text)
			i += len(quoted) - 1
			started = true
		case c != ' ':
			w.WriteByte(c)
			started = true
		case started:
			words = append(words, w.String())
			w.Reset()
			started = false
		}
	}
	if started {
		words = append(words, w.String())
	}
	return words, nil
}

// splitFields cuts a line into name=value; a word without = has an empty value.
func splitFields(line string) ([]field, error) {
	words, err := splitWords(line)
	fields := make([]field, 0, len(words))
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		fields = append(fields, field{name, value})
	}
	return fields, err
}

// vars are the variables of one run of one script.
type vars map[string]string

// reference is $name, ${name} or $(name+n).
var reference = regexp.MustCompile(`\$(?:([a-zA-Z][a-z0-9-]*[a-z0-9]|[a-zA-Z])|\{([a-z0-9-]+)\}|\(([a-z0-9-]+?)([+-][0-9]+)\))`)

// literal are the words of the standard that begin with a dollar sign.
var literal = map[string]bool{"share": true, "queue": true, "S": true}

// variables lists the names that text refers to.
func variables(text string) []string {
	var names []string
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if name := m[1] + m[2] + m[3]; !literal[name] {
			names = append(names, name)
		}
	}
	return names
}

// builtin reports whether every script has $name.
func builtin(name string) bool {
	if _, ok := connackDefaults[name]; ok {
		return true
	}
	return name == "id" || name == "t" || name == "i"
}

// expand replaces the variables of s. Names are checked when a script is read;
// one that is still missing stays as it is.
func (v vars) expand(s string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		m := reference.FindStringSubmatch(ref)
		value, ok := v[m[1]+m[2]+m[3]]
		switch {
		case !ok:
			return ref
		case m[4] == "":
			return value
		}
		n, _ := strconv.Atoi(value)
		d, _ := strconv.Atoi(m[4])
		return strconv.Itoa(n + d)
	})
}

// bytes is the value of a field: text, hex:…, fill:N or a message of SCRAM.
func (v vars) bytes(s string) ([]byte, error) {
	s = v.expand(s)
	if digits, ok := strings.CutPrefix(s, "hex:"); ok {
		return hex.DecodeString(digits)
	}
	if count, ok := strings.CutPrefix(s, "fill:"); ok {
		n, err := strconv.ParseUint(count, 10, 32)
		if err != nil || n > maxFill {
			return nil, fmt.Errorf("fill:%s is no count up to %d", count, maxFill)
		}
		return []byte(strings.Repeat("x", int(n))), nil
	}
	if s == "scram-first" {
		return []byte(v.scramFirst()), nil
	}
	if challenge, ok := strings.CutPrefix(s, "scram-final:"); ok {
		return v.scramFinal(challenge)
	}
	return []byte(s), nil
}

// number is a field's value as a number that fits bits.
func (v vars) number(s string, bits int) (uint64, error) {
	return strconv.ParseUint(v.expand(s), 0, bits)
}
