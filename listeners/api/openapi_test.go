// SPDX-License-Identifier: Apache-2.0

package api

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// schema is what the test reads of one.
type schema struct {
	Ref        string `yaml:"$ref"`
	Required   []string
	Properties map[string]any
	AllOf      []schema `yaml:"allOf"`
}

// TestTheDocumentHasTheFieldsOfItsTypes: all of them and no others, and requires
// those that are never left out. What an answer happens to leave out is not seen by
// those who hold answers to the document.
func TestTheDocumentHasTheFieldsOfItsTypes(t *testing.T) {
	var doc struct {
		Components struct{ Schemas map[string]schema }
	}
	require.NoError(t, yaml.Unmarshal(document, &doc))
	schemas := doc.Components.Schemas
	var fields func(s schema) (all, required []string)
	fields = func(s schema) (all, required []string) {
		if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
			return fields(schemas[name])
		}
		all, required = slices.Collect(maps.Keys(s.Properties)), s.Required
		for _, part := range s.AllOf {
			a, r := fields(part)
			all, required = append(all, a...), append(required, r...)
		}
		return all, required
	}
	types := map[string]any{"Problem": Problem{}, "Node": Node{}, "Loop": Loop{}, "Listener": Listener{}, "Client": Client{},
		"Figures": Figures{}, "ClientDetail": ClientDetail{}, "Flight": Flight{}, "Session": Session{}, "Will": Will{},
		"Subscription": Subscription{}, "Route": TableRoute{}, "Group": Group{}, "Topic": Topic{}, "Retained": Retained{},
		"RetainedMessage": RetainedMessage{}, "UserProperty": UserProperty{}, "Branch": Branch{}, "Actor": Actor{},
		"ActorKind": ActorKind{}, "Stats": Stats{}, "Gauge": Gauge{}, "Rates": Rates{}, "Metrics": Metrics{}, "ConfigKey": ConfigKey{},
		"Ban": Ban{}, "MadeBan": MadeBan{}, "Published": Published{}, "Deleted": Deleted{}, "Reloaded": Reloaded{},
		"ActorName": ActorName{}, "User": User{}, "Key": Key{}, "Principal": Principal{}, "MadeKey": MadeKey{}, "AuditEntry": AuditEntry{},
		"ClientEvent": ClientEvent{}, "Status": Status{}}
	for name, v := range types {
		all, required := fields(schemas[name])
		have, must := jsonFields(reflect.TypeOf(v))
		require.ElementsMatch(t, have, all, name)
		require.ElementsMatch(t, must, required, "%s: required", name)
	}
	said := map[string]any{"NewBan": NewBan{}, "NewSubscription": NewSubscription{}, "NewMessage": NewMessage{}, "Credentials": Credentials{},
		"PasswordChange": PasswordChange{}, "NewUser": NewUser{}, "UserChange": UserChange{}, "NewKey": NewKey{}}
	for name, v := range said { // what is sent to the broker, which says itself what it must have
		all, _ := fields(schemas[name])
		have, _ := jsonFields(reflect.TypeOf(v))
		require.ElementsMatch(t, have, all, name)
	}
	for name := range schemas {
		_, answered := types[name]
		_, asked := said[name]
		require.True(t, answered || asked || name == "Any" || name == "Page", "%s: of which type is it?", name)
	}
}

// jsonFields are the names of a type's fields, and of those that are never left out.
func jsonFields(t reflect.Type) (all, always []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			a, r := jsonFields(inner)
			all, always = append(all, a...), append(always, r...)
		case name == "-" || !f.IsExported():
		default:
			all = append(all, name)
			if !strings.Contains(opts, "omit") {
				always = append(always, name)
			}
		}
	}
	return all, always
}
