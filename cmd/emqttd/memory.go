// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
)

// heapFloor is the heap size below which the collector is left waiting. What is
// live in a broker is small against what passes through: with 4 MB live, Go's
// default of twice that ran 25 to 65 collections a second at full load, which was
// the first cost of nearly every scenario. Above it GOGC is Go's own 100.
const heapFloor = 64 << 20

// smallest is Go's own floor: it collects no heap before it has 4 MiB at GOGC 100,
// and as much more as GOGC is higher.
const smallest = 4 << 20

// While the broker starts nearly all that it allocates stays: queues that are read
// from the store. Room for as much again as is live would be memory that nothing
// needs afterwards.
const startPercent = 20

var starting atomic.Bool

// profileRate is of how many bytes allocated the heap profile has one, on average.
// With Go's own 512 KiB a broker that passes on payloads of 1 KiB spends 5 % of its
// time on walking its stacks for it.
const profileRate = 2 << 20

// tuneProfile sets the heap profile's rate, before anything is allocated; GODEBUG in
// the environment wins.
func tuneProfile() {
	if !strings.Contains(os.Getenv("GODEBUG"), "memprofilerate=") {
		runtime.MemProfileRate = profileRate
	}
}

// tuneMemory sets Go's collector: limit in bytes, 0 for nine tenths of what the
// control group allows, if it says so. GOGC and GOMEMLIMIT in the environment
// win.
func tuneMemory(limit int64) {
	if limit == 0 && os.Getenv("GOMEMLIMIT") == "" {
		limit = groupLimit() / 10 * 9
	}
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	if os.Getenv("GOGC") == "" {
		t := &tuner{percent: 100}
		for _, name := range [...]string{"/gc/heap/live:bytes", "/gc/scan/stack:bytes", "/gc/scan/globals:bytes"} {
			t.sample = append(t.sample, metrics.Sample{Name: name})
		}
		t.adjust()
		runtime.SetFinalizer(t, (*tuner).collected)
	}
}

// tuner keeps the heap's target at twice what is live, or at heapFloor if that is
// more. It is garbage itself: the collector finalizes it once per collection.
type tuner struct {
	percent int
	sample  []metrics.Sample // live heap, stacks, globals
}

func (t *tuner) collected() {
	t.adjust()
	runtime.SetFinalizer(t, (*tuner).collected)
}

func (t *tuner) adjust() {
	metrics.Read(t.sample)
	least := 100
	if starting.Load() {
		least = startPercent
	}
	percent := percentFor(t.sample[0].Value.Uint64(), t.sample[1].Value.Uint64()+t.sample[2].Value.Uint64(), least)
	// Setting it stops the world: not for small changes.
	if percent > t.percent*5/4 || percent < t.percent*4/5 {
		t.percent = percent
		debug.SetGCPercent(percent)
	}
}

// percentFor is the GOGC with which the next collection comes when the heap is
// heapFloor, and at least the given one. Go lets the heap grow by that much of what
// is live and of the other roots (stacks and globals), and never collects below
// that much of smallest.
func percentFor(live, roots uint64, least int) int {
	if live >= heapFloor {
		return least
	}
	return max(least, int(100*(heapFloor-live)/max(live+roots, smallest)))
}

// groupLimit is the memory limit of the process's control group, version 2 or
// 1, in bytes; 0: none.
func groupLimit() int64 {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err == nil && n > 0 && n < math.MaxInt64/2 {
			return n
		}
	}
	return 0
}
