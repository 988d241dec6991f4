// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// Slab is storage for the packets of one turn: PUBLISH and the four
// acknowledgements, which are nearly all there are. Packets taken from it stay
// where they are until Reset. One goroutine uses it at a time; the zero value
// is ready.
type Slab struct {
	publishes chunks[packet.Publish]
	acks      chunks[packet.Ack]
}

// Reset takes every packet back. What they pointed to is let go, the chunks are
// kept, up to keptChunks.
func (s *Slab) Reset() {
	s.publishes.reset()
	s.acks.reset()
}

func (s *Slab) publish() *packet.Publish {
	if s == nil {
		return new(packet.Publish)
	}
	return s.publishes.next()
}

func (s *Slab) ack() *packet.Ack {
	if s == nil {
		return new(packet.Ack)
	}
	return s.acks.next()
}

const (
	chunkLength = 64 // packets
	keptChunks  = 16 // so that one crowded turn does not keep its memory for ever
)

// chunks hands out zeroed entries one by one. Growing adds a chunk and moves
// nothing.
type chunks[T interface{ packet.Publish | packet.Ack }] struct {
	all  []*[chunkLength]T
	used int // entries handed out since reset
}

func (c *chunks[T]) next() *T {
	i := c.used / chunkLength
	if i == len(c.all) {
		c.all = append(c.all, new([chunkLength]T))
	}
	e := &c.all[i][c.used%chunkLength]
	c.used++
	return e
}

func (c *chunks[T]) reset() {
	for i := 0; i*chunkLength < c.used && i < keptChunks; i++ {
		clear(c.all[i][:min(chunkLength, c.used-i*chunkLength)])
	}
	if len(c.all) > keptChunks {
		clear(c.all[keptChunks:])
		c.all = c.all[:keptChunks]
	}
	c.used = 0
}
