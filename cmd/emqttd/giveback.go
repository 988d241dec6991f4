// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A wave of connections, or an hour of traffic, leaves a heap of which little is
// live. The runtime keeps what it has once got for a target of twice the live heap,
// and 64 MB at least: 20,000 idle connections took twice what they hold. So when
// the broker is calm the rest goes back to the system.

// calmSeconds is how long what is given back must last: what would be asked for
// again sooner is kept.
const calmSeconds = 30

// giveEvery is how often it is looked whether the broker is calm.
const giveEvery = time.Second

// calmLooks is how often in a row it has to be calm: a pause between two bursts is
// not.
const calmLooks = 2

// leastGiven is the least that is worth a collection.
const leastGiven = 16 << 20

// giver knows when there is something to give back. It is looked at every
// giveEvery by one goroutine.
type giver struct {
	sample  []metrics.Sample
	off     bool
	before  uint64 // bytes ever allocated, when it looked last
	at      int64  // when that was, nanoseconds since the Unix epoch
	calm    int    // how often in a row something was due
	release func()
}

// usage is what the runtime says of its memory, in bytes.
type usage struct {
	allocated uint64 // ever
	live      uint64 // what the last collection found
	held      uint64 // of the heap, and not given back
}

// newGiver makes one that does nothing if the environment sets GOGC: whoever does
// that tunes the collector himself.
func newGiver(now int64) *giver {
	g := &giver{off: os.Getenv("GOGC") != "", release: debug.FreeOSMemory, at: now, sample: []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"}}}
	g.before = g.usage().allocated
	return g
}

func (g *giver) usage() usage {
	metrics.Read(g.sample)
	v := func(i int) uint64 { return g.sample[i].Value.Uint64() }
	return usage{allocated: v(0), live: v(1), held: v(2) + v(3) + v(4)}
}

// look gives back what is not needed. It takes as long as a collection, 100 ms for
// 100 MB, beside everything else that goes on.
func (g *giver) look(now int64) {
	if g.off {
		return
	}
	u := g.usage()
	if !g.due(u, now) {
		g.calm = 0
	} else if g.calm++; g.calm >= calmLooks {
		g.calm = 0
		g.release()
		u = g.usage()
	}
	g.before, g.at = u.allocated, now
}

// due reports whether much is held that is not live, and lasts for a while. What is
// live is known as of the last collection: if that was wrong, the one that follows
// puts it right, and nothing is due any more.
func (g *giver) due(u usage, now int64) bool {
	if u.held <= u.live {
		return false
	}
	excess := u.held - u.live
	rate := float64(u.allocated-g.before) / max(float64(now-g.at), 1) * 1e9 // bytes a second
	return excess >= max(leastGiven, u.live/4) && float64(excess) > calmSeconds*rate
}
