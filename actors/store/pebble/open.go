// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"time"

	crdb "github.com/cockroachdb/errors"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"emqttd/actors/store"
	"emqttd/protocol/packet"
)

const defaultMemory = 32 << 20

// Open opens the store in dir, which is made when it is missing, and begins a
// new start: sessions that have expired are erased, and Boot counts. It returns
// ErrLocked, ErrNewer or ErrCorrupt wrapped in what it met.
func Open(dir string, opts Options) (*Engine, error) {
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.Now == nil {
		opts.Now = func() int64 { return time.Now().UnixNano() }
	}
	if opts.CacheBytes == 0 {
		opts.CacheBytes = defaultMemory
	}
	if opts.MemtableBytes == 0 {
		opts.MemtableBytes = defaultMemory
	}
	if err := prepare(opts.FS, dir); err != nil {
		return nil, err
	}
	lock, err := pebble.LockDirectory(dir, opts.FS)
	if err != nil {
		return nil, lockError(dir, err)
	}
	e := &Engine{opts: opts, dir: dir, lock: lock, opening: true, opened: time.Now(),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), dead: make(chan struct{}),
		index: index{sessions: map[uint64]*session{}, shared: map[uint64]uint32{}}}
	if err := e.open(); err != nil {
		if e.db != nil {
			err = errors.Join(err, e.db.Close())
		}
		return nil, errors.Join(err, lock.Close())
	}
	e.start()
	return e, nil
}

// lockError tells a directory in use from one that cannot be written.
func lockError(dir string, err error) error {
	if path := new(fs.PathError); errors.As(err, &path) {
		return fmt.Errorf("store: lock %s: %w", dir, err)
	}
	return fmt.Errorf("store: %s: %w (%w)", dir, ErrLocked, err)
}

func (e *Engine) open() error {
	fresh, older, err := checkFormat(e.opts.FS, e.dir)
	if err != nil {
		return err
	}
	if fresh {
		if err := writeFormat(e.opts.FS, e.dir, incomplete); err != nil {
			return err
		}
	}
	if err := e.openDB(fresh); err != nil {
		return err
	}
	e.batch = e.db.NewBatch()
	if err := e.load(); err != nil {
		return e.explain(err)
	}
	if older { // before anything is written that an older broker would misread
		if err := writeFormat(e.opts.FS, e.dir, ""); err != nil {
			return err
		}
	}
	if err := e.begin(); err != nil {
		return err
	}
	if fresh {
		if err := writeFormat(e.opts.FS, e.dir, ""); err != nil {
			return err
		}
	}
	e.room.Store(true)
	e.spaceAt.Store(int64(-2 * spaceEvery))
	e.look()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opening = false
	return e.failed
}

func (e *Engine) openDB(fresh bool) error {
	o := &pebble.Options{
		FS: e.opts.FS, Lock: e.lock, Logger: logger{e}, EventListener: e.listener(),
		ErrorIfNotExists: !fresh, // else a lost manifest would be a new beginning
		// Of the formats this one marks what of a log was synced, so that damage
		// there is told from an end that was never written. Fixed, so that a newer
		// library does not make data that an older broker cannot read.
		FormatMajorVersion: pebble.FormatValueSeparation,
		CacheSize:          int64(e.opts.CacheBytes),
		MemTableSize:       uint64(e.opts.MemtableBytes),
		BytesPerSync:       1 << 20,
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 16 << 10 // read in runs, not singly
	}
	db, err := pebble.Open(e.dir, o)
	if err != nil {
		return e.explainOpen(err)
	}
	e.db = db
	return nil
}

// explainOpen names the file that an error of Open is about; Pebble tells some in
// the details of the error only.
func (e *Engine) explainOpen(err error) error {
	if details := crdb.FlattenDetails(err); details != "" {
		err = fmt.Errorf("%w (%s)", err, details)
	}
	if errors.Is(err, pebble.ErrDBDoesNotExist) {
		return corrupt(e.dir, err)
	}
	return e.explain(err)
}

// load fills the index, and notes what Resume gives: both are in the same keys, whose
// reading is most of what a start takes.
func (e *Engine) load() error {
	if err := e.loadMark(); err != nil {
		return err
	}
	e.sweep = sweep{due: 0, began: e.now(), orphan: 1, limit: e.index.last + 1}
	l := loader{Engine: e}
	return sessions(e.db, reading{now: e.now(), resume: true, each: l.key}, func(s store.Stored) bool {
		if e.index.sessions[s.Session] != nil { // else it is over
			e.resumed = append(e.resumed, s)
		}
		return true
	})
}

func (e *Engine) loadMark() error {
	b, err := e.get(keyLast, 16)
	if err == nil && b != nil {
		e.saved = mark{binary.BigEndian.Uint64(b), int64(binary.BigEndian.Uint64(b[8:]))}
	}
	e.index.last, e.clock = e.saved.last, e.saved.clock
	e.last.Store(e.index.last)
	return err
}

// get is the value of a key that has n bytes, nil when it is not there.
func (e *Engine) get(key []byte, n int) ([]byte, error) {
	b, closer, err := e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := clone(b)
	if len(out) != n {
		err = badKey(key)
	}
	return out, errors.Join(err, closer.Close())
}

// badKey says that a key or its value cannot be read, though its block could.
func badKey(key []byte) error { return fmt.Errorf("key %q is %w", key, ErrCorrupt) }

// loader reads the keys of sessions into the index.
type loader struct {
	*Engine
	number uint64
	s      *session             // nil: the session is over
	held   map[uint64]packet.ID // positions that something in flight has a hold on
}

func (l *loader) key(key, value []byte) error {
	number, k, rest, ok := splitSessionKey(key)
	if !ok || k != kindRecord && number != l.number {
		return badKey(key)
	}
	d := decoder{b: value}
	switch k {
	case kindRecord:
		l.record(number, &d)
	case kindFlight:
		l.flight(packet.ID(binary.BigEndian.Uint16(rest)), &d)
	case kindHold:
		l.hold(binary.BigEndian.Uint64(rest), &d)
	}
	if d.bad {
		return badKey(key)
	}
	return nil
}

func (l *loader) record(number uint64, d *decoder) {
	l.number, l.s, l.held = number, new(session), nil
	r := d.record()
	l.index.sessions[number] = l.s
	if !d.bad && over(&r, l.now()) {
		// What it holds is not counted: nobody else's messages are orphans then.
		l.endSession(number)
		l.s = nil
	}
}

func (l *loader) flight(id packet.ID, d *decoder) {
	f, own := d.flight()
	if l.s == nil {
		return
	}
	if l.s.flights == nil {
		l.s.flights = map[packet.ID]flight{}
	}
	if !own {
		f.hold = newHold(f.seq, false) // its key comes later and says more
		if l.held == nil {
			l.held = map[uint64]packet.ID{}
		}
		l.held[f.seq] = id
	}
	l.s.flights[id] = f
	l.s.order = max(l.s.order, f.order)
}

func (l *loader) hold(seq uint64, d *decoder) {
	shared, _, _ := d.hold()
	d.want(seq > 0 && seq <= math.MaxInt64)
	if l.s == nil || d.bad {
		return
	}
	if shared {
		l.index.shared[seq]++
	}
	h := newHold(seq, shared)
	id, flying := l.held[seq]
	if !flying {
		l.s.queue.add(h)
		return
	}
	f := l.s.flights[id]
	f.hold = h
	l.s.flights[id] = f
}

// begin counts this start, durably, and makes the data an order, once.
func (e *Engine) begin() error {
	b, err := e.get(keyBoot, 8)
	if err != nil {
		return e.explain(err)
	}
	if b != nil {
		e.boot = binary.BigEndian.Uint64(b)
	}
	e.boot++
	e.set(append(e.key[:0], keyBoot...), binary.BigEndian.AppendUint64(e.value[:0], e.boot))
	if err := e.ordered(); err != nil {
		return e.explain(err)
	}
	if err := e.db.Apply(e.batch, pebble.Sync); err != nil {
		return e.explain(err)
	}
	e.must(e.batch.Close())
	e.batch = e.db.NewBatch()
	return nil
}

// ordered finds the seed of the order of topics, or makes one.
func (e *Engine) ordered() error {
	b, err := e.get(keyOrder, 8)
	if b != nil {
		e.order = binary.BigEndian.Uint64(b)
		return err
	}
	e.order = rand.Uint64()
	e.set(append(e.key[:0], keyOrder...), binary.BigEndian.AppendUint64(e.value[:0], e.order))
	return err
}
