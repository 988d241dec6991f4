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

func (c *cursor) place() int { return c.at + c.ahead }

// packets is the content of a message that others can join before it is
// performed.
type packets struct {
	Packets []packet.Packet
	acks    []packet.Ack // the acknowledgements among them
}

// Join adds a packet (cell.Joinable). Acknowledgements, of which there is one for
// nearly every message, are copied: the caller may use their memory again.
func (s *packets) Join(p any) {
	if a, ok := p.(*packet.Ack); ok {
		s.acks = append(s.acks, *a) // if it moves, the packets before keep what it was
		s.Packets = append(s.Packets, &s.acks[len(s.acks)-1])
		return
	}
	s.Packets = append(s.Packets, p.(packet.Packet))
}

// reset empties it, and reports whether its memory is fit to be used again.
func (s *packets) reset() bool {
	clear(s.Packets)
	clear(s.acks)
	s.Packets, s.acks = s.Packets[:0], s.acks[:0]
	return cap(s.Packets) <= keptParts
}

// keptParts is how large a message may be whose memory is used again.
const keptParts = 4096
