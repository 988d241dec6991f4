// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// maxGroups bounds how deep groups nest: properties in a packet need one level,
// the remaining length another.
const maxGroups = 4

// rawBytes builds the bytes of a raw or text message, see doc.go. Lengths are
// computed from what follows, so that scripts show only what they are about.
func rawBytes(spec string, v vars) ([]byte, error) {
	// Each open group, "len" included, has a buffer; the last is the innermost.
	groups := [][]byte{nil}
	lens := 0
	closeGroup := func() {
		inner := groups[len(groups)-1]
		groups = groups[:len(groups)-1]
		outer := &groups[len(groups)-1]
		*outer = append(appendVarint(*outer, len(inner)), inner...)
	}
	for spec = strings.TrimSpace(spec); spec != ""; spec = strings.TrimSpace(spec) {
		word, rest := rawWord(spec)
		spec = rest
		switch {
		case word == "len", word == "(":
			if len(groups) > maxGroups {
				return nil, fmt.Errorf("groups nest deeper than %d", maxGroups)
			}
			if word == "len" {
				lens++
			}
			groups = append(groups, nil)
		case word == ")":
			if len(groups) <= 1+lens {
				return nil, fmt.Errorf("group closed that is not open")
			}
			closeGroup()
		default:
			b, err := rawItem(word, v)
			if err != nil {
				return nil, err
			}
			g := &groups[len(groups)-1]
			*g = append(*g, b...)
		}
	}
	if len(groups) != 1+lens {
		return nil, fmt.Errorf("group left open")
	}
	for len(groups) > 1 {
		closeGroup()
	}
	return groups[0], nil
}

// rawWord cuts the next word; blanks within quotes belong to it.
func rawWord(spec string) (word, rest string) {
	quoted := false
	for i := 0; i < len(spec); i++ {
		switch {
		case spec[i] == '\\' && quoted:
			i++
		case spec[i] == '"':
			quoted = !quoted
		case spec[i] == ' ' && !quoted:
			return spec[:i], spec[i:]
		}
	}
	return spec, ""
}

// rawItem is hexadecimal digits, text with or without a length, or a fill.
func rawItem(word string, v vars) ([]byte, error) {
	prefix, quoted, isText := strings.Cut(word, `"`)
	if !isText {
		if strings.HasPrefix(word, "fill:") {
			return v.bytes(word)
		}
		word = v.expand(word)
		if n, ok := strings.CutPrefix(word, "u16:"); ok {
			i, err := strconv.ParseUint(n, 10, 16)
			return []byte{byte(i >> 8), byte(i)}, err
		}
		return hex.DecodeString(word)
	}
	text, err := strconv.Unquote(`"` + quoted)
	if err != nil {
		return nil, fmt.Errorf("bad text %s", word)
	}
	b, err := v.bytes(text)
	if err != nil {
		return nil, err
	}
	switch prefix {
	case "":
		return b, nil
	case "s":
		return append([]byte{byte(len(b) >> 8), byte(len(b))}, b...), nil
	case "n":
		return append(appendVarint(nil, len(b)), b...), nil
	}
	return nil, fmt.Errorf("unknown prefix %q of a text", prefix)
}

// appendVarint appends n as a variable byte integer [v3.1.1 2.2.3, v5 1.5.5].
func appendVarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}
