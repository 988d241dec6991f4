// SPDX-License-Identifier: Apache-2.0

// Package trace shows the way of packets and messages through the broker, for one
// client, one topic filter or one address: each hop, and why something was
// delivered, queued, dropped or denied. It is emqttd_trace, which was the log of
// emqttd with a filter for what a process had written into its metadata; here the
// actors say in so many words what they decided.
//
// An actor that has decided something notes it:
//
//	if t := env.Trace; t.On() {
//		t.Note(ctx, trace.Event{Step: trace.Denied, ...})
//	}
//
// Off, that is a load and a comparison. On, what nobody traces costs the
// comparison with each trace, of which there is a bounded number, and that once
// for what is decided together: a read, a run of messages from one publisher to
// one topic. A note is an effect of the decision: what is tried twice is noted
// once, and marked (Again).
//
// A trace keeps its latest events in a ring. Readers have a cursor of their own
// and never hold an actor up: who is too slow misses events and is told how many.
// One of the readers may be a file, written by the pool and rotated at a bound.
// Payloads and passwords are never part of an event.
package trace
