// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

var _ store.Fetcher = (*Engine)(nil)

// Resume implements store.Fetcher. Of a message that waits it reads what Waiting
// says and leaves the rest where it is. Behind Open it has read that already.
func (e *Engine) Resume(yield func(store.Stored) bool) error {
	e.mu.Lock()
	read := e.resumed
	e.resumed = nil
	e.mu.Unlock()
	if read == nil {
		return e.read(true, yield)
	}
	for i := range read {
		s := read[i]
		read[i] = store.Stored{}
		if !yield(s) {
			break
		}
	}
	return nil
}

// Fetch implements store.Fetcher: what is in the writer's batch is not there yet.
func (e *Engine) Fetch(session uint64, positions []uint64) ([]*message.Message, error) {
	f := fetcher{db: e.db}
	out, err := f.all(session, positions)
	if err = errors.Join(err, f.close()); err != nil {
		return nil, e.explain(err)
	}
	return out, nil
}

// fetcher reads messages of a session in the order of their keys, so that a run of
// them is one walk.
type fetcher struct {
	db            *pebble.DB
	holds, shared *pebble.Iterator // nil: not needed yet
	key           []byte
	names         names
}

func (f *fetcher) all(session uint64, positions []uint64) ([]*message.Message, error) {
	out := make([]*message.Message, len(positions))
	order := make([]int, len(positions))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(positions[a], positions[b]) })
	for _, i := range order {
		f.key = appendHoldKey(f.key[:0], session, positions[i])
		value, err := f.seek(&f.holds, spaceSession)
		if value == nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		if out[i], err = f.message(positions[i], value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// message is the one of a hold.
func (f *fetcher) message(seq uint64, value []byte) (*message.Message, error) {
	d := decoder{b: value, names: &f.names}
	shared, _, _ := d.hold()
	if shared && !d.bad {
		f.key = appendMessageKey(f.key[:0], seq)
		body, err := f.seek(&f.shared, spaceMessage)
		if err != nil {
			return nil, err
		}
		d.b = body
	}
	m := d.message("")
	if d.bad {
		return nil, badKey(f.key)
	}
	return m, nil
}

// seek is the value of f.key, nil when it is not there. The iterator is in one of the
// spaces; to a key close behind the last it walks.
func (f *fetcher) seek(it **pebble.Iterator, space byte) (value []byte, err error) {
	if *it == nil {
		if *it, err = f.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}}); err != nil {
			return nil, err
		}
	}
	i := *it
	if i.Valid() && i.Next() && bytes.Equal(i.Key(), f.key) || i.SeekGE(f.key) && bytes.Equal(i.Key(), f.key) {
		return i.Value(), nil
	}
	return nil, i.Error()
}

func (f *fetcher) close() (err error) {
	for _, it := range []*pebble.Iterator{f.holds, f.shared} {
		if it != nil {
			err = errors.Join(err, it.Close())
		}
	}
	return err
}

// sizes is what shared messages are charged for, by position, ascending.
type sizes struct {
	seqs  []uint64
	bytes []uint32
}

// read walks the shared messages.
func (s *sizes) read(it *pebble.Iterator) error {
	for ok := it.First(); ok; ok = it.Next() {
		d := decoder{b: it.Value()}
		size, _ := d.weigh()
		if d.bad {
			return badKey(it.Key())
		}
		s.seqs = append(s.seqs, binary.BigEndian.Uint64(it.Key()[1:]))
		s.bytes = append(s.bytes, size)
	}
	return it.Error()
}

// of is the size of the message at a position.
func (s *sizes) of(seq uint64) (uint32, bool) {
	i, ok := slices.BinarySearch(s.seqs, seq)
	if !ok {
		return 0, false
	}
	return s.bytes[i], true
}
