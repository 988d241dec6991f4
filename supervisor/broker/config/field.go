// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// A field is one key of a section: a struct field with its tags. The tags are
// yaml (name), min and max (bounds in the field's own text; of a list or map
// its length, of a string its bytes), reload (may change at SIGHUP) and
// only (listener kinds that have the key).
type field struct {
	name     string
	index    []int  // for reflect.Value.FieldByIndex, through inlined structs
	owner    string // type and Go name of the field, the key of its comment
	min, max string
	reload   bool
	only     []string // nil: every kind
}

// in reports whether the field exists in a listener of the kind; outside
// listeners kind is empty and so is only.
func (f *field) in(kind string) bool { return f.only == nil || slices.Contains(f.only, kind) }

var fieldCache sync.Map // reflect.Type -> []field

// fieldsOf lists the keys of a section in the order of its struct.
func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		return known.([]field)
	}
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		f := field{
			index:  sf.Index,
			owner:  t.Name() + "." + sf.Name,
			min:    sf.Tag.Get("min"),
			max:    sf.Tag.Get("max"),
			reload: sf.Tag.Get("reload") == "yes",
			only:   strings.Fields(sf.Tag.Get("only")),
		}
		if len(f.only) == 0 {
			f.only = nil
		}
		name, option, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if option == "inline" {
			out = append(out, inlined(f, sf.Type)...)
			continue
		}
		f.name = name
		out = append(out, f)
	}
	fieldCache.Store(t, out)
	return out
}

// inlined lists the fields of a struct whose keys stand in the section around it.
func inlined(outer field, t reflect.Type) []field {
	out := slices.Clone(fieldsOf(t))
	for i := range out {
		out[i].index = append(slices.Clone(outer.index), out[i].index...)
		if outer.only != nil {
			out[i].only = outer.only
		}
	}
	return out
}

func findField(t reflect.Type, name string) *field {
	fields := fieldsOf(t)
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType    = reflect.TypeFor[time.Duration]()
	secretType      = reflect.TypeFor[Secret]()
	enumType        = reflect.TypeFor[enum]()
)

// isSection reports whether values of t have keys of their own.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textUnmarshaler)
}

// isNamed reports whether t is a section whose keys the operator chooses.
func isNamed(t reflect.Type) bool { return t.Kind() == reflect.Map }

// join makes a key of its parts.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// kindOf returns the listener kind that a key lies under, "" for other keys.
func kindOf(path string) string {
	rest, ok := strings.CutPrefix(path, "listeners.")
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(rest, ".")
	return kind
}

// A visit is called for each key that has a value: what is not a section.
type visit func(path string, f *field, v reflect.Value)

// walk calls leaf for every key of the section v in the order of the types,
// names of maps sorted. f is the field that the value belongs to; for an entry
// of a map, the field of the map.
func walk(v reflect.Value, path string, leaf visit) {
	for _, f := range fieldsOf(v.Type()) {
		if !f.in(kindOf(path)) {
			continue
		}
		fv, key := v.FieldByIndex(f.index), join(path, f.name)
		switch {
		case isSection(fv.Type()):
			walk(fv, key, leaf)
		case isNamed(fv.Type()):
			for _, name := range mapNames(fv) {
				entry := fv.MapIndex(reflect.ValueOf(name))
				if entry.Kind() == reflect.Pointer {
					walk(entry.Elem(), join(key, name), leaf)
				} else {
					leaf(join(key, name), &f, entry)
				}
			}
		default:
			leaf(key, &f, fv)
		}
	}
}

func mapNames(m reflect.Value) []string {
	names := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		names = append(names, k.String())
	}
	slices.Sort(names)
	return names
}
