// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"weak"

	"github.com/cockroachdb/pebble/v2"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// view is what was written up to a moment.
type view struct {
	snap *pebble.Snapshot
	now  int64
}

func (e *Engine) view() (v view, err error) {
	err = e.do(func() { v = view{e.db.NewSnapshot(), e.now()} })
	return v, err
}

// Sessions implements store.Engine. Messages that have expired are left out,
// unless they are in flight [v5 MQTT-3.3.2-5]. Memory is that of one session at
// a time and readAhead; sessions share the messages that they share here, as
// long as somebody keeps them. The engine must not be closed meanwhile.
func (e *Engine) Sessions(yield func(store.Stored) bool) error { return e.read(false, yield) }

func (e *Engine) read(resume bool, yield func(store.Stored) bool) error {
	v, err := e.view()
	if err != nil {
		return err
	}
	err = sessions(v.snap, reading{now: v.now, resume: resume}, yield)
	if err = errors.Join(err, v.snap.Close()); err != nil {
		return e.explain(err)
	}
	return nil
}

// Retained implements store.Engine; one message is in memory at a time.
func (e *Engine) Retained(yield func(*message.Message) bool) error {
	v, err := e.view()
	if err != nil {
		return err
	}
	err = v.retained(yield)
	if err = errors.Join(err, v.snap.Close()); err != nil {
		return e.explain(err)
	}
	return nil
}

// Lookup is the retained messages of topics, nil for those that have none or
// have expired. It may be called from any goroutine, until Close.
func (e *Engine) Lookup(topics []string) ([]*message.Message, error) {
	out, now := make([]*message.Message, len(topics)), e.opts.Now()
	var key []byte
	for i, name := range topics {
		key = appendRetainedKey(key[:0], name)
		value, closer, err := e.db.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, e.explain(err)
		}
		d := decoder{b: value}
		m := d.message(name)
		if d.bad {
			err = badKey(key)
		}
		if err = errors.Join(err, closer.Close()); err != nil {
			return nil, e.explain(err)
		}
		if !m.Expired(now) {
			out[i] = m
		}
	}
	return out, nil
}

func (v view) retained(yield func(*message.Message) bool) (err error) {
	it, err := v.snap.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceRetained}, UpperBound: []byte{spaceRetained + 1}})
	if err != nil {
		return err
	}
	var n names
	for ok := it.First(); ok; ok = it.Next() {
		d := decoder{b: it.Value(), names: &n}
		m := d.message(string(it.Key()[1:]))
		if d.bad {
			err = badKey(it.Key())
			break
		}
		if !m.Expired(v.now) && !yield(m) {
			break
		}
	}
	return errors.Join(err, it.Close())
}

// assembler makes sessions of their keys.
type assembler struct {
	reading
	names   names
	shared  *pebble.Iterator
	ahead   map[uint64]*message.Message              // shared messages, from the first on; nil: not read yet
	seen    map[uint64]weak.Pointer[message.Message] // those behind them that were read
	key     []byte                                   // scratch
	stored  store.Stored
	begun   bool
	bodies  bool  // of the session that is read: its queue comes with the messages
	sizes   sizes // to resume
	single  int   // shared messages that were looked up
	flights []flown
	held    map[uint64]int // position -> its flight, which has a hold on it
}

// flown is a message in flight and its place in the order.
type flown struct {
	store.Inflight
	order uint64
}

// reading is how sessions are read.
type reading struct {
	now    int64
	resume bool                          // as Resume gives them
	each   func(key, value []byte) error // is shown every key; nil: nobody is
}

func sessions(from pebble.Reader, how reading, yield func(store.Stored) bool) error {
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceSession}, UpperBound: []byte{spaceSession + 1}})
	if err != nil {
		return err
	}
	shared, err := from.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceMessage}, UpperBound: []byte{spaceMessage + 1}})
	if err != nil {
		return errors.Join(err, it.Close())
	}
	a := &assembler{reading: how, shared: shared, seen: map[uint64]weak.Pointer[message.Message]{}, held: map[uint64]int{}}
	if how.resume {
		err = a.sizes.read(shared)
	}
	if err == nil {
		err = a.all(it, yield)
	}
	return errors.Join(err, it.Close(), shared.Close())
}

func (a *assembler) all(it *pebble.Iterator, yield func(store.Stored) bool) error {
	for ok := it.First(); ok; ok = it.Next() {
		number, k, rest, ok := splitSessionKey(it.Key())
		if !ok || k != kindRecord && number != a.stored.Session {
			return badKey(it.Key())
		}
		if k == kindRecord {
			if more, err := a.finish(yield); err != nil || !more {
				return err
			}
			a.stored, a.begun, a.bodies = store.Stored{Session: number}, true, !a.resume
		}
		if a.each != nil {
			if err := a.each(it.Key(), it.Value()); err != nil {
				return err
			}
		}
		d := decoder{b: it.Value(), names: &a.names}
		if err := a.part(k, rest, &d); err != nil {
			return err
		}
		if d.bad {
			return badKey(it.Key())
		}
	}
	if err := it.Error(); err != nil {
		return err
	}
	_, err := a.finish(yield)
	return err
}

func (a *assembler) part(k kind, rest []byte, d *decoder) error {
	s := &a.stored
	switch k {
	case kindRecord:
		s.Record = d.record()
	case kindFilter:
		s.Filters = append(s.Filters, d.filter(string(rest)))
		a.bodies = a.bodies || s.Shares()
	case kindAwait:
		s.Await = append(s.Await, packet.ID(binary.BigEndian.Uint16(rest)))
	case kindFlight:
		a.flight(packet.ID(binary.BigEndian.Uint16(rest)), d)
	case kindHold:
		return a.hold(binary.BigEndian.Uint64(rest), d)
	case kindDead:
		s.Dead = append(s.Dead, d.dead(binary.BigEndian.Uint64(rest)))
	}
	return nil
}

func (a *assembler) flight(id packet.ID, d *decoder) {
	f, own := d.flight()
	x := flown{store.Inflight{ID: id, Phase: f.phase, QoS: f.qos, Retain: f.retain}, f.order}
	if own {
		x.Message = d.message("")
	} else {
		a.held[f.seq] = len(a.flights)
	}
	a.flights = append(a.flights, x)
}

func (a *assembler) hold(seq uint64, d *decoder) (err error) {
	i, flying := a.held[seq]
	shared, found, expiry := d.hold()
	if d.bad || !flying && expiry != 0 && a.now >= expiry {
		return nil
	}
	if !flying && !a.bodies {
		return a.place(seq, shared, found, d)
	}
	var m *message.Message
	if shared {
		m, err = a.body(seq)
	} else {
		m = d.message("")
	}
	if m == nil {
		return err
	}
	switch {
	case flying:
		a.flights[i].Message = m
	case !m.Expired(a.now):
		a.stored.Queue = append(a.stored.Queue, m)
		if found {
			a.stored.Found = append(a.stored.Found, seq)
		}
	}
	return nil
}

// place notes a message that waits, without it.
func (a *assembler) place(seq uint64, shared, found bool, d *decoder) error {
	w := store.Waiting{Seq: seq, Found: found}
	ok, deadline := true, int64(0)
	if shared {
		w.Size, ok = a.sizes.of(seq)
	} else {
		w.Size, deadline = d.weigh()
	}
	if !ok {
		return badKey(appendMessageKey(nil, seq))
	}
	if deadline == 0 || a.now < deadline {
		a.stored.Waiting = append(a.stored.Waiting, w)
	}
	return nil
}

// readAhead bounds the bytes of shared messages that are read in one run before
// the sessions ask for them. Sessions ask in no order of the disk: looking up
// the messages of two million holds took 16 s, after the run it takes 3. Whoever
// takes the sessions keeps these messages anyway, since each has a holder.
const readAhead = 512 << 20

// maxSingle is how many are looked up before that, of a start which needs few: those
// in flight.
const maxSingle = 4096

func (a *assembler) fetch() error {
	a.ahead = map[uint64]*message.Message{}
	size := 0
	for ok := a.shared.First(); ok && size < readAhead; ok = a.shared.Next() {
		d := decoder{b: a.shared.Value(), names: &a.names}
		m := d.message("")
		if d.bad {
			return errors.Join(badKey(a.shared.Key()), a.shared.Error())
		}
		a.ahead[m.ID.Seq] = m
		size += m.Size()
	}
	return a.shared.Error()
}

// body is the shared message at a position.
func (a *assembler) body(seq uint64) (*message.Message, error) {
	if a.ahead == nil && (!a.resume || a.single > maxSingle) {
		if err := a.fetch(); err != nil {
			return nil, err
		}
	}
	if m := a.ahead[seq]; m != nil {
		return m, nil
	}
	if p, ok := a.seen[seq]; ok {
		if m := p.Value(); m != nil {
			return m, nil
		}
	}
	a.single++
	a.key = appendMessageKey(a.key[:0], seq)
	if !a.shared.SeekGE(a.key) || !slices.Equal(a.shared.Key(), a.key) {
		return nil, errors.Join(badKey(a.key), a.shared.Error())
	}
	d := decoder{b: a.shared.Value(), names: &a.names}
	m := d.message("")
	if d.bad {
		return nil, badKey(a.key)
	}
	a.seen[seq] = weak.Make(m)
	return m, nil
}

// finish yields the session that was read, if there is one.
func (a *assembler) finish(yield func(store.Stored) bool) (more bool, err error) {
	if !a.begun {
		return true, nil
	}
	slices.SortFunc(a.flights, func(x, y flown) int { return cmp.Compare(x.order, y.order) })
	for _, f := range a.flights {
		if f.Message == nil {
			return false, badKey(appendIDKey(nil, a.stored.Session, kindFlight, f.ID))
		}
		a.stored.Inflight = append(a.stored.Inflight, f.Inflight)
	}
	clear(a.flights)
	clear(a.held)
	a.flights, a.begun = a.flights[:0], false
	return yield(a.stored), nil
}
