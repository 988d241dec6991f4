// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"reflect"
)

// Layer is where a value came from; a higher layer overrides a lower one.
type Layer uint8

const (
	LayerDefault Layer = iota
	LayerFile
	LayerEnv
	LayerSet
)

// Origin is the place a value was written at.
type Origin struct {
	Layer     Layer
	Name      string // the file, the variable, or the key of --set
	Line, Col int    // in the file, from 1; 0: unknown
}

// String is short enough for a table: default, emqttd.yaml:12:7,
// EMQTTD_LOG__LEVEL, --set log.level.
func (o Origin) String() string {
	switch o.Layer {
	case LayerFile:
		if o.Line == 0 {
			return o.Name
		}
		return fmt.Sprintf("%s:%d:%d", o.Name, o.Line, o.Col)
	case LayerEnv:
		return o.Name
	case LayerSet:
		return "--set " + o.Name
	}
	return "default"
}

// in is the place of v, if v was read from where o says.
func (o Origin) in(line, col int) Origin {
	if o.Layer == LayerFile {
		o.Line, o.Col = line, col
	}
	return o
}

// Origins knows where each value of a Config came from.
type Origins struct{ byKey map[string]Origin }

// Of returns the origin of a key; a key that nobody wrote has its default. The
// keys of a list's entries are written auth.chain[0].path.
func (o *Origins) Of(key string) Origin {
	if o == nil {
		return Origin{}
	}
	return o.byKey[key]
}

// where is the place for an error report, "" if nobody wrote the key.
func (o *Origins) where(key string) string {
	if at := o.Of(key); at.Layer != LayerDefault {
		return at.String()
	}
	return ""
}

// Effective is one key as it is in force.
type Effective struct {
	Key    string
	Value  string // as YAML; secrets masked
	Origin Origin
	Reload bool // can change in a running broker
}

// Effective lists every key of c that is not a section.
func (o *Origins) Effective(c *Config) []Effective {
	var out []Effective
	walk(reflect.ValueOf(c).Elem(), "", func(key string, f *field, v reflect.Value) {
		out = append(out, Effective{key, yamlText(v, false), o.Of(key), f.reload})
	})
	return out
}
