// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"errors"
	"unsafe"
)

// MaxLength is the longest topic name or filter the wire can carry, in bytes
// [v3.1.1 MQTT-4.7.3-3, v5 MQTT-4.7.3-3].
const MaxLength = 65535

// DefaultLevels is the bound on levels when a Limits does not name one. The
// standards have none; without one, 65 535 slashes are 65 536 levels of work.
const DefaultLevels = 128

// What can be wrong with a name or filter. Returned by ValidName, ValidFilter
// and ParseShare; the texts are for the log.
var (
	ErrEmpty    = errors.New("topic: empty")
	ErrTooLong  = errors.New("topic: too long")
	ErrLevels   = errors.New("topic: too many levels")
	ErrNull     = errors.New("topic: contains U+0000")
	ErrWildcard = errors.New("topic: wildcard in a topic name")
	ErrPlus     = errors.New("topic: + shares its level with other characters")
	ErrHash     = errors.New("topic: # is not alone in the last level")
	ErrShare    = errors.New("topic: malformed shared subscription")
)

// Limits bounds a name or filter. A field of zero or less means its default.
type Limits struct {
	Length int // bytes; at most and by default MaxLength
	Levels int // by default DefaultLevels
}

// withDefaults returns l with every bound in force.
func (l Limits) withDefaults() Limits {
	if l.Length <= 0 || l.Length > MaxLength {
		l.Length = MaxLength
	}
	if l.Levels <= 0 {
		l.Levels = DefaultLevels
	}
	return l
}

// Text is a topic as it arrives: part of a read buffer, or a string kept.
type Text interface{ ~string | ~[]byte }

// view reads t as a string without copying it. The result shares t's bytes and
// must not outlive the call that borrowed them. A slice header begins with the
// two words of a string header, which is all that is read here.
func view[T Text](t T) string { return *(*string)(unsafe.Pointer(&t)) }

// ValidName reports why name cannot be published to, or nil. That the bytes are
// well-formed UTF-8 is the parser's concern, for topics as for every string.
func ValidName[T Text](name T, lim Limits) error {
	s, lim := view(name), lim.withDefaults()
	switch {
	case len(s) == 0: // [v3.1.1 MQTT-4.7.3-1, v5 MQTT-4.7.3-1]
		return ErrEmpty
	case len(s) > lim.Length: // [v3.1.1 MQTT-4.7.3-3, v5 MQTT-4.7.3-3]
		return ErrTooLong
	}
	levels := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '/':
			levels++
		case '+', '#': // [v3.1.1 MQTT-4.7.1-1, v5 MQTT-4.7.0-1]
			return ErrWildcard
		case 0: // [v3.1.1 MQTT-4.7.3-2, v5 MQTT-4.7.3-2]
			return ErrNull
		}
	}
	if levels > lim.Levels {
		return ErrLevels
	}
	return nil
}

// ValidFilter reports why filter cannot be subscribed to, or nil. A shared
// subscription goes through ParseShare first; what remains comes here.
func ValidFilter[T Text](filter T, lim Limits) error {
	s, lim := view(filter), lim.withDefaults()
	switch {
	case len(s) == 0: // [v3.1.1 MQTT-4.7.3-1, v5 MQTT-4.7.3-1]
		return ErrEmpty
	case len(s) > lim.Length: // [v3.1.1 MQTT-4.7.3-3, v5 MQTT-4.7.3-3]
		return ErrTooLong
	}
	levels := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '/':
			levels++
		case '+': // [v3.1.1 MQTT-4.7.1-3, v5 MQTT-4.7.1-2]
			if !opensLevel(s, i) || !closesLevel(s, i) {
				return ErrPlus
			}
		case '#': // [v3.1.1 MQTT-4.7.1-2, v5 MQTT-4.7.1-1]
			if !opensLevel(s, i) || i != len(s)-1 {
				return ErrHash
			}
		case 0: // [v3.1.1 MQTT-4.7.3-2, v5 MQTT-4.7.3-2]
			return ErrNull
		}
	}
	if levels > lim.Levels {
		return ErrLevels
	}
	return nil
}

func opensLevel(s string, i int) bool  { return i == 0 || s[i-1] == '/' }
func closesLevel(s string, i int) bool { return i == len(s)-1 || s[i+1] == '/' }

// HasWildcard reports whether a valid filter can match more than one name.
func HasWildcard[T Text](filter T) bool {
	s := view(filter)
	for i := 0; i < len(s); i++ {
		if s[i] == '+' || s[i] == '#' {
			return true
		}
	}
	return false
}
