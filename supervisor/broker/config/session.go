// SPDX-License-Identifier: Apache-2.0

package config

import "time"

// Session bounds what is kept for one client.
type Session struct {
	// Sessions at one time. A CONNECT that needs a further one is refused:
	// 0x97, return code 3.
	MaxSessions int `yaml:"max_sessions" min:"1" max:"100000000" reload:"yes"`

	// Longest session expiry. An MQTT 5 client that asks for more is granted
	// this and told so.
	MaxExpiry time.Duration `yaml:"max_expiry" min:"0s" max:"1193046h" reload:"yes"`

	// Expiry of a session without clean session before MQTT 5, which cannot ask
	// for one.
	V3Expiry time.Duration `yaml:"v3_expiry" min:"0s" max:"1193046h" reload:"yes"`

	// Longest will delay. A client that asks for more gets this.
	MaxWillDelay time.Duration `yaml:"max_will_delay" min:"0s" max:"1193046h" reload:"yes"`

	// After a start of the broker: how long a client that was connected when it
	// ended has to come back before its will counts the connection as lost, so
	// that a restart is no storm of false deaths.
	WillRestartGrace time.Duration `yaml:"will_restart_grace" min:"0s" max:"24h"`

	// QoS 1 and 2 messages sent to a client and not yet acknowledged. An MQTT 5
	// client's Receive Maximum lowers it. Further messages wait in the queue.
	MaxInflight int `yaml:"max_inflight" min:"1" max:"65535" reload:"yes"`

	// Messages waiting in a session, for a client that is away or slow. At the
	// bound the oldest is dropped for a new one of QoS 1 or 2, and a new one of
	// QoS 0 is dropped itself; both are counted.
	MaxQueuedMessages int `yaml:"max_queued_messages" min:"1" max:"100000000" reload:"yes"`

	// Bytes (topic and payload) waiting in a session. At the bound as
	// max_queued_messages.
	MaxQueuedBytes Bytes `yaml:"max_queued_bytes" min:"4KiB" max:"1TiB" reload:"yes"`

	// QoS 1 and 2 messages of a session's queue that are in memory while its client
	// is connected, if the session is kept. Those behind them, and those that
	// arrive while the client is away, stay in the store and are read when the
	// client has taken half of these. What comes by a shared subscription is in
	// memory in any case.
	QueueWindow int `yaml:"queue_window" min:"1" max:"1000000" reload:"yes"`

	// Queue QoS 0 messages too while a client is away, if its session is kept.
	// Otherwise they are dropped, and counted.
	QueueQoS0 bool `yaml:"queue_qos0" reload:"yes"`

	// QoS 2 messages of a client between PUBREC and PUBREL. A further PUBLISH
	// is answered PUBREC 0x97; a client before MQTT 5 is closed.
	MaxAwaitingRel int `yaml:"max_awaiting_rel" min:"1" max:"65535" reload:"yes"`

	// Dead letters of a session: messages that crashed its actor twice, kept
	// until an operator replays or deletes them. At the bound the oldest is
	// dropped for the new one, and counted. 0: they are dropped at once.
	MaxDeadLetters int `yaml:"max_dead_letters" min:"0" max:"100000" reload:"yes"`

	// Bytes (topic and payload) of a session's dead letters. As max_dead_letters.
	MaxDeadLetterBytes Bytes `yaml:"max_dead_letter_bytes" min:"0" max:"1GiB" reload:"yes"`
}

// Retained bounds the retained messages of the broker.
type Retained struct {
	// Topics with a retained message. A message for a further one is answered
	// 0x97 and not taken (QoS 1 and 2, MQTT 5); otherwise it is delivered but
	// not kept, and counted.
	MaxCount int `yaml:"max_count" min:"0" max:"1000000000" reload:"yes"`

	// Largest payload that is kept. Answered as max_count.
	MaxPayload Bytes `yaml:"max_payload" min:"0" max:"256MiB" reload:"yes"`

	// Memory for payloads of retained messages. Those above it stay on disk and
	// are read when a subscription asks for them; with store.engine memory all are
	// in memory.
	MaxMemory Bytes `yaml:"max_memory" min:"0" max:"1TiB"`

	// A retained message is forgotten after this time; an MQTT 5 message
	// expiry may end it sooner. 0: never.
	Expiry time.Duration `yaml:"expiry" min:"0s" max:"1193046h" reload:"yes"`

	// Retained messages looked up for one subscription in a turn; the next ones
	// follow when the client has taken these.
	Batch int `yaml:"batch" min:"1" max:"1000000" reload:"yes"`
}

// defaultSession has emqttd's two days and window; unlike emqttd's, its queue
// is bounded.
func defaultSession() Session {
	return Session{
		MaxSessions:        1_000_000,
		MaxExpiry:          48 * time.Hour,
		V3Expiry:           48 * time.Hour,
		MaxWillDelay:       48 * time.Hour,
		WillRestartGrace:   5 * time.Second,
		MaxInflight:        100,
		MaxQueuedMessages:  10_000,
		MaxQueuedBytes:     16 * MiB,
		QueueWindow:        1000,
		QueueQoS0:          true,
		MaxAwaitingRel:     1024,
		MaxDeadLetters:     1000,
		MaxDeadLetterBytes: 4 * MiB,
	}
}
