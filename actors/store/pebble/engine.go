// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"

	"emqttd/actors/store"
	"emqttd/protocol/message"
)

// Errors of Open, Write, Sessions and Retained, each wrapped with what it met.
var (
	ErrLocked  = errors.New("another broker uses this data directory")
	ErrNewer   = errors.New("the data directory has a newer format")
	ErrCorrupt = errors.New("corrupt")
	ErrClosed  = errors.New("the store is closed")
)

// Options of an engine; the zero value is ready for use.
type Options struct {
	// Fatal is called once, from any goroutine, when the engine can write no
	// longer; nothing is acknowledged after it. It should end the process:
	// what the database was doing stands still from then on, with its files open
	// and locked.
	Fatal func(error)
	// MinFree is how many bytes of the disk have to be free for Room; 0: any.
	MinFree uint64
	// Observe is told of each synced commit, on the writer's goroutine.
	Observe func(Synced)
	// Kept is told of retained messages that are synced, and so found by Lookup,
	// on the writer's goroutine. The slice is good during the call.
	Kept func([]*message.Message)
	Log  zerolog.Logger
	// CacheBytes and MemtableBytes bound the memory of blocks read and of what is
	// not yet in tables; 0: 32 MiB each.
	CacheBytes, MemtableBytes int
	// FS is the file system, nil for the machine's, and Now the clock in
	// nanoseconds since the Unix epoch; for tests.
	FS  vfs.FS
	Now func() int64
}

// Synced is one synced commit: what it made durable.
type Synced struct {
	Commits, Bytes int
	Took           time.Duration
}

// Engine implements store.Engine.
type Engine struct {
	opts  Options
	dir   string
	db    *pebble.DB
	lock  *pebble.Lock
	boot  uint64
	order uint64 // see store.Engine

	wake    chan struct{} // one token: something for the writer
	stopped chan struct{} // the writer has ended
	dead    chan struct{} // the engine has failed

	last    atomic.Uint64 // of the index, for readers
	opened  time.Time
	spaceAt atomic.Int64 // when room was found out, since opened
	room    atomic.Bool

	mu      sync.Mutex
	queue   []request // for the writer
	working []request // the writer has them; nobody has answered
	failed  error
	opening bool
	closed  bool
	resumed []store.Stored // what Open has read, until it was asked for or something was written

	// All below belongs to the writer, and to Open before there is one.
	index      index
	batch      *pebble.Batch
	commits    int       // in batch
	heldSince  time.Time // when the first lazy commit in batch was held back
	clock      int64     // what now has reached; never goes back, also across starts
	saved      mark      // what keyLast says
	sweep      sweep
	rubbish    []uint64           // shared messages that nobody holds
	key, value []byte             // scratch
	targets    []uint64           // scratch
	kept       []*message.Message // retained, in batch
}

// mark is the value of keyLast.
type mark struct {
	last  uint64
	clock int64
}

var _ store.Engine = (*Engine)(nil)

// request is something for the writer: a group, or an act of its own.
type request struct {
	group []*store.Commit
	act   func()      // runs behind all that was written before, which is durable then
	done  func(error) // exactly once
}

// Write implements store.Engine. A group that nobody waits for is answered as
// soon as it has its place in the order; it is durable with the next one that
// somebody waits for, and at the latest after lazyDelay.
func (e *Engine) Write(group []*store.Commit, done func(error)) {
	e.submit(request{group: group, done: done})
}

func (e *Engine) submit(r request) {
	e.mu.Lock()
	err := e.failed
	if err == nil && e.closed {
		err = ErrClosed
	}
	if err == nil {
		e.queue = append(e.queue, r)
		if r.act == nil {
			e.resumed = nil
		}
	}
	e.mu.Unlock()
	if err != nil {
		r.done(err)
		return
	}
	e.poke()
}

func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// do runs act on the writer's goroutine behind everything that was written
// before.
func (e *Engine) do(act func()) error {
	ended := make(chan error, 1)
	e.submit(request{act: act, done: func(err error) { ended <- err }})
	return <-ended
}

// Boot is the number of this start: 1 for the first, higher for each later one,
// durable before Open returns. Numbers that must never come again begin with it.
func (e *Engine) Boot() uint64 { return e.boot }

// Last implements store.Engine.
func (e *Engine) Last() uint64 { return e.last.Load() }

// Order implements store.Engine.
func (e *Engine) Order() uint64 { return e.order }

// Room reports whether the disk has MinFree bytes left. It costs two loads; what
// it says is about a second old when it is asked often.
func (e *Engine) Room() bool {
	if e.opts.MinFree > 0 && e.stale() {
		e.poke()
	}
	return e.room.Load()
}

const spaceEvery = time.Second

func (e *Engine) stale() bool {
	return time.Since(e.opened)-time.Duration(e.spaceAt.Load()) > spaceEvery
}

// look finds out how much room there is, when that is not known any more. A file
// system that does not say has room.
func (e *Engine) look() {
	if e.opts.MinFree == 0 || !e.stale() {
		return
	}
	e.spaceAt.Store(int64(time.Since(e.opened)))
	usage, err := e.opts.FS.GetDiskUsage(e.dir)
	e.room.Store(err != nil || usage.AvailBytes >= e.opts.MinFree)
}

// Close implements store.Engine. What was written before is answered; after a
// failure nothing is waited for, and only the end of the process frees the
// files.
func (e *Engine) Close() error {
	e.mu.Lock()
	again := e.closed
	e.closed = true
	e.mu.Unlock()
	if again {
		return nil
	}
	e.poke()
	select {
	case <-e.stopped:
	case <-e.dead:
	}
	e.mu.Lock()
	err := e.failed
	e.mu.Unlock()
	if err != nil {
		return err
	}
	e.must(e.batch.Close())
	return errors.Join(e.db.Close(), e.lock.Close())
}
