// SPDX-License-Identifier: Apache-2.0

package config

import "time"

// MQTT holds the limits and offers of the protocol. "0x.." is the MQTT 5
// reason code; what older versions get is said where it is not the same as a
// close of the connection.
type MQTT struct {
	// Largest packet a client may send, whole, fixed header included. A larger
	// one is refused at its header, before it is buffered: 0x95 and close.
	MaxPacketSize Bytes `yaml:"max_packet_size" min:"128" max:"268435460" reload:"yes"`

	// Longest client identifier, in bytes. CONNECT is refused: 0x85, return
	// code 2.
	MaxClientID int `yaml:"max_client_id" min:"23" max:"65535" reload:"yes"`

	// Longest topic name or filter, in bytes. PUBLISH: 0x90; a filter: 0x8F,
	// before MQTT 5 0x80 in the SUBACK.
	MaxTopicLength int `yaml:"max_topic_length" min:"1" max:"65535" reload:"yes"`

	// Levels of a topic name or filter. Answered as max_topic_length.
	MaxTopicLevels int `yaml:"max_topic_levels" min:"1" max:"65535"`

	// Nodes of the routing table that one PUBLISH may visit. A message that
	// would need more is delivered to what was found until then, counted and
	// logged. The default is enough for any name of up to twelve levels, and
	// takes 0.4 ms at worst.
	MatchSteps int `yaml:"match_steps" min:"1000" max:"10000000" reload:"yes"`

	// Filters in one SUBSCRIBE or UNSUBSCRIBE. Each further one is answered
	// 0x97 (0x80 before MQTT 5).
	MaxFiltersPerSubscribe int `yaml:"max_filters_per_subscribe" min:"1" max:"65535" reload:"yes"`

	// Subscriptions of one session. A further filter is answered 0x97 (0x80
	// before MQTT 5).
	MaxSubscriptions int `yaml:"max_subscriptions" min:"1" max:"10000000" reload:"yes"`

	// User properties in one packet. More: 0x97 and close.
	MaxUserProperties int `yaml:"max_user_properties" min:"0" max:"65535" reload:"yes"`

	// Highest QoS: a PUBLISH above it gets 0x9B and close, a subscription above
	// it is granted this.
	MaxQoS int `yaml:"max_qos" min:"0" max:"2"`

	// Offer retained messages. Otherwise a retained PUBLISH gets 0x9A and close.
	RetainAvailable bool `yaml:"retain_available"`

	// Offer filters with + and #. Otherwise they are answered 0xA2.
	WildcardSubscriptions bool `yaml:"wildcard_subscriptions"`

	// Offer $share/GROUP/FILTER and $queue/FILTER. Otherwise they are answered
	// 0x9E.
	SharedSubscriptions bool `yaml:"shared_subscriptions"`

	// Offer subscription identifiers. Otherwise they are answered 0xA1.
	SubscriptionIdentifiers bool `yaml:"subscription_identifiers"`

	// Who of a shared group gets the next message: round_robin, random, sticky
	// (one member until it leaves), hash_clientid (by the publisher) or
	// hash_topic.
	SharedStrategy SharedStrategy `yaml:"shared_strategy" reload:"yes"`

	// Longest keep alive. An MQTT 5 client that asks for more, or for none, is
	// given this one (Server Keep Alive); older ones keep theirs. 0: no limit.
	MaxKeepAlive time.Duration `yaml:"max_keep_alive" min:"0s" max:"65535s" reload:"yes"`

	// A client that is silent for its keep alive times this factor is closed:
	// 0x8D. The standard says 1.5.
	KeepAliveFactor float64 `yaml:"keep_alive_factor" min:"1" max:"10" reload:"yes"`

	// Topic aliases a client may define on one connection (it is told). A
	// higher one: 0x94 and close. 0: none.
	TopicAliasMaximum int `yaml:"topic_alias_maximum" min:"0" max:"65535" reload:"yes"`

	// Topic aliases used towards a client that offers them, at most. 0: none.
	TopicAliasOut int `yaml:"topic_alias_out" min:"0" max:"65535" reload:"yes"`

	// QoS 1 and 2 messages a client may have unacknowledged towards the broker
	// (an MQTT 5 client is told). Above it: 0x93 and close; a client before
	// MQTT 5 is not read until it is below.
	ReceiveMaximum int `yaml:"receive_maximum" min:"1" max:"65535" reload:"yes"`

	// How long the PROXY header, the TLS handshake and the WebSocket upgrade
	// may take together; then the connection is closed.
	HandshakeTimeout time.Duration `yaml:"handshake_timeout" min:"10ms" max:"10m" reload:"yes"`

	// How long the whole CONNECT may take to arrive, and an authentication
	// exchange to end. Some of its bytes do not stop the clock. Then close.
	ConnectTimeout time.Duration `yaml:"connect_timeout" min:"10ms" max:"10m" reload:"yes"`

	// A connection that takes nothing of what is to be written for this long
	// is closed.
	WriteTimeout time.Duration `yaml:"write_timeout" min:"10ms" max:"1h" reload:"yes"`

	// Bytes waiting to be written to one connection: at the high mark it gets
	// no further messages, which then wait in its session (session.max_queued_*
	// says how many), and it is not read; below the low mark both go on.
	OutBufferHigh Bytes `yaml:"out_buffer_high" min:"4KiB" max:"1GiB" reload:"yes"`

	// See out_buffer_high.
	OutBufferLow Bytes `yaml:"out_buffer_low" min:"0" max:"1GiB" reload:"yes"`

	// Deliveries one turn of an event loop may cause; the rest of what was read
	// waits for the next turn, so that one large fan-out delays nobody else.
	DeliveriesPerTurn int `yaml:"deliveries_per_turn" min:"100" max:"10000000" reload:"yes"`

	// Hold MQTT 3.1 clients to identifiers of 1 to 23 characters, as its
	// specification says. Few clients ever did.
	V31StrictClientID bool `yaml:"v31_strict_client_id" reload:"yes"`

	// How fast one client may publish. Above a rate its connection is not read
	// until it is below; nothing is dropped.
	Rate Rate `yaml:"rate"`
}

// Rate is the token bucket of one client.
type Rate struct {
	// Messages per second. 0: no limit.
	Messages int `yaml:"messages" min:"0" max:"1000000000" reload:"yes"`

	// Messages that may come at once. 0: one second's worth.
	MessagesBurst int `yaml:"messages_burst" min:"0" max:"1000000000" reload:"yes"`

	// Bytes per second. 0: no limit.
	Bytes Bytes `yaml:"bytes" min:"0" max:"1TiB" reload:"yes"`

	// Bytes that may come at once. 0: one second's worth.
	BytesBurst Bytes `yaml:"bytes_burst" min:"0" max:"1TiB" reload:"yes"`
}

func defaultMQTT() MQTT {
	return MQTT{
		MaxPacketSize:           MiB,
		MaxClientID:             512,
		MaxTopicLength:          4096,
		MaxTopicLevels:          128,
		MatchSteps:              16_384,
		MaxFiltersPerSubscribe:  1000,
		MaxSubscriptions:        100_000,
		MaxUserProperties:       128,
		MaxQoS:                  2,
		RetainAvailable:         true,
		WildcardSubscriptions:   true,
		SharedSubscriptions:     true,
		SubscriptionIdentifiers: true,
		SharedStrategy:          SharedRoundRobin,
		KeepAliveFactor:         1.5,
		TopicAliasMaximum:       32,
		TopicAliasOut:           32,
		ReceiveMaximum:          1024,
		HandshakeTimeout:        10 * time.Second,
		ConnectTimeout:          10 * time.Second,
		WriteTimeout:            30 * time.Second,
		OutBufferHigh:           MiB,
		OutBufferLow:            256 * KiB,
		DeliveriesPerTurn:       50_000,
	}
}
