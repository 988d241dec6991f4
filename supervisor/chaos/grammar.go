// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxText bounds one fault as text, in bytes.
const maxText = 4096

var errTooLong = fmt.Errorf("chaos: a fault has at most %d bytes", maxText)

// Parse reads a fault as String writes it: key=value fields in any order,
// separated by spaces; a value with spaces, commas or quotes in it is written
// as a Go string. Whether the fault makes sense is Validate's question.
//
//	at=session/dispatch/between do=panic when=p:0.01,seed:7 hits=5
//	at=protocol/received do=stall:2s when=nth:3,sticky scope=client:"a b",topic:x/#
func Parse(text string) (f Fault, err error) {
	if len(text) > maxText {
		return Fault{}, errTooLong
	}
	fields, err := split(text, ' ')
	if err != nil {
		return Fault{}, err
	}
	seen := map[string]bool{}
	for _, field := range fields {
		key, value, ok := strings.Cut(field, "=")
		if !ok || value == "" {
			return Fault{}, fmt.Errorf("chaos: %q: write key=value", field)
		}
		if seen[key] {
			return Fault{}, fmt.Errorf("chaos: %s is given twice", key)
		}
		seen[key] = true
		if err := f.set(key, value); err != nil {
			return Fault{}, err
		}
	}
	if !seen["at"] || !seen["do"] {
		return Fault{}, fmt.Errorf("chaos: %q: a fault needs at= and do=, such as at=ws_loop/data do=panic", text)
	}
	return f, nil
}

func (f *Fault) set(key, value string) (err error) {
	switch key {
	case "at":
		f.At = value
		return nil
	case "do":
		return f.Do.UnmarshalText([]byte(value))
	case "when":
		return f.When.UnmarshalText([]byte(value))
	case "scope":
		return f.Scope.UnmarshalText([]byte(value))
	case "ttl":
		return f.TTL.UnmarshalText([]byte(value))
	case "hits":
		if f.Hits, err = strconv.Atoi(value); err != nil {
			return fmt.Errorf("chaos: hits=%q: write a number", value)
		}
		return nil
	}
	return fmt.Errorf("chaos: there is no %q: write at, do, when, scope, hits or ttl", key)
}

// String is f on one line, as Parse reads it.
func (f Fault) String() string {
	b := []byte("at=" + f.At + " do=" + f.Do.String())
	if w := f.When.String(); w != always {
		b = append(b, " when="+w...)
	}
	if s := f.Scope.String(); s != "" {
		b = append(b, " scope="+s...)
	}
	if f.Hits != 0 {
		b = append(b, " hits="+strconv.Itoa(f.Hits)...)
	}
	if f.TTL != 0 {
		b = append(b, " ttl="+time.Duration(f.TTL).String()...)
	}
	return string(b)
}

// String is action[:duration].
func (d Do) String() string {
	if d.For == 0 {
		return string(d.Action)
	}
	return string(d.Action) + ":" + d.For.String()
}

// MarshalText implements encoding.TextMarshaler.
func (d Do) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Do) UnmarshalText(text []byte) error {
	name, arg, more := strings.Cut(string(text), ":")
	*d = Do{Action: Action(name)}
	if strings.ContainsAny(name, " \t\n\"=") || name == "" {
		return fmt.Errorf("chaos: do=%q: write an action such as panic", text)
	}
	if !more {
		return nil
	}
	var err error
	if d.For, err = time.ParseDuration(arg); err != nil {
		return fmt.Errorf("chaos: do=%s: write a duration such as 50ms", text)
	}
	return nil
}

const always = "always"

// String is the choice and the modifiers, separated by commas.
func (w When) String() string {
	var parts []string
	if w.Nth != 0 {
		parts = append(parts, "nth:"+strconv.Itoa(w.Nth))
	}
	if w.Every != 0 {
		parts = append(parts, "every:"+strconv.Itoa(w.Every))
	}
	if w.P != 0 {
		parts = append(parts, "p:"+strconv.FormatFloat(w.P, 'g', -1, 64))
	}
	if w.Seed != 0 {
		parts = append(parts, "seed:"+strconv.FormatUint(w.Seed, 10))
	}
	if w.RecoverAfter != 0 {
		parts = append(parts, "recover_after:"+strconv.Itoa(w.RecoverAfter))
	}
	if w.Sticky {
		parts = append(parts, "sticky")
	}
	if len(parts) == 0 {
		return always
	}
	return strings.Join(parts, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (w When) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *When) UnmarshalText(text []byte) error {
	*w = When{}
	for part := range strings.SplitSeq(string(text), ",") {
		name, arg, _ := strings.Cut(part, ":")
		var err error
		switch name {
		case always:
		case "sticky":
			w.Sticky = true
		case "nth":
			w.Nth, err = strconv.Atoi(arg)
		case "every":
			w.Every, err = strconv.Atoi(arg)
		case "recover_after":
			w.RecoverAfter, err = strconv.Atoi(arg)
		case "p":
			w.P, err = strconv.ParseFloat(arg, 64)
		case "seed":
			w.Seed, err = strconv.ParseUint(arg, 10, 64)
		default:
			return fmt.Errorf("chaos: when=%s: write always, nth:N, every:N, p:P, and seed:N, sticky or recover_after:N behind a comma", text)
		}
		if err != nil {
			return fmt.Errorf("chaos: when=%s: %s needs a number", text, name)
		}
	}
	return nil
}

// String is the limits, separated by commas; "" without any.
func (s Scope) String() string {
	var parts []string
	for _, p := range [...]struct{ name, value string }{{"client", s.Client}, {"topic", s.Topic}, {"listener", s.Listener}} {
		if p.value != "" {
			parts = append(parts, p.name+":"+quoted(p.value))
		}
	}
	return strings.Join(parts, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Scope) UnmarshalText(text []byte) error {
	*s = Scope{}
	parts, err := split(string(text), ',')
	if err != nil {
		return err
	}
	for _, part := range parts {
		name, value, _ := strings.Cut(part, ":")
		if strings.HasPrefix(value, `"`) {
			if value, err = strconv.Unquote(value); err != nil {
				return fmt.Errorf("chaos: scope=%s: a quote is not closed", text)
			}
		}
		switch name {
		case "client":
			s.Client = value
		case "topic":
			s.Topic = value
		case "listener":
			s.Listener = value
		default:
			return fmt.Errorf("chaos: scope=%s: write client:GLOB, topic:FILTER or listener:GLOB", text)
		}
	}
	return nil
}

// String is the duration.
func (t TTL) String() string { return time.Duration(t).String() }

// MarshalText implements encoding.TextMarshaler.
func (t TTL) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *TTL) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("chaos: ttl=%q: write a duration such as 30s", text)
	}
	*t = TTL(d)
	return nil
}

// quoted is s as it stands in a fault: plain where that is clear.
func quoted(s string) string {
	for _, r := range s {
		if r <= ' ' || r == ',' || r == '"' || r > '~' {
			return strconv.Quote(s)
		}
	}
	return s
}

// split cuts text at sep, but not within quotes, and drops empty parts.
func split(text string, sep byte) (parts []string, err error) {
	begin, inside := 0, false
	cut := func(end int) {
		if end > begin {
			parts = append(parts, text[begin:end])
		}
		begin = end + 1
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && inside:
			i++
		case c == '"':
			inside = !inside
		case c == sep && !inside:
			cut(i)
		}
	}
	cut(len(text))
	if inside {
		return nil, fmt.Errorf("chaos: %s: a quote is not closed", text)
	}
	return parts, nil
}
