// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bufio"
	"encoding"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// PrintOptions chooses what Print adds and hides.
type PrintOptions struct {
	Origins *Origins // not nil: say behind each value that is not a default where it came from
	Secrets bool     // print secrets; the output can then be loaded whatever it holds
	Bare    bool     // no comments
}

// Print writes c as YAML with the comment of every key, ready to be edited and
// loaded. Secrets are masked, and a mask is refused when it is loaded.
func (c *Config) Print(w io.Writer, o PrintOptions) error {
	p := &printer{Writer: bufio.NewWriter(w), PrintOptions: o, said: map[string]bool{}}
	p.section(reflect.ValueOf(c).Elem(), "", "")
	return p.Flush()
}

type printer struct {
	*bufio.Writer // keeps the first error for Flush
	PrintOptions
	said map[string]bool // fields whose comment was printed: once for all listeners
}

func (p *printer) section(v reflect.Value, path, indent string) {
	for i, f := range fieldsOf(v.Type()) {
		if !f.in(kindOf(path)) {
			continue
		}
		fv, key := v.FieldByIndex(f.index), join(path, f.name)
		if i > 0 && path == "" && !p.Bare {
			_ = p.WriteByte('\n')
		}
		p.comment(&f, fv.Type(), indent)
		switch {
		case isSection(fv.Type()):
			fmt.Fprintf(p, "%s%s:\n", indent, f.name)
			p.section(fv, key, indent+"  ")
		case isNamed(fv.Type()) && fv.Len() > 0:
			fmt.Fprintf(p, "%s%s:\n", indent, f.name)
			p.named(fv, key, indent+"  ")
		default:
			p.value(indent+f.name, key, fv)
		}
	}
}

func (p *printer) named(m reflect.Value, path, indent string) {
	for _, name := range mapNames(m) {
		entry, key := m.MapIndex(reflect.ValueOf(name)), join(path, name)
		if entry.Kind() != reflect.Pointer {
			p.value(indent+quoted(name), key, entry)
			continue
		}
		fmt.Fprintf(p, "%s%s:\n", indent, name)
		p.section(entry.Elem(), key, indent+"  ")
	}
}

func (p *printer) value(name, key string, v reflect.Value) {
	fmt.Fprintf(p, "%s: %s", name, yamlText(v, p.Secrets))
	if at := p.Origins.Of(key); at.Layer != LayerDefault {
		fmt.Fprintf(p, " # %s", at)
	}
	_ = p.WriteByte('\n')
}

// commentWidth is the column at which comments are broken.
const commentWidth = 80

// comment writes the comment of a field, and for a list of sections those of
// their keys, the first time the field is met.
func (p *printer) comment(f *field, t reflect.Type, indent string) {
	if p.Bare || p.said[f.owner] {
		return
	}
	p.said[f.owner] = true
	p.wrapped(indent+"# ", indent+"# ", comments()[f.owner])
	if t.Kind() == reflect.Slice && isSection(t.Elem()) {
		for _, sub := range fieldsOf(t.Elem()) {
			p.wrapped(indent+"#   "+sub.name+": ", indent+"#     ", comments()[sub.owner])
		}
	}
}

func (p *printer) wrapped(first, next, text string) {
	line := first
	for i, word := range strings.Fields(text) {
		if i > 0 && len(line)+len(word) > commentWidth {
			fmt.Fprintln(p, strings.TrimRight(line, " "))
			line = next
		}
		line += word + " "
	}
	fmt.Fprintln(p, strings.TrimRight(line, " "))
}

// yamlText writes a value on one line, in a form that Load reads back.
func yamlText(v reflect.Value, secrets bool) string {
	switch x := v.Interface().(type) {
	case Secret:
		if secrets {
			return quoted(string(x))
		}
		return quoted(x.String())
	case time.Duration:
		return formatDuration(x)
	case Bytes:
		return x.String()
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		if err != nil {
			panic("config: " + err.Error())
		}
		return quoted(string(text))
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return yamlText(v.Elem(), secrets)
	case reflect.Slice:
		return flow("[", "]", v.Len(), func(i int) string { return yamlText(v.Index(i), secrets) })
	case reflect.Map: // printed here when empty, or as a whole
		names := mapNames(v)
		return flow("{", "}", len(names), func(i int) string {
			return quoted(names[i]) + ": " + yamlText(v.MapIndex(reflect.ValueOf(names[i])), secrets)
		})
	case reflect.Struct:
		return flowSection(v, secrets)
	case reflect.String:
		return quoted(v.String())
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return fmt.Sprint(v.Interface())
}

// flowSection writes an entry of a list, without the keys that say nothing.
func flowSection(v reflect.Value, secrets bool) string {
	var parts []string
	for _, f := range fieldsOf(v.Type()) {
		if fv := v.FieldByIndex(f.index); !fv.IsZero() {
			parts = append(parts, f.name+": "+yamlText(fv, secrets))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func flow(open, end string, n int, item func(int) string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = item(i)
	}
	return open + strings.Join(parts, ", ") + end
}

// plainWord needs no quotes in any YAML. The words that some parsers take for
// a boolean get them.
var plainWord = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

func quoted(s string) string {
	switch s {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
	default:
		if plainWord.MatchString(s) {
			return s
		}
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
