// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// A decoder puts values of one layer after the other into cfg. It goes on
// after a mistake; what was wrong keeps the value it had.
type decoder struct {
	cfg     *Config
	origins *Origins
	problems
	from Origin // the layer being read
}

func (d *decoder) decode(v *value, from Origin) {
	d.from = from
	d.section(reflect.ValueOf(d.cfg).Elem(), "", v)
}

// section sets the keys that v has, and leaves the others.
func (d *decoder) section(dst reflect.Value, path string, v *value) {
	v, ok := d.opened(v, path, mapping)
	if !ok || v.shape == null { // "auth:" with every key below it commented out
		return
	}
	if v.shape != mapping {
		d.add(d.at(v), path, "expected a section with keys such as %s, not %s",
			strings.Join(names(dst.Type(), kindOf(path+"."))[:2], " and "), v.shape)
		return
	}
	for _, e := range v.entries {
		key, where := join(path, e.name), d.from.in(e.line, e.col).String()
		f := findField(dst.Type(), e.name)
		switch {
		case f == nil:
			d.unknown(dst.Type(), path, e.name, where)
		case !f.in(kindOf(path)):
			d.add(where, key, "only listeners of the kinds %s have this key", strings.Join(f.only, " and "))
		default:
			d.key(dst.FieldByIndex(f.index), f, key, e.value)
		}
	}
}

// unknown reports a key that does not exist, and blames the one that was
// probably meant.
func (d *decoder) unknown(t reflect.Type, path, name, where string) {
	if len(d.problems.list) >= maxProblems {
		return
	}
	known := names(t, kindOf(path))
	meant := suggest(name, known)
	if meant == "" {
		if len(known) > 20 {
			known = append(known[:20:20], "...")
		}
		d.add(where, join(path, name), "unknown key; there are %s", strings.Join(known, ", "))
		return
	}
	d.blame(join(path, meant))
	d.add(where, join(path, name), "unknown key; did you mean %s?", join(path, meant))
}

func names(t reflect.Type, kind string) []string {
	var out []string
	for _, f := range fieldsOf(t) {
		if f.in(kind) {
			out = append(out, f.name)
		}
	}
	return out
}

func (d *decoder) key(dst reflect.Value, f *field, key string, v *value) {
	switch t := dst.Type(); {
	case isSection(t):
		d.section(dst, key, v)
	case isNamed(t):
		d.named(dst, f, key, v)
	case t.Kind() == reflect.Slice:
		d.list(dst, f, key, v)
	default:
		d.scalar(dst, f, key, v)
	}
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// named sets the entries of a section whose keys the operator chooses:
// listeners of a kind, users.
func (d *decoder) named(dst reflect.Value, f *field, key string, v *value) {
	v, ok := d.opened(v, key, mapping)
	if !ok || v.shape == null {
		return
	}
	if v.shape != mapping {
		d.add(d.at(v), key, "expected names, each with its value, not %s", v.shape)
		return
	}
	if dst.IsNil() && len(v.entries) > 0 {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	for _, e := range v.entries {
		name := e.name
		if d.from.Layer == LayerEnv {
			name = sameFold(dst, name)
		}
		entryKey, where := join(key, name), d.from.in(e.line, e.col).String()
		if dst.Type().Elem() == secretType {
			d.user(dst, f, entryKey, name, where, e.value)
			continue
		}
		if !nameForm.MatchString(name) {
			d.add(where, entryKey, "a name has 1 to 64 letters, digits, '_' and '-'")
			continue
		}
		d.listener(dst, entryKey, name, e.value)
	}
}

// listener sets a listener; one that is new starts from its kind's defaults.
func (d *decoder) listener(dst reflect.Value, key, name string, v *value) {
	index := reflect.ValueOf(name)
	l := dst.MapIndex(index)
	if !l.IsValid() {
		l = reflect.ValueOf(DefaultListener(Kind(kindOf(key))))
		dst.SetMapIndex(index, l)
	}
	d.section(l.Elem(), key, v)
}

func (d *decoder) user(dst reflect.Value, f *field, key, name, where string, v *value) {
	if err := checkText(name); err != nil || name == "" || len(name) > 1024 {
		d.add(where, key, "a user name has 1 to 1024 bytes and no control characters")
		return
	}
	entry := reflect.New(secretType).Elem()
	if !d.scalar(entry, &field{max: "1024"}, key, v) {
		return
	}
	dst.SetMapIndex(reflect.ValueOf(name), entry)
	if err := checkBounds(dst, f); err != nil {
		d.add(where, key, "%v", err)
	}
}

// sameFold finds the name as it is written in m, if it is there: variables are
// in capitals.
func sameFold(m reflect.Value, name string) string {
	for _, known := range mapNames(m) {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return name
}

// list replaces a list as a whole.
func (d *decoder) list(dst reflect.Value, f *field, key string, v *value) {
	v, ok := d.opened(v, key, list)
	if !ok {
		return
	}
	if v.shape == scalar || v.shape == mapping {
		d.add(d.at(v), key, "expected a list such as [a, b], not %s", v.shape)
		return
	}
	before := len(d.problems.list)
	out := reflect.MakeSlice(dst.Type(), len(v.list), len(v.list))
	for i, item := range v.list {
		itemKey := fmt.Sprintf("%s[%d]", key, i)
		if isSection(dst.Type().Elem()) {
			d.section(out.Index(i), itemKey, item)
		} else {
			d.scalar(out.Index(i), &field{}, itemKey, item)
		}
	}
	if err := checkBounds(out, f); err != nil {
		d.add(d.at(v), key, "%v", err)
	}
	if len(d.problems.list) > before {
		d.blame(key)
		return
	}
	if out.Len() == 0 {
		out = reflect.Zero(dst.Type())
	}
	dst.Set(out)
	d.origins.byKey[key] = d.from.in(v.line, v.col)
}

// scalar sets one value and reports whether it could.
func (d *decoder) scalar(dst reflect.Value, f *field, key string, v *value) bool {
	if v.shape == list || v.shape == mapping {
		d.add(d.at(v), key, "expected a single value, not %s", v.shape)
		return false
	}
	fresh := reflect.New(dst.Type()).Elem()
	if err := setScalar(fresh, f, v); err != nil {
		d.add(d.at(v), key, "%v", err)
		return false
	}
	dst.Set(fresh)
	d.origins.byKey[key] = d.from.in(v.line, v.col)
	return true
}

// opened returns v, or what its text says if v is the text of a variable or of
// --set and a list or mapping is wanted. A list may also be given as a, b.
func (d *decoder) opened(v *value, key string, want shape) (*value, bool) {
	if !v.raw || v.shape != scalar {
		return v, true
	}
	text := strings.TrimSpace(v.text)
	if text == "" {
		return &value{}, true
	}
	if want == list && text[0] != '[' {
		out := &value{shape: list}
		for _, item := range strings.Split(text, ",") {
			out.list = append(out.list, &value{shape: scalar, text: strings.TrimSpace(item)})
		}
		return out, true
	}
	out, err := parse(text)
	if err != nil {
		d.add(d.at(v), key, "%v", err)
		return nil, false
	}
	return out, true
}

func (d *decoder) at(v *value) string { return d.from.in(v.line, v.col).String() }
