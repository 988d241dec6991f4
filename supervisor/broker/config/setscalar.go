// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// setScalar sets dst, a fresh zero value, to what v says and checks the bounds
// of f. Its errors never quote a secret.
func setScalar(dst reflect.Value, f *field, v *value) error {
	text := v.text
	if v.raw && dst.Type() != secretType {
		text = unquoted(text)
	}
	isPointer := dst.Kind() == reflect.Pointer
	if v.shape == null || isPointer && v.raw && (text == "null" || text == "") {
		if isPointer { // null is a value of its own: not decided
			return nil
		}
		return errors.New(`no value; write "" for an empty one`)
	}
	if err := checkText(text); err != nil {
		return err
	}
	if isPointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	if err := setText(dst, text); err != nil {
		return err
	}
	return checkBounds(dst, f)
}

// setText parses text as the type of dst says.
func setText(dst reflect.Value, text string) error {
	if dst.Type() == durationType {
		n, err := parseDuration(text)
		dst.SetInt(int64(n))
		return err
	}
	if dst.Type() == secretType {
		if text == mask {
			return errors.New("this is what stands for a secret in printed configurations; write the secret itself")
		}
		dst.SetString(text)
		return nil
	}
	if u, ok := dst.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if _, isTime := u.(*time.Time); isTime && u.UnmarshalText([]byte(text)) != nil {
			return errors.New("expected a time such as 2027-01-31T12:00:00Z")
		}
		return u.UnmarshalText([]byte(text))
	}
	if dst.Type().Implements(enumType) {
		return setEnum(dst, text)
	}
	return setBasic(dst, text)
}

func setBasic(dst reflect.Value, text string) error {
	switch dst.Kind() {
	case reflect.String:
		dst.SetString(text)
	case reflect.Bool:
		switch strings.ToLower(text) {
		case "true", "yes", "on":
			dst.SetBool(true)
		case "false", "no", "off":
			dst.SetBool(false)
		default:
			return fmt.Errorf("expected true or false, not %q", cut(text))
		}
	case reflect.Int:
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
		if err != nil {
			return fmt.Errorf("expected a whole number, not %q", cut(text))
		}
		dst.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n != n {
			return fmt.Errorf("expected a number, not %q", cut(text))
		}
		dst.SetFloat(n)
	default:
		panic("config: no parser for a key of type " + dst.Type().String())
	}
	return nil
}

func setEnum(dst reflect.Value, text string) error {
	values := dst.Interface().(enum).Values()
	if slices.Contains(values, text) {
		dst.SetString(text)
		return nil
	}
	one := "expected " + values[0]
	if len(values) > 1 {
		one = "expected one of " + strings.Join(values, ", ")
	}
	if meant := suggest(text, values); meant != "" {
		return fmt.Errorf("%s, not %q; did you mean %s?", one, cut(text), meant)
	}
	return fmt.Errorf("%s, not %q", one, cut(text))
}

// checkBounds compares a number, the bytes of a string or the length of a list
// or map with the tags min and max.
func checkBounds(v reflect.Value, f *field) error {
	n, unit := measure(v)
	bound := func(text string) float64 {
		if unit != "" { // a length
			limit, _ := strconv.ParseFloat(text, 64)
			return limit
		}
		limit := reflect.New(v.Type()).Elem()
		if err := setText(limit, text); err != nil {
			panic("config: bound " + text + " of " + f.owner + ": " + err.Error())
		}
		size, _ := measure(limit)
		return size
	}
	if f.min != "" && n < bound(f.min) {
		return fmt.Errorf("%s is too little; the least is %s%s", printed(v, n), f.min, unit)
	}
	if f.max != "" && n > bound(f.max) {
		return fmt.Errorf("%s is too much; the most is %s%s", printed(v, n), f.max, unit)
	}
	return nil
}

// measure returns what the bounds of v are about, with its unit if that is a
// length and not the value itself. No bound is near the 2^53 from which a
// float64 no longer tells neighbours apart, except sizes without one.
func measure(v reflect.Value) (n float64, unit string) {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		return float64(v.Int()), ""
	case reflect.Float64:
		return v.Float(), ""
	case reflect.String:
		return float64(v.Len()), " bytes"
	case reflect.Slice, reflect.Map:
		return float64(v.Len()), " entries"
	}
	return 0, ""
}

func printed(v reflect.Value, n float64) string {
	if v.Kind() == reflect.Int || v.Kind() == reflect.Int64 || v.Kind() == reflect.Float64 {
		return yamlText(v, false)
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// maxScalar bounds a single value, in bytes: the longest string of MQTT.
const maxScalar = 65535

// checkText refuses what could not be printed and read back, or would forge
// log lines.
func checkText(s string) error {
	if len(s) > maxScalar {
		return fmt.Errorf("longer than %d bytes", maxScalar)
	}
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFEFF' {
			return fmt.Errorf("the control character %U is not allowed", r)
		}
	}
	return nil
}

// unquoted removes one pair of quotes, as YAML would.
func unquoted(s string) string {
	if n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '"' || s[0] == '\'') {
		if v, err := parse(s); err == nil && v.shape == scalar {
			return v.text
		}
	}
	return s
}

// cut keeps a quoted value in an error message short.
func cut(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "..."
	}
	return s
}
