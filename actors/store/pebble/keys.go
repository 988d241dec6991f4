// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"

	"emqttd/protocol/packet"
)

// First bytes of keys.
const (
	spaceMeta     = '!'
	spaceMessage  = 'm'
	spaceSession  = 's'
	spaceRetained = 't'
)

// kind is the part of a session's range. The record comes first, so that a scan
// knows where a session begins; what is in flight before the holds that it names.
type kind byte

const (
	kindRecord kind = iota + 1
	kindFilter
	kindFlight
	kindAwait
	kindHold
	kindDead
)

const sessionKey = 1 + 8 + 1 // bytes before what the kind adds

var (
	keyBoot  = []byte{spaceMeta, 'b'}
	keyLast  = []byte{spaceMeta, 'l'}
	keyOrder = []byte{spaceMeta, 'o'}
)

// The functions below append a key to dst, which is a scratch buffer mostly.

func appendMessageKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, spaceMessage), seq)
}

func appendSessionKey(dst []byte, number uint64, k kind) []byte {
	return append(binary.BigEndian.AppendUint64(append(dst, spaceSession), number), byte(k))
}

func appendFilterKey(dst []byte, number uint64, text string) []byte {
	return append(appendSessionKey(dst, number, kindFilter), text...)
}

func appendIDKey(dst []byte, number uint64, k kind, id packet.ID) []byte {
	return binary.BigEndian.AppendUint16(appendSessionKey(dst, number, k), uint16(id))
}

func appendHoldKey(dst []byte, number, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSessionKey(dst, number, kindHold), seq)
}

func appendDeadKey(dst []byte, number, serial uint64) []byte {
	return binary.BigEndian.AppendUint64(appendSessionKey(dst, number, kindDead), serial)
}

func appendRetainedKey(dst []byte, topic string) []byte {
	return append(append(dst, spaceRetained), topic...)
}

// appendSessionEnd appends the first key behind everything the session has.
func appendSessionEnd(dst []byte, number uint64) []byte {
	return appendSessionKey(dst, number, 0xFF)
}

// splitSessionKey takes a key of spaceSession apart; ok is false when it is none.
func splitSessionKey(key []byte) (number uint64, k kind, rest []byte, ok bool) {
	if len(key) < sessionKey || key[0] != spaceSession {
		return 0, 0, nil, false
	}
	number, k, rest = binary.BigEndian.Uint64(key[1:]), kind(key[9]), key[sessionKey:]
	switch k {
	case kindRecord:
		ok = len(rest) == 0
	case kindFilter:
		ok = true
	case kindFlight, kindAwait:
		ok = len(rest) == 2
	case kindHold, kindDead:
		ok = len(rest) == 8
	}
	return number, k, rest, ok
}
