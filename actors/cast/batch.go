// SPDX-License-Identifier: Apache-2.0

package cast

import "emqttd/protocol/packet"

// cursor is the place in a batch. What lies before it is committed and never
// decided again; a decision may go on beyond it, part by part, and is forgotten if
// it crashes.
type cursor struct {
	at    int // parts whose decision is committed
	ahead int // parts that the decision under way has gone past
}

// Next goes on to the next part, in the same decision.
func (c *cursor) Next() { c.ahead++ }

// Moved reports whether the decision has gone past a part.
func (c *cursor) Moved() bool { return c.ahead > 0 }

// Rewind implements cell.Batch: back to the first part that is not committed.
func (c *cursor) Rewind() { c.ahead = 0 }

// Advance implements cell.Batch: what the decision has gone past is committed.
func (c *cursor) Advance() { c.at, c.ahead = c.at+c.ahead, 0 }

// Place implements cell.Batch.
func (c *cursor) Place() int { return c.at + c.ahead }

// packets are some for one receiver, in the order of their coming.
type packets struct {
	Packets []packet.Packet
	// Acks follow Packets: a run of acknowledgements, of which there is one for nearly
	// every message.
	Acks []packet.Ack
}

// Join adds a packet. An acknowledgement is copied.
func (s *packets) Join(p packet.Packet) {
	if a, ok := p.(*packet.Ack); ok {
		s.Acks = append(s.Acks, *a)
		return
	}
	for _, a := range s.Acks { // they come before p
		s.Packets = append(s.Packets, &a)
	}
	s.Acks = s.Acks[:0]
	s.Packets = append(s.Packets, p)
}

// All calls yield for each packet.
func (s *packets) All(yield func(packet.Packet) bool) {
	for _, p := range s.Packets {
		if !yield(p) {
			return
		}
	}
	for i := range s.Acks {
		if !yield(&s.Acks[i]) {
			return
		}
	}
}

// Len is the number of packets.
func (s *packets) Len() int { return len(s.Packets) + len(s.Acks) }

// reset empties it, and reports whether its memory is fit to be used again.
func (s *packets) reset() bool {
	clear(s.Packets)
	clear(s.Acks)
	s.Packets, s.Acks = s.Packets[:0], s.Acks[:0]
	return max(cap(s.Packets), cap(s.Acks)) <= keptParts
}

// keptParts is how large a message may be whose memory is used again.
const keptParts = 4096
