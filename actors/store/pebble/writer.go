// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"emqttd/actors/store"
)

// lazyDelay is how long a commit that nobody waits for may be held back.
const lazyDelay = time.Second

// maxBatch bounds the bytes of a batch; one commit may exceed it. Groups are cut
// between commits.
const maxBatch = 8 << 20

// start starts the writer, the only goroutine of the package. It is here and not
// an actor since it waits for the disk, which nothing on a loop may do. A panic
// in it ends the process, and that is meant: what the disk holds is right, what
// memory holds is in doubt. Pebble panics here when it cannot begin a new log.
func (e *Engine) start() { go e.write() }

func (e *Engine) write() {
	defer close(e.stopped)
	timer := time.NewTimer(math.MaxInt64)
	for {
		reqs, ends := e.take()
		switch {
		case len(reqs) > 0:
			e.handle(reqs)
		case ends:
			e.commit()
			return
		default:
			timer.Reset(e.pause())
			select {
			case <-e.wake:
			case <-timer.C:
				e.tick()
			}
		}
		e.look()
	}
}

// take takes all that waits; ends says that nothing comes after it.
func (e *Engine) take() (reqs []request, ends bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.working, e.queue = e.queue, e.working[:0]
	return e.working, e.closed || e.failed != nil
}

// handle does the requests in their order, with one sync at the end if any of
// them waits for it, and answers them.
func (e *Engine) handle(reqs []request) {
	e.now()
	wait := false
	for i := range reqs {
		for _, c := range reqs[i].group {
			e.add(c)
			wait = wait || c.Waits()
		}
		if act := reqs[i].act; act != nil {
			e.commit()
			act()
		}
	}
	switch {
	case wait:
		e.commit()
	case e.commits > 0 && e.heldSince.IsZero():
		e.heldSince = time.Now()
	case e.commits > 0 && time.Since(e.heldSince) >= lazyDelay:
		e.commit()
	}
	e.answer()
}

// add puts one commit into the batch.
func (e *Engine) add(c *store.Commit) {
	for i := range c.Ops {
		e.apply(&c.Ops[i])
	}
	if len(c.Ops) > 0 {
		e.commits++
	}
	e.last.Store(e.index.last)
	if e.batch.Len() >= maxBatch {
		e.commit()
	}
}

// answer tells those whose requests are done. After a failure somebody else has
// told them.
func (e *Engine) answer() {
	e.mu.Lock()
	reqs := e.working
	e.working = nil
	e.mu.Unlock()
	for i := range reqs {
		reqs[i].done(nil)
	}
	clear(reqs)
	e.mu.Lock()
	if e.working == nil {
		e.working = reqs[:0]
	}
	e.mu.Unlock()
}

// commit makes the batch durable, unless the engine has failed: then nothing
// more is written.
func (e *Engine) commit() {
	if e.broken() {
		return
	}
	if e.batch.Empty() && e.index.last == e.saved.last {
		e.commits, e.heldSince = 0, time.Time{} // nothing came of them: their sessions are gone
		return
	}
	e.save()
	bytes, began := e.batch.Len(), time.Now()
	if err := e.db.Apply(e.batch, pebble.Sync); err != nil {
		e.fatal(err)
	}
	if e.opts.Observe != nil {
		e.opts.Observe(Synced{Commits: e.commits, Bytes: bytes, Took: time.Since(began)})
	}
	if len(e.kept) > 0 {
		e.opts.Kept(e.kept)
		clear(e.kept)
		e.kept = e.kept[:0]
	}
	e.must(e.batch.Close())
	e.batch, e.commits, e.heldSince = e.db.NewBatch(), 0, time.Time{}
}

func (e *Engine) broken() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed != nil
}

// save adds the last position to the batch, when it has changed, with the clock.
func (e *Engine) save() {
	m := mark{e.index.last, e.clock}
	if m.last == e.saved.last && m.clock-e.saved.clock < int64(time.Minute) {
		return
	}
	e.saved = m
	e.value = binary.BigEndian.AppendUint64(e.value[:0], m.last)
	e.value = binary.BigEndian.AppendUint64(e.value, uint64(m.clock))
	e.set(append(e.key[:0], keyLast...), e.value)
}

// now is the time; a clock that steps back stands still here, so that nothing
// that has expired comes back.
func (e *Engine) now() int64 {
	e.clock = max(e.clock, e.opts.Now())
	return e.clock
}

// idle is how long the sweeper has nothing to do.
func (e *Engine) idle() time.Duration { return e.sweep.pause(e.now(), len(e.rubbish) > 0) }

// pause is how long the writer may sleep.
func (e *Engine) pause() time.Duration {
	p := e.idle()
	if !e.heldSince.IsZero() {
		p = min(p, lazyDelay-time.Since(e.heldSince))
	}
	return max(p, 0)
}

// tick does what is due by time.
func (e *Engine) tick() {
	if !e.heldSince.IsZero() && time.Since(e.heldSince) >= lazyDelay {
		e.commit()
	}
	if e.idle() <= 0 {
		e.slice()
	}
}
