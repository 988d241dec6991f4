// SPDX-License-Identifier: Apache-2.0

package parser

// Body is the buffer of an unfinished packet.
func Body(p Parser) []byte { return p.body }

// The limits of a Slab.
const (
	ChunkLength = chunkLength
	KeptChunks  = keptChunks
)

// Chunks is how many chunks of PUBLISH s holds.
func Chunks(s *Slab) int { return len(s.publishes.all) }
