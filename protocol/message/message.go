// SPDX-License-Identifier: Apache-2.0

// Package message is an application message inside the broker, between the
// PUBLISH that brought it and the PUBLISH packets that deliver it. It is
// emqttd_message with emqttd_guid, whose random 128 bits are a log position
// here: global, ordered, and known to the store.
package message

import (
	"strings"
	"time"
	"unsafe"

	"emqttd/protocol/packet"
)

// ID is the position of a message in the store's log: shard 0 on one machine,
// and a sequence that starts at 1. The zero ID says that nobody stored the
// message.
type ID struct {
	Shard uint16
	Seq   uint64
}

// Message is immutable once it is dispatched; sessions share it. One of a Loan is good
// as long as that is held.
type Message struct {
	ID      ID
	From    string // client id of the publisher, for No Local and order
	Topic   string
	Payload []byte
	QoS     packet.QoS
	Retain  bool // as published
	// Properties are those that travel with the message: payload format, content
	// type, response topic, correlation data, user properties. Nil when there
	// are none. Message expiry stands in Expiry.
	Properties *packet.Properties
	At         int64 // when it was accepted, nanoseconds since the Unix epoch
	Expiry     int64 // deadline, nanoseconds since the Unix epoch; 0: none
}

// Size is what the message is charged for in queues: its bytes and a constant
// for the book-keeping.
func (m *Message) Size() int { return SizeOf(len(m.Topic), len(m.Payload)) }

// SizeOf is the Size of a message whose topic and payload have so many bytes.
func SizeOf(topic, payload int) int { return topic + payload + overhead }

const overhead = 128

// Expired reports whether the message's deadline has passed.
func (m *Message) Expired(now int64) bool { return m.Expiry != 0 && now >= m.Expiry }

// Left is the message expiry interval to send on, in seconds, at least 1
// [v5 MQTT-3.3.2-6].
func (m *Message) Left(now int64) uint32 {
	return uint32(max(1, (m.Expiry-now+int64(time.Second)-1)/int64(time.Second)))
}

// FromPublish copies a PUBLISH, whose bytes belong to a read buffer. The topic is
// given, since an alias may have stood for it.
func FromPublish(p *packet.Publish, topic, from string, now int64) *Message {
	return new(Slab).FromPublish(p, topic, from, now)
}

// Slab is memory for the messages of one connection: a few messages share an
// allocation, and so do payloads of up to 2 KiB. A message that is kept keeps its
// neighbours, 13 KB at most. The zero value is empty; one goroutine uses it at
// a time, and what it gave out it never takes back.
type Slab struct {
	messages []Message
	bytes    []byte
	next     int // messages of the next allocation
}

const (
	slabMessages = 16
	// The runtime carves a span into four blocks of this size. A block of 8 KiB is a
	// span of its own, to be had from the heap and given back each time.
	slabBytes = 10240
)

// FromPublish is FromPublish with the slab's memory.
func (s *Slab) FromPublish(p *packet.Publish, topic, from string, now int64) *Message {
	if len(s.messages) == 0 {
		// A connection that publishes now and then gets one, a busy one sixteen.
		s.next = min(slabMessages, max(1, 2*s.next))
		s.messages = make([]Message, s.next)
	}
	m := &s.messages[0]
	s.messages = s.messages[1:]
	// Field by field: a literal is built aside and copied in wide words, which wait
	// for its narrow stores.
	m.From, m.Topic, m.At = from, topic, now
	m.QoS, m.Retain = p.QoS, p.Retain
	switch n := len(p.Payload); {
	case n > slabBytes/5:
		m.Payload = append([]byte(nil), p.Payload...) // memory that append need not clear
	case n > 0:
		m.Payload = append(s.room(n), p.Payload...)
	}
	m.Properties, m.Expiry = travelling(p.Properties, now)
	return m
}

// room is an empty slice with capacity n.
func (s *Slab) room(n int) []byte {
	if s.next < slabMessages {
		return make([]byte, 0, n)
	}
	if len(s.bytes) < n {
		s.bytes = uncleared(slabBytes)
	}
	b := s.bytes[:0:n]
	s.bytes = s.bytes[n:]
	return b
}

// uncleared is n bytes that hold whatever they held before: room hands out each once,
// to be written over. Of what the runtime offers, strings.Builder alone does not
// clear memory, which for payloads of 1 KiB is 7 % of a broker's work.
func uncleared(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0) // a string of no bytes need not point anywhere
	return unsafe.Slice(unsafe.StringData(b.String()), n)
}

// FromWill makes the message of a will. It keeps w's memory.
func FromWill(w *packet.Will, from string, now int64) *Message {
	m := &Message{From: from, Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain, At: now}
	m.Properties, m.Expiry = travelling(w.Properties, now)
	return m
}

// travelling are the properties that go on to subscribers, unaltered and in
// order [v5 MQTT-3.3.2-4 -15 -16 -17 -18 -20], and the deadline.
func travelling(p *packet.Properties, now int64) (*packet.Properties, int64) {
	if p.Empty() {
		return nil, 0
	}
	var expiry int64
	if p.Has(packet.PropMessageExpiry) {
		expiry = now + int64(p.MessageExpiry)*int64(time.Second)
	}
	q := &packet.Properties{User: p.User}
	if p.Has(packet.PropPayloadFormat) {
		q.Set(packet.PropPayloadFormat).PayloadFormat = p.PayloadFormat
	}
	if p.Has(packet.PropContentType) {
		q.Set(packet.PropContentType).ContentType = p.ContentType
	}
	if p.Has(packet.PropResponseTopic) {
		q.Set(packet.PropResponseTopic).ResponseTopic = p.ResponseTopic
	}
	if p.Has(packet.PropCorrelationData) {
		q.Set(packet.PropCorrelationData).CorrelationData = p.CorrelationData
	}
	if q.Empty() {
		return nil, expiry
	}
	return q, expiry
}
