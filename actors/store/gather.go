// SPDX-License-Identifier: Apache-2.0

package store

import "time"

// gather decides when a group is whole. A disk that has nothing to do is not given
// the first commit that comes: the publishers that were answered together answer
// together, and whoever misses the group waits for two syncs. So a group takes all
// that the turn of the loop brings, and, when more come back as a rule, the rest of
// those just answered.
//
// 2026-11, 256 bytes, medians of 6 interleaved runs on a busy machine, to the rule
// before, which handed on whatever there was: commits per sync 11 -> 26 with 64
// publishers; messages per second 1.2 times with 8 publishers, 1.15 with 64, CPU per
// message 0.8 and 0.86 times; with 512 neither changed. With one publisher nothing is
// waited for. To take whole turns, however long (60 and 450 commits per sync), was as
// good with 64, and with 512 a tenth slower: the disk stood still while the loop read.
type gather struct {
	began  int64 // when the group that is being written was handed on
	took   int64 // how long groups that somebody waits for take: a moving mean
	expect int   // how many are likely to wait for the next group; 0: nothing is known
	had    int   // that waited when the last group was answered
	fresh  bool  // the answers are not written yet: the time does not run
	since  int64 // the first commit of the group was there
	until  int64 // nobody sits and waits for the others beyond it
	limit  int64 // no turn is waited for beyond it
	vain   uint8 // times in a row that the others did not come
	skip   uint8 // groups to go before they are waited for again
}

const (
	maxGather = int64(time.Millisecond)
	// minTurn is a turn that is always waited for, since to hand on a group costs
	// two goroutines being woken, on disks that cost less.
	minTurn = int64(100 * time.Microsecond)
	maxVain = 6 // waited for once in 64 groups
)

// hand is told that the group is handed on, with so many that wait for it.
func (g *gather) hand(now int64, waiting int) {
	g.began = now
	switch {
	case g.expect == 0:
	case 2*(waiting-g.had) >= g.expect-g.had:
		g.vain = 0
	default:
		g.vain = min(g.vain+1, maxVain)
		g.skip = 1<<g.vain - 1
	}
}

// written is told that the group was answered, to so many that waited for it, and
// how many wait for the next one already. When those are the more, they are not kept
// waiting for the others. It reports whether more than those are expected.
func (g *gather) written(now int64, answered, waiting int) bool {
	g.expect, g.had, g.fresh = 0, waiting, false
	if answered == 0 {
		return false
	}
	g.took += (max(now-g.began, 0) - g.took) / 8
	switch {
	case g.skip > 0:
		g.skip--
	case waiting < answered:
		g.expect = answered + waiting
	}
	g.fresh = waiting > 0
	return g.expect > 0
}

// first is told that there is something for a group.
func (g *gather) first(now int64) {
	g.since = now
	g.until = now + min(g.took/2, maxGather)
	g.limit = max(g.until, now+minTurn)
}

// whole reports whether the group is handed on at once; a clock that was set back
// ends what it was asked for.
func (g *gather) whole(now int64, waiting int) bool {
	return waiting >= maxGroup || g.expect > 0 && waiting >= g.expect || now >= g.limit || now < g.since
}

// waits reports whether the end of the turn is not the end of the group.
func (g *gather) waits(now int64, waiting int) bool {
	if g.fresh {
		g.fresh = false
		g.first(now)
	}
	return waiting < g.expect && now >= g.since && now < g.until
}
