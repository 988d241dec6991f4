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
