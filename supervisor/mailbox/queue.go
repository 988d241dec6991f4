// SPDX-License-Identifier: Apache-2.0

// Package mailbox is the queue of a cell: many producers, one consumer, no
// allocation, order of arrival kept.
//
// It is the message queue of an Erlang process. It belongs to the cell, not to
// the incarnation of its actor: a restart or an unexpected stop leaves it as it
// is, and the message in work stays at the head until its commit. It is part of
// the trusted core: a fault here ends the process.
package mailbox

import "sync/atomic"

// Message is anything that can stand in a Queue: a pointer to a struct that
// embeds Link. A message stands in one queue at a time and belongs to its
// receiver from Push on.
type Message interface{ link() *Link }

// Link is embedded by messages; it is the message's place in a queue.
type Link struct {
	next *Link
	msg  Message // what embeds this link; nil while in no queue
}

func (l *Link) link() *Link { return l }

// Queue is an intrusive queue. Push may be called from anywhere; Peek, Pop and
// Len's exactness are the consumer's alone. The zero value is empty.
//
// Producers push on an atomic stack; the consumer takes the whole stack when
// its own list is empty and turns it round, so a push costs one atomic
// exchange and a pop none.
type Queue struct {
	in   atomic.Pointer[Link] // newest first
	head *Link                // consumer's list, oldest first
	n    atomic.Int32
}

// Push appends m. It panics when m already stands in a queue: a message has
// one owner.
func (q *Queue) Push(m Message) {
	l := m.link()
	if l.msg != nil {
		panic("mailbox: message is in a queue already")
	}
	l.msg = m
	q.n.Add(1)
	for {
		old := q.in.Load()
		l.next = old
		if q.in.CompareAndSwap(old, l) {
			return
		}
	}
}

// Peek is the oldest message, or nil. It stays in the queue.
func (q *Queue) Peek() Message {
	if q.head == nil && !q.take() {
		return nil
	}
	return q.head.msg
}

// take moves what producers have pushed into the consumer's list.
func (q *Queue) take() bool {
	if q.in.Load() == nil { // a consumer looks in vain once for each message or two
		return false
	}
	l := q.in.Swap(nil) // which only the consumer empties
	var head *Link
	for l != nil {
		next := l.next
		l.next = head
		head, l = l, next
	}
	q.head = head
	return true
}

// Pop removes what Peek returned last. The message may be pushed again.
func (q *Queue) Pop() {
	l := q.head
	q.head = l.next
	l.next, l.msg = nil, nil
	q.n.Add(-1)
}

// PushFront puts m before every other message: the consumer's way to hand a
// message in again.
func (q *Queue) PushFront(m Message) {
	l := m.link()
	if l.msg != nil {
		panic("mailbox: message is in a queue already")
	}
	l.msg = m
	l.next = q.head
	if q.head == nil && q.take() {
		l.next = q.head
	}
	q.head = l
	q.n.Add(1)
}

// Empty reports whether there is nothing to take. Producers may change the
// answer at any time.
func (q *Queue) Empty() bool { return q.head == nil && q.in.Load() == nil }

// Len is the number of messages, exact when no producer is at work.
func (q *Queue) Len() int { return int(q.n.Load()) }
