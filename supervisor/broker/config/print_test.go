// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/actors/store"
)

func printText(t require.TestingT, c *Config, o PrintOptions) string {
	var b bytes.Buffer
	require.NoError(t, c.Print(&b, o))
	return b.String()
}

func TestTheDefaultPrintsAndLoadsBack(t *testing.T) {
	for _, o := range []PrintOptions{{}, {Bare: true}, {Secrets: true}, {Origins: &Origins{}}} {
		c, _, err := loadText(printText(t, Default(), o), Sources{})
		require.NoError(t, err)
		require.Equal(t, Default(), c)
	}
}

func TestEveryKeyIsPrintedWithItsComment(t *testing.T) {
	text := printText(t, Default(), PrintOptions{})
	said := map[string]bool{}
	walk(reflect.ValueOf(Default()).Elem(), "", func(key string, f *field, v reflect.Value) {
		if said[f.owner] {
			return
		}
		said[f.owner] = true
		comment := comments()[f.owner]
		require.NotEmpty(t, comment, "%s (%s) has no comment", key, f.owner)
		require.Regexp(t, `\.$`, comment, key)
		first := strings.Fields(comment)[0]
		name := key[strings.LastIndexByte(key, '.')+1:]
		require.Regexp(t, `(?m)^ +# `+regexpQuote(first), text, key)
		require.Regexp(t, `(?m)^ +`+name+`: `, text, key)
		if v.Kind() == reflect.Slice && isSection(v.Type().Elem()) {
			for _, sub := range fieldsOf(v.Type().Elem()) {
				require.NotEmpty(t, comments()[sub.owner], sub.owner)
				require.Contains(t, text, "#   "+sub.name+": ")
			}
		}
	})
	require.Greater(t, len(said), 90)
	for _, f := range fieldsOf(reflect.TypeFor[Config]()) {
		require.NotEmpty(t, comments()[f.owner], f.name)
	}
}

func regexpQuote(s string) string {
	return strings.NewReplacer("(", `\(`, ")", `\)`, "[", `\[`, ".", `\.`, "+", `\+`, "?", `\?`, "*", `\*`, "$", `\$`).Replace(s)
}

func TestEveryNumberHasABound(t *testing.T) {
	walk(reflect.ValueOf(Default()).Elem(), "", func(key string, f *field, v reflect.Value) {
		switch v.Kind() {
		case reflect.Int, reflect.Int64, reflect.Float64:
			require.NotEmpty(t, f.min, key)
			if v.Type() != reflect.TypeFor[Bytes]() { // a size may be as large as memory is
				require.NotEmpty(t, f.max, key)
			}
		case reflect.Slice:
			require.NotEmpty(t, f.max, key)
		}
		require.NoError(t, checkBounds(v, f), "%s: its default is outside its own bounds", key)
	})
}

func TestLinesOfThePrintFitAScreen(t *testing.T) {
	for line := range strings.Lines(printText(t, Default(), PrintOptions{})) {
		require.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), commentWidth)
	}
}

func TestPrintSaysWhereAValueCameFrom(t *testing.T) {
	c, o, err := loadText("log:\n  level: warn\n", Sources{
		Env: []string{"EMQTTD_NODE__NAME=n1"}, Sets: []string{"listeners.tcp.default.access=allow all"},
	})
	require.NoError(t, err)
	text := printText(t, c, PrintOptions{Origins: o})
	require.Contains(t, text, "  level: warn # emqttd.yaml:2:10\n")
	require.Contains(t, text, "  name: n1 # EMQTTD_NODE__NAME\n")
	require.Contains(t, text, `access: ["allow all"] # --set listeners.tcp.default.access`+"\n")
	again, _, err := loadText(text, Sources{})
	require.NoError(t, err)
	require.Equal(t, c, again)
}

func TestPrintMasksSecrets(t *testing.T) {
	c, o, err := loadText("auth: {chain: [{type: builtin}], users: {alice: geheim1, bob: geheim2}}", Sources{})
	require.NoError(t, err)
	text := printText(t, c, PrintOptions{})
	require.NotContains(t, text, "geheim")
	require.Contains(t, text, `alice: "********"`)
	require.Contains(t, text, `bob: "********"`)
	for _, e := range o.Effective(c) {
		require.NotContains(t, e.Value, "geheim", e.Key)
	}
	_, _, err = loadText(text, Sources{})
	require.Len(t, mistakes(t, err), 2, "a mask is no password")

	again, _, err := loadText(printText(t, c, PrintOptions{Secrets: true}), Sources{})
	require.NoError(t, err)
	require.Equal(t, c, again)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPrintReportsAFailedWrite(t *testing.T) {
	require.ErrorContains(t, Default().Print(brokenWriter{}, PrintOptions{}), "disk full")
}

// TestAnyConfigurationPrintsAndLoadsBack fills every key with a value drawn
// within its bounds. Validation is left out: it is about sense, not about form.
func TestAnyConfigurationPrintsAndLoadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Default()
		want.Listeners.TCP["lan"] = DefaultListener(TCP)
		walk(reflect.ValueOf(want).Elem(), "", func(key string, f *field, v reflect.Value) {
			if v.CanSet() {
				v.Set(drawValue(t, key, f, v.Type()))
			}
		})
		want.Auth.Users = map[string]Secret{rapid.StringN(1, 20, 64).Filter(fit).Draw(t, "user"): Secret(text(t, "password"))}
		o := PrintOptions{Secrets: true, Bare: rapid.Bool().Draw(t, "bare")}
		d := &decoder{cfg: Default(), origins: &Origins{byKey: map[string]Origin{}}}
		file := printText(t, want, o)
		d.file("emqttd.yaml", file)
		require.NoError(t, d.err(), file)
		require.Equal(t, want, d.cfg)
	})
}

func fit(s string) bool { return checkText(s) == nil && s != mask }

func text(t *rapid.T, label string) string {
	return rapid.StringN(0, 20, 64).Filter(fit).Draw(t, label)
}

// drawValue makes a value of a key. What has a form of its own is chosen from
// samples, the rest is free.
func drawValue(t *rapid.T, key string, f *field, typ reflect.Type) reflect.Value {
	v := reflect.New(typ).Elem()
	limit := func(tag string, fallback int64) int64 {
		l := reflect.New(typ).Elem()
		if tag == "" || setText(l, tag) != nil {
			return fallback
		}
		return l.Int()
	}
	samples := func(texts ...string) {
		require.NoError(t, setText(v, rapid.SampledFrom(texts).Draw(t, key)))
	}
	switch {
	case typ == reflect.TypeFor[Address]():
		samples("", ":1883", "0.0.0.0:1", "[::1]:0", "unix:/tmp/a b")
	case typ == reflect.TypeFor[store.Rule]():
		samples("memory topic a/#", "synced client c* user u", "memory client * topic +/x")
	case typ == reflect.TypeFor[Prefix]():
		samples("10.1.2.3", "10.0.0.0/8", "fd00::/8", "::1")
	case typ == reflect.TypeFor[AccessRule]():
		samples("allow all", "deny 10.0.0.0/8", "allow ::1")
	case typ == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(1, 4e9).Draw(t, key), 0).UTC()))
	case typ.Implements(enumType):
		v.SetString(rapid.SampledFrom(reflect.Zero(typ).Interface().(enum).Values()).Draw(t, key))
	case typ.Kind() == reflect.String:
		v.SetString(text(t, key))
	case typ.Kind() == reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, key))
	case typ.Kind() == reflect.Int, typ.Kind() == reflect.Int64:
		v.SetInt(rapid.Int64Range(limit(f.min, 0), limit(f.max, 1<<50)).Draw(t, key))
	case typ.Kind() == reflect.Float64:
		v.SetFloat(rapid.Float64Range(1, 10).Draw(t, key))
	case typ.Kind() == reflect.Pointer:
		if rapid.Bool().Draw(t, key+" is set") {
			v.Set(reflect.New(typ.Elem()))
			v.Elem().Set(drawValue(t, key, f, typ.Elem()))
		}
	case typ.Kind() == reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "entries of "+key)
		if n > 0 {
			v.Set(reflect.MakeSlice(typ, n, n))
		}
		for i := range n {
			v.Index(i).Set(drawItem(t, key+strconv.Itoa(i), typ.Elem()))
		}
	default:
		require.Fail(t, fmt.Sprintf("no generator for %s, a %s", key, typ))
	}
	return v
}

func drawItem(t *rapid.T, key string, typ reflect.Type) reflect.Value {
	if !isSection(typ) {
		return drawValue(t, key, &field{}, typ)
	}
	v := reflect.New(typ).Elem()
	for _, f := range fieldsOf(typ) {
		v.FieldByIndex(f.index).Set(drawValue(t, join(key, f.name), &f, v.FieldByIndex(f.index).Type()))
	}
	return v
}
