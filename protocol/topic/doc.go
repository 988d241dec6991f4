// SPDX-License-Identifier: Apache-2.0

// Package topic is what the broker knows about topics: which names and filters
// are legal, which filter matches which name, how a shared subscription is
// written, and two tables that do the matching for a million entries.
//
// It is emqttd_topic and emqttd_trie. In emqttd the trie is two mnesia tables
// read in dirty transactions; here it is a tree in memory that readers walk
// without a lock, so that a publisher never waits for a subscriber.
//
// Start with name.go and match.go: Match is the meaning of a filter in thirty
// lines, and the tests hold both tables to it. Then tree.go, the shape that
// both tables share: Trie (filters stored, a name looked up: the router) and
// Index (names stored, a filter looked up: the retained messages).
//
// The tree by example. The filters a/b/c, a/b/#, a/+/c and x make
//
//	(root)
//	├── "a"
//	│   ├── "b"      # has a value: a/b/#
//	│   │   └── "c"  has a value: a/b/c
//	│   └── "+/c"    has a value: a/+/c; two levels that nothing else shares
//	└── "x"          has a value: x
//
// 2026-11: keys of several levels, because with one node a level a filter like
// home1/device1/state1 that shares nothing cost three nodes and two tables; now
// it is one node. A million filters keep 98-128 B each beside their values.
//
// 2026-11: a node's key stands behind it in one allocation, because a look-up
// among a million filters waits for memory, not for instructions: matching took a
// third less in the broker (BenchmarkRoute in supervisor/broker).
//
// 2026-11: Ahead, because the four places that a look-up among a million filters
// waits for can be waited for together when several names are to be looked up:
// 615 -> 364 ns a name (BenchmarkTrieAhead).
//
// 2026-11: siblings are kept in hash tables whose slots follow the order of the
// hash, instead of sorted lists, because one structure then gives the router a
// look-up in one probe and the administration and the retained messages a walk
// that can be resumed. A peer that watches the order of a large walk learns
// which levels lie close together, and of a million names of its own could keep
// a thousand that share one slot: a probe of a thousand neighbouring slots, about
// a microsecond. That did not justify a second hash.
//
// 2026-11: no lock for readers and no copying of tables on a change, because the
// alternative that is simplest, a copy of the touched path, costs a writer the
// whole of a wide level for each filter.
//
// Measured, 2026-11, two cores of a Xeon server, otherwise idle (busy with
// other work they take two or three times as long), Go 1.26, bench_test.go and
// index_bench_test.go for 1,000,000 entries: insert 0.5-0.7 µs
// (1.4-1.9 million/s, one writer); memory 104 B for site/1/dev/2/sensor/3, 98 B
// for device/1/state, 128 B for three levels that are all unique, names in the
// Index 97-136 B with a pointer as value; Match of three levels 97-135 ns when
// the name's way is in cache and 330-380 ns when it is not, of six levels with a
// + on the way 245 and 860 ns; 25 ns a step in the worst case; 0 allocations.
// Index.Match 0.3-0.5 µs a name, 30-50 µs for a page of 100; 0.15 µs for a filter
// without wildcards.
//
// Nothing here knows a packet or a reason code. Whoever asks decides what an
// ErrWildcard means to the peer.
package topic
