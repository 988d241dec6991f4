// SPDX-License-Identifier: Apache-2.0

package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Diff lists the keys in which two configurations differ, sorted: those that a
// reload can change in a running broker, and those that need a restart. A
// listener that one of them does not have is one key, listeners.KIND.NAME.
func Diff(before, after *Config) (reloadable, needRestart []string) {
	a, b := flatten(before), flatten(after)
	differ := map[string]bool{} // key -> can be reloaded
	for key, old := range a {
		if other, ok := b[key]; !ok || other.text != old.text {
			note(differ, key, old.reload, ok, before, after)
		}
	}
	for key, added := range b {
		if _, ok := a[key]; !ok {
			note(differ, key, added.reload, ok, before, after)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(differ)) {
		if differ[key] {
			reloadable = append(reloadable, key)
		} else {
			needRestart = append(needRestart, key)
		}
	}
	return reloadable, needRestart
}

// InForce is what after comes to in a process that runs with before: the keys that
// a reload takes over are after's, the others, and which listeners there are,
// before's. Neither is changed.
func InForce(before, after *Config) *Config {
	out := *after
	keep(reflect.ValueOf(&out).Elem(), reflect.ValueOf(before).Elem())
	return &out
}

// keep gives the section to what it has in was and a reload does not change. It is
// as deep as the types.
func keep(to, was reflect.Value) {
	for _, f := range fieldsOf(to.Type()) {
		now, old := to.FieldByIndex(f.index), was.FieldByIndex(f.index)
		switch {
		case isSection(now.Type()):
			keep(now, old)
		case isNamed(now.Type()) && now.Type().Elem().Kind() == reflect.Pointer:
			now.Set(kept(now, old))
		case !f.reload:
			now.Set(old)
		}
	}
}

// kept is a map with the sections that there were.
func kept(now, was reflect.Value) reflect.Value {
	out := reflect.MakeMap(was.Type())
	for _, name := range mapNames(was) {
		key := reflect.ValueOf(name)
		old, entry := was.MapIndex(key), reflect.New(was.Type().Elem().Elem())
		entry.Elem().Set(old.Elem())
		if other := now.MapIndex(key); other.IsValid() {
			entry.Elem().Set(other.Elem())
			keep(entry.Elem(), old.Elem())
		}
		out.SetMapIndex(key, entry)
	}
	return out
}

type flat struct {
	text   string // secrets in clear: they are compared, and go no further
	reload bool
}

func flatten(c *Config) map[string]flat {
	out := map[string]flat{}
	walk(reflect.ValueOf(c).Elem(), "", func(key string, f *field, v reflect.Value) {
		out[key] = flat{yamlText(v, true), f.reload}
	})
	return out
}

// note records a differing key; both says that either side has it.
func note(differ map[string]bool, key string, reload, both bool, before, after *Config) {
	if strings.HasPrefix(key, "listeners.") && !both {
		parts := strings.SplitN(key, ".", 4)
		kind, name := Kind(parts[1]), parts[2]
		if before.Listeners.of(kind)[name] == nil || after.Listeners.of(kind)[name] == nil {
			differ[strings.Join(parts[:3], ".")] = false
			return
		}
	}
	differ[key] = reload
}
