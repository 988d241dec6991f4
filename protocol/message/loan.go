// SPDX-License-Identifier: Apache-2.0

package message

import (
	"sync"
	"sync/atomic"

	"emqttd/protocol/packet"
)

// Loan is the memory of the QoS 0 messages of one read, which most often are in the
// out-buffers of their receivers before the next read, and nowhere else: then it is
// used again, by whoever reads next, while it is still in the processor's cache.
//
// Whoever has a message of the loan on his hands is a holder: the fan-out, each
// Dispatch that it makes, each Deliver that a session makes of one. A holder that is
// done drops it, and with the last one the memory is had back. Whoever keeps a message
// for longer takes a copy (Message.Copy). A holder that never drops it, as one whose
// decision has crashed, costs nothing but the memory: it is the collector's then.
type Loan struct {
	holders  atomic.Int32
	messages arena[[slabMessages]Message]
	payloads arena[[slabBytes]byte]
	left     []Message  // of the newest block of messages
	room     []byte     // of the newest block of payloads
	lists    []*Message // see List
	list     []*Message // of lists, what is free
}

// What one that is had back keeps for the next.
const (
	keptMessages = 2048 // 210 KB, and as many places in lists
	keptPayloads = 32   // blocks of slabBytes
)

// arena is blocks of a size, each as large as an allocation of a Slab.
type arena[B any] struct {
	blocks []*B
	used   int
}

// next is the next block.
func (a *arena[B]) next() *B {
	if a.used == len(a.blocks) {
		a.blocks = append(a.blocks, new(B))
	}
	a.used++
	return a.blocks[a.used-1]
}

// reset has them all back, and keeps so many.
func (a *arena[B]) reset(keep int) {
	if len(a.blocks) > keep {
		clear(a.blocks[keep:])
		a.blocks = a.blocks[:keep]
	}
	a.used = 0
}

var loans = sync.Pool{New: func() any { return new(Loan) }}

// Borrow is an empty loan that nobody holds.
func Borrow() *Loan { return loans.Get().(*Loan) }

// FromPublish copies a PUBLISH of QoS 0 without RETAIN and properties, as
// Slab.FromPublish does.
func (l *Loan) FromPublish(p *packet.Publish, topic, from string, now int64) *Message {
	n := len(p.Payload)
	own := n > slabBytes/5
	if len(l.left) == 0 {
		l.left = l.messages.next()[:]
	}
	if !own && len(l.room) < n {
		l.room = l.payloads.next()[:]
	}
	m := &l.left[0]
	l.left = l.left[1:]
	m.ID, m.From, m.Topic, m.At = ID{}, from, topic, now
	m.QoS, m.Retain, m.Properties, m.Expiry = packet.QoS0, false, nil, 0
	switch {
	case own:
		m.Payload = append([]byte(nil), p.Payload...)
	case n > 0:
		m.Payload = append(l.room[:0:n], p.Payload...)
		l.room = l.room[n:]
	default:
		m.Payload = nil
	}
	return m
}

// List is an empty slice for about n messages of the loan, which goes back with
// them.
func (l *Loan) List(n int) []*Message {
	if len(l.list) < n {
		l.lists = make([]*Message, max(2*n, 64))
		l.list = l.lists
	}
	s := l.list[:0:n]
	l.list = l.list[n:]
	return s
}

// Hold adds a holder. Whoever calls it is one, or the decision that has borrowed it.
func (l *Loan) Hold() { l.holders.Add(1) }

// Drop is the last that a holder does with it.
func (l *Loan) Drop() {
	if l.holders.Add(-1) == 0 {
		l.giveBack()
	}
}

// Unused gives back what the decision that has borrowed it has given to nobody.
func (l *Loan) Unused() {
	if l.holders.Load() == 0 {
		l.giveBack()
	}
}

// giveBack makes it ready for the next one.
func (l *Loan) giveBack() {
	if Scribble {
		l.scribble()
	}
	l.messages.reset(keptMessages / slabMessages)
	l.payloads.reset(keptPayloads)
	if len(l.lists) > keptMessages {
		l.lists = nil
	}
	l.left, l.room, l.list = nil, nil, l.lists
	loans.Put(l)
}

// Scribble is set by tests and simulations, before there is a loan: what is had back is
// written over, so that whoever still reads it is found.
var Scribble bool

var hadBack = []byte("had back")

func (l *Loan) scribble() {
	for _, b := range l.messages.blocks[:l.messages.used] {
		for i := range b {
			b[i] = Message{Topic: "had back", From: "had back", Payload: hadBack}
		}
	}
	for _, b := range l.payloads.blocks[:l.payloads.used] {
		for i := range b {
			b[i] = 0xDB
		}
	}
}

// Copy is m in memory of its own.
func (m *Message) Copy() *Message {
	c := *m
	if len(m.Payload) > 0 {
		c.Payload = append([]byte(nil), m.Payload...)
	}
	return &c
}
