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
// Nothing here knows a packet or a reason code. Whoever asks decides what an
// ErrWildcard means to the peer.
package topic
