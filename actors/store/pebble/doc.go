// SPDX-License-Identifier: Apache-2.0

// Package pebble is the store engine that keeps what was acknowledged: on disk,
// in a Pebble database. emqttd 1.1.3 had none; a restart forgot its sessions.
//
//	Write ─ queue ─ writer ─ batch ─ one synced commit ─ done
//	                  └ index: who holds what, in memory
//
// One goroutine, the writer, turns the groups it finds waiting into one batch,
// commits it with one sync and answers them in their order. Commits that nobody
// waits for are held back, at most lazyDelay, and ride with the next.
//
// A message for one session lies in that session's own range of keys; one for
// several lies once under its position, and each session holds a reference. So
// starting reads each session as one run of keys, ending one is a single range
// deletion, and a fan-out writes its payload once. The index knows without
// reading which positions a session holds and how many hold a shared message,
// whose last holder takes it along: nothing is left behind for a collector, and
// no session that stays away pins what others have had.
//
//	!b                           number of the start
//	!l                           highest position, clock
//	!o                           seed of the order of topics
//	m position                   message that several sessions hold
//	s session 1                  record
//	s session 2 filter           subscription, and what retained messages it is owed
//	s session 3 packet id        in flight: order, phase, position; or the message
//	s session 4 packet id        awaiting PUBREL
//	s session 5 position         hold: the message itself, or that it lies under m
//	s session 6 serial           dead letter: the message itself
//	t topic                      retained message
//
// Numbers are big-endian, so that keys sort as they count. A hold stays until
// its message is done; it is of the queue unless something in flight names it.
//
// Errors of the disk are final: a sync that failed may have lost what the next
// one says is there, so after the first error nothing is acknowledged any more
// and Options.Fatal ends the process; the next start recovers. What is corrupt
// at Open or later is named by its file.
//
// 2026-11: a reference for every message, also for those of one session, wrote
// each payload under a key of its own; starting then looked every message up
// singly. Payloads in the session's range cost one key less per message and are
// read in one run.
package pebble
