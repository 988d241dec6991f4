// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"emqttd/actors/store"
)

// salvager exports what can be read. A block that cannot costs the keys in it,
// and what refers to them: a session without its record, a place in a queue
// without its message.
type salvager struct {
	*exporter
	messages map[uint64]bool // shared messages that were read
	number   uint64          // of the session at hand
	good     bool            // its record was read
	ordered  bool            // the seed of the order of topics was
	flights  []flightPair    // of it, which refer to holds that come later
}

type flightPair struct {
	key, value []byte
	seq        uint64
}

// all reads key by key. Behind a key that cannot be read it goes on at the next
// one that can, which it looks for in ever longer steps.
func (s *salvager) all(db pebble.Reader) error {
	var from []byte
	for step := uint64(1); from != nil || step == 1; {
		last, err := s.run(db, from)
		if err != nil && !pebble.IsCorruptionError(err) {
			return err
		}
		if err == nil {
			break
		}
		if last != nil { // it has come further
			from, step = last, 1
			s.Damaged++
		} else if step == 1 {
			s.Damaged++
		}
		from = skip(from, step)
		step *= 2
	}
	s.settle()
	return nil
}

// run exports from a key on until it cannot; last is the last key it could read.
func (s *salvager) run(db pebble.Reader, from []byte) (last []byte, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, bad := it.ValueAndErr()
		if bad != nil {
			err = bad
			break
		}
		last = append(last[:0], it.Key()...)
		if err = s.key(last, value); err != nil {
			break
		}
	}
	return last, errors.Join(err, it.Close())
}

// skip is a key behind from, further for a larger step; nil: there is none.
// Keys of nine bytes and their beginnings sort as numbers.
func skip(from []byte, step uint64) []byte {
	if len(from) == 0 {
		return []byte{spaceMeta + 1}
	}
	var head [9]byte
	copy(head[:], from)
	n := binary.BigEndian.Uint64(head[1:])
	if step == 1 && len(from) > len(head) {
		return append(append([]byte(nil), from...), 0xFF) // the same session still
	}
	if n > math.MaxUint64-step {
		if head[0]++; head[0] == 0 {
			return nil
		}
		return []byte{head[0]}
	}
	return binary.BigEndian.AppendUint64([]byte{head[0]}, n+step)
}

func (s *salvager) key(key, value []byte) error {
	d := decoder{b: value}
	switch key[0] {
	case spaceMeta:
		s.ordered = s.ordered || bytes.Equal(key, keyOrder)
	case spaceMessage:
		if len(key) != 9 || d.message("") == nil {
			s.Orphans++
			return nil
		}
		s.messages[binary.BigEndian.Uint64(key[1:])] = true
	case spaceRetained:
		if d.message(string(key[1:])) == nil {
			s.Orphans++
			return nil
		}
	case spaceSession:
		return s.session(key, value, &d)
	}
	return s.pair(key, value)
}

func (s *salvager) session(key, value []byte, d *decoder) error {
	number, k, rest, ok := splitSessionKey(key)
	if ok && k == kindRecord {
		s.settle()
		d.record()
		s.number, s.good = number, !d.bad
	}
	if !ok || !s.good || number != s.number {
		s.Orphans++
		return nil
	}
	switch k {
	case kindFilter:
		if f := d.filter(string(rest)); f.Owed != nil && !s.ordered { // the place says nothing: rather all of it again
			f.Owed = &store.Owed{Start: f.Owed.Start}
			value = appendFilter(nil, &f)
		}
	case kindDead:
		d.dead(binary.BigEndian.Uint64(rest))
	case kindFlight:
		f, own := d.flight()
		if own {
			d.message("")
		} else if !d.bad {
			s.flights = append(s.flights, flightPair{append([]byte(nil), key...), append([]byte(nil), value...), f.seq})
			return nil
		}
	case kindHold:
		return s.hold(key, value, binary.BigEndian.Uint64(rest), d)
	}
	if d.bad {
		s.Orphans++
		return nil
	}
	return s.pair(key, value)
}

// hold exports a place in a queue whose message is there, behind what is in
// flight by it: keys of one session may come in any order in an export.
func (s *salvager) hold(key, value []byte, seq uint64, d *decoder) error {
	shared, _, _ := d.hold()
	if d.bad || shared && !s.messages[seq] || !shared && d.message("") == nil {
		s.Orphans++
		return nil
	}
	for i, f := range s.flights {
		if f.seq == seq {
			if err := s.pair(f.key, f.value); err != nil {
				return err
			}
			s.flights = append(s.flights[:i], s.flights[i+1:]...)
			break
		}
	}
	return s.pair(key, value)
}

// settle ends a session: what is in flight without a message is left out.
func (s *salvager) settle() {
	s.Orphans += len(s.flights)
	s.flights = nil
}
