// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"slices"
	"strconv"
	"strings"
)

// matchPacket reports whether what came is the packet ev with its fields, and
// if not, which field differs. Captured variables are written to v on a match only.
func matchPacket(r received, ev event, v vars) (bool, string) {
	if r.kind() != ev.what {
		return false, r.String()
	}
	captured := vars{}
	for _, f := range ev.fields {
		got, present := r.get(f.name)
		if strings.HasPrefix(f.value, "?") {
			captured[f.value[1:]] = got
			if !present {
				return false, r.String() + ", without " + f.name
			}
			continue
		}
		if !matchField(f, got, present, v) {
			return false, r.String() + ", which is not " + f.name + "=" + printable(v.expand(f.value))
		}
	}
	for name, value := range captured {
		v[name] = value
	}
	return true, ""
}

func matchField(f field, got string, present bool, v vars) bool {
	want := v.expand(f.value)
	if !present {
		return strings.HasPrefix(want, "!") || slices.Contains(strings.Split(want, "|"), "-")
	}
	if f.name == "hex" {
		return matchHex(want, got)
	}
	if f.name == "codes" || f.name == "subscription-id" {
		return matchList(want, got)
	}
	if strings.HasPrefix(f.value, "hex:") || strings.HasPrefix(f.value, "fill:") {
		b, err := v.bytes(f.value)
		return err == nil && string(b) == got
	}
	return matchValue(want, got)
}

// matchHex compares hexadecimal digits; a dot is any digit, a trailing * any
// further ones.
func matchHex(want, got string) bool {
	want, open := strings.CutSuffix(want, "*")
	if len(got) < len(want) || !open && len(got) > len(want) {
		return false
	}
	for i := range len(want) {
		if want[i] != '.' && want[i] != got[i] {
			return false
		}
	}
	return true
}

// matchList compares element by element.
func matchList(want, got string) bool {
	wants, gots := strings.Split(want, ","), strings.Split(got, ",")
	if len(wants) != len(gots) {
		return false
	}
	for i := range wants {
		if !matchValue(wants[i], gots[i]) {
			return false
		}
	}
	return true
}

// matchValue compares one value with one pattern.
func matchValue(want, got string) bool {
	if rest, ok := strings.CutPrefix(want, "!"); ok {
		return !matchValue(rest, got)
	}
	for choice := range strings.SplitSeq(want, "|") {
		if choice == got || matchNumber(choice, got) {
			return true
		}
	}
	return false
}

// matchNumber compares numbers: equal in any notation, <=n, >=n or n..m.
func matchNumber(want, got string) bool {
	g, err := strconv.ParseUint(got, 10, 64)
	if err != nil {
		return false
	}
	low, high, isRange := strings.Cut(want, "..")
	switch {
	case strings.HasPrefix(want, "<="):
		low, high = "0", want[2:]
	case strings.HasPrefix(want, ">="):
		low, high = want[2:], strconv.FormatUint(1<<63, 10)
	case !isRange:
		high = low
	}
	l, err1 := strconv.ParseUint(low, 0, 64)
	h, err2 := strconv.ParseUint(high, 0, 64)
	return err1 == nil && err2 == nil && l <= g && g <= h
}
