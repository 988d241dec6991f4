// SPDX-License-Identifier: Apache-2.0

// Package metrics counts. It is emqttd_metrics and emqttd_stats: one set of
// atomic counters per broker, read by $SYS, the API and /metrics. Counting is an
// effect of the runtime, so that a decision that is made twice counts once.
package metrics

import (
	"sync/atomic"

	"emqttd/protocol/packet"
)

// Drop is why a message or delivery went nowhere. Every one has exactly one.
type Drop uint8

const (
	DropNoSubscriber Drop = iota // published, and no subscription matched
	DropQueueFull                // the oldest of a full session queue
	DropQueueBytes               // the same by bytes
	DropQoS0Offline              // QoS 0 for a session without a connection
	DropQoS0Slow                 // QoS 0 for a connection that does not read
	DropExpired                  // message expiry passed
	DropTooLarge                 // above the client's maximum packet size
	DropDenied                   // the ACL refused the publish
	DropSessionEnded             // left in a session that ended
	DropShareOver                // a shared group without a member left
	DropRetainedFull             // the retained store is full
	DropMatchSteps               // the match gave up at its bound
	DropRate                     // above the client's rate
	DropPoison                   // crashed its actor twice
	DropStoreFull                // all sessions and retained messages together are at their bound
	DropUnsubscribed             // waited for a subscription that was removed
	DropDeadFull                 // the oldest dead letter, for a new one
	DropDeadDeleted              // a dead letter, by an operator
	dropCount
)

var dropNames = [dropCount]string{"no_subscriber", "queue_full", "queue_bytes", "qos0_offline", "qos0_slow", "expired",
	"too_large", "denied", "session_ended", "share_without_member", "retained_full", "match_steps", "rate", "poison", "store_full",
	"unsubscribed", "dead_letters_full", "dead_letter_deleted"}

// String is the metric label.
func (d Drop) String() string { return dropNames[d] }

// Close is why a connection ended; log, metric and $SYS share it.
type Close uint8

const (
	CloseUnknown     Close = iota
	CloseNormal            // DISCONNECT by the client
	CloseWithWill          // DISCONNECT 0x04
	ClosePeer              // the socket was closed or lost
	CloseFault             // the peer broke the rules
	CloseRefused           // CONNECT was refused
	CloseKeepAlive         // nothing heard
	CloseTakeover          // another connection with the same client id
	CloseKicked            // an operator
	CloseShutdown          // the broker stops
	CloseConnectTime       // CONNECT did not come in time
	CloseWriteTime         // the peer did not read
	ClosePoison            // a packet crashed its actor twice
	CloseInternal          // the broker's own fault
	CloseHTTP              // an HTTP exchange that was no upgrade
	closeCount
)

var closeNames = [closeCount]string{"unknown", "normal", "disconnect_with_will", "peer_closed", "fault", "refused",
	"keep_alive_timeout", "taken_over", "kicked", "shutting_down", "connect_timeout", "write_timeout", "poison", "internal", "http"}

// String is the metric label.
func (c Close) String() string { return closeNames[c] }

// Counter is a number that only the runtime changes.
type Counter = atomic.Int64

// Metrics are the counters of one broker.
type Metrics struct {
	BytesReceived, BytesSent     Counter
	PacketsReceived, PacketsSent [16]Counter // by packet.Type
	MessagesReceived             [3]Counter  // by QoS
	MessagesSent                 [3]Counter
	Dropped                      [dropCount]Counter
	Closed                       [closeCount]Counter
	Faults                       [64]Counter  // by packet.Fault
	Refused                      [256]Counter // CONNECTs, by reason code
	Connections                  Counter      // open sockets
	Connected                    Counter      // with an accepted CONNECT
	Accepted                     Counter      // sockets since the start
	Sessions                     Counter
	Banned                       Counter
	QueuedBytes                  Counter // waiting in sessions; a message counts once for each
	Choked                       Counter // sessions with a full queue whose client does not read
	DeadLetters                  Counter // kept in sessions at present
	DeadLettered                 Counter // of them and those that were replayed or dropped, since the start

	Delivery Durations // from the arrival of a message to the out-buffer of a subscriber; a sample, see Sampled
	Turn     Durations // of an event loop: from the first ready socket to the last write

	StoreSync    Durations // how long the disk took to make a batch of the store durable
	StoreBatch   Sizes     // bytes of such a batch
	StoreCommits Counter   // commits in them
	StoreEarly   Counter   // acknowledgements that did not wait for them
}

// Sampled reports whether what happens in the turn that began at now is
// measured: one turn in sixteen, since reading the clock for each delivery would
// be the dearest part of it. The choice is by the time itself, so that it is the
// same in a simulation that is played again.
func Sampled(now int64) bool { return now>>10&15 == 0 }

// Drops calls yield for every drop reason and its count.
func (m *Metrics) Drops(yield func(string, int64) bool) {
	for d := range dropCount {
		if !yield(d.String(), m.Dropped[d].Load()) {
			return
		}
	}
}

// FaultCounts calls yield for every fault that was seen.
func (m *Metrics) FaultCounts(yield func(string, int64) bool) {
	for f, info := range packet.Faults {
		if n := m.Faults[f].Load(); n > 0 && !yield(info.Label, n) {
			return
		}
	}
}

// Closes calls yield for every close reason and its count.
func (m *Metrics) Closes(yield func(string, int64) bool) {
	for c := range closeCount {
		if !yield(c.String(), m.Closed[c].Load()) {
			return
		}
	}
}
