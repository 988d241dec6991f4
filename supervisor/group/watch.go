// SPDX-License-Identifier: Apache-2.0

package group

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// Watch looks at groups from a goroutine of its own and replaces the driver of
// one whose code has not returned for a while. The BEAM needs none: it takes the
// processor away from a process that is busy, and a process that waits harms
// nobody. Here all actors of a loop share a goroutine.
type Watch struct {
	after  time.Duration
	clock  Clock
	report func(any)
	groups []*watched
	stop   chan struct{}
	done   sync.WaitGroup
	once   sync.Once
}

type watched struct {
	g     *Group
	lease *Lease
	n     uint64 // of the lease, when it was looked at
	since int64  // when it was n for the first time
	looks int    // how often it was since
}

// NewWatch makes a watch; report is told what is stuck, on the goroutine that
// takes over.
func NewWatch(after time.Duration, clock Clock, report func(any), groups ...*Group) *Watch {
	w := &Watch{after: after, clock: clock, report: report, stop: make(chan struct{})}
	for _, g := range groups {
		w.groups = append(w.groups, &watched{g: g})
	}
	return w
}

// Start begins to look, four times within the time that something may take.
func (w *Watch) Start() {
	w.done.Add(1)
	go func() {
		defer w.done.Done()
		tick := time.NewTicker(max(w.after/looks, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.Look()
			case <-w.stop:
				return
			}
		}
	}()
}

// Close ends it.
func (w *Watch) Close() {
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
}

// looks is how often something has to be found unchanged.
const looks = 4

// Look looks at every group once.
func (w *Watch) Look() {
	now := w.clock.Now()
	for _, x := range w.groups {
		l := x.g.Lease()
		if n := l.n.Load(); l != x.lease || n != x.n {
			x.lease, x.n, x.since, x.looks = l, n, now, 0
			continue
		}
		// A process that was stopped for a while finds everything as it was: the
		// clock alone does not say that a goroutine had its chance.
		x.looks++
		if x.n%2 == 1 && x.looks >= looks && now-x.since >= int64(w.after) && l.n.CompareAndSwap(x.n, x.n|fencedBit) {
			w.replace(x.g, l)
		}
	}
}

// replace gives g another driver. From the fence on the old one writes nothing of
// what it shares with others.
func (w *Watch) replace(g *Group, old *Lease) {
	stack := stackOf(old.gid)
	g.lease.Store(new(Lease))
	take := func() {
		if s, ok := old.task.runner.(Stuck); ok {
			if r := s.Stuck(g, old, stack); r != nil {
				w.report(r)
			}
		}
	}
	if old.owner == nil {
		panic("group: " + g.name + " is stuck and has no driver that can be replaced\n" + string(stack))
	}
	old.owner.Replace(take)
}

// goroutineID is the number that stands in the stack of the calling goroutine.
func goroutineID() int64 {
	var buf [64]byte
	head := buf[:runtime.Stack(buf[:], false)]
	head = bytes.TrimPrefix(head, []byte("goroutine "))
	if i := bytes.IndexByte(head, ' '); i > 0 {
		if id, err := strconv.ParseInt(string(head[:i]), 10, 64); err == nil {
			return id
		}
	}
	return 0
}

// maxStacks bounds what is read of the stacks of all goroutines.
const maxStacks = 4 << 20

// stackOf is the stack of another goroutine; empty when it is not found.
func stackOf(id int64) []byte {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) || len(buf) >= maxStacks {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	head := []byte("goroutine " + strconv.FormatInt(id, 10) + " ")
	for part := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if bytes.HasPrefix(part, head) {
			return bytes.Clone(part)
		}
	}
	return nil
}
