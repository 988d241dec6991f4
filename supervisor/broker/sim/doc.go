// SPDX-License-Identifier: Apache-2.0

// Package sim runs a whole broker and its clients in one goroutine, on a virtual
// clock, with every choice drawn from one seed: the same seed is the same run,
// byte for byte.
//
// What it covers is everything between the bytes of an accepted connection and
// the interface of the store: upgrade, frames, parser, the actors of connection
// and session, router, retainer, timers, supervision, restore. Sockets are in
// memory and deliver any number of bytes at any time; the disk finishes a group
// whenever it likes, loses any part that was not synced when the broker is
// killed, and can fail; actors crash at any phase of any message; kill -9 comes
// at any time and the broker starts again on what the disk has. One run in three
// keeps in memory what some clients, topics or listeners are acknowledged: the
// judge knows what a kill may take of that, and nothing else may. In one run of
// two kills lie in wait for clients that have just been promised something.
// TLS and Pebble are outside: they have tests of their own.
//
// The judge is chaos.Checker, the workload chaos.Plan; a seed that fails prints
// the shortest trace and the command that replays it.
//
// Reading order: run.go, world.go, line.go, disk.go, faults.go, ambush.go.
package sim
