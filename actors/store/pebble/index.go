// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"slices"

	"emqttd/actors/store"
	"emqttd/protocol/packet"
)

// index is what the writer must know of the database without reading it: 8 bytes
// for each message that waits for a session, and who holds the shared ones. It
// belongs to the writer.
type index struct {
	sessions map[uint64]*session
	shared   map[uint64]uint32 // position of a message under spaceMessage -> sessions that hold it, > 0
	last     uint64            // highest position ever stored
}

type session struct {
	queue   queue                // held and not in flight
	flights map[packet.ID]flight // nil: none
	order   uint64               // of the flight sent last
}

// flight is one message in flight.
type flight struct {
	hold   hold   // 0: the flight's value has the message itself
	seq    uint64 // position
	order  uint64 // in which they were sent
	phase  store.Phase
	qos    packet.QoS // as it was delivered
	retain bool
}

// hold is a position a session holds, shifted left, and whether the message is
// shared.
type hold uint64

func newHold(seq uint64, shared bool) hold {
	if shared {
		return hold(seq<<1 | 1)
	}
	return hold(seq << 1)
}

func (h hold) seq() uint64  { return uint64(h >> 1) }
func (h hold) shared() bool { return h&1 != 0 }

// queue is holds, ascending. What leaves it is the first mostly, what enters it
// the last.
type queue struct {
	holds []hold
	gone  int // holds at the front that have left
}

func (q *queue) all() []hold { return q.holds[q.gone:] }

func (q *queue) find(seq uint64) (int, bool) {
	live := q.all()
	if n := len(live); n == 0 || live[n-1].seq() < seq {
		return n, false
	}
	if live[0].seq() == seq {
		return 0, true
	}
	return slices.BinarySearchFunc(live, seq, func(h hold, seq uint64) int {
		switch {
		case h.seq() < seq:
			return -1
		case h.seq() > seq:
			return 1
		}
		return 0
	})
}

// add adds seq and reports false when it is there already.
func (q *queue) add(h hold) bool {
	i, found := q.find(h.seq())
	if !found {
		q.holds = slices.Insert(q.holds, q.gone+i, h)
	}
	return !found
}

// set replaces the hold on the same position.
func (q *queue) set(h hold) {
	if i, found := q.find(h.seq()); found {
		q.holds[q.gone+i] = h
	}
}

// remove takes the hold on seq out; 0 when there is none.
func (q *queue) remove(seq uint64) hold {
	i, found := q.find(seq)
	if !found {
		return 0
	}
	h := q.holds[q.gone+i]
	live := q.all()
	if i > len(live)/2 { // the shorter part moves
		q.holds = slices.Delete(q.holds, q.gone+i, q.gone+i+1)
		return h
	}
	copy(live[1:i+1], live[:i])
	q.gone++
	switch live = q.all(); {
	case len(live) == 0:
		*q = queue{}
	case q.gone > 32 && q.gone > len(live):
		*q = queue{holds: slices.Clone(live)} // also gives memory back that a long absence took
	}
	return h
}
