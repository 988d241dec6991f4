// SPDX-License-Identifier: Apache-2.0

package bench

// packetIDs hands out packet identifiers that are not in use
// [v3.1.1 MQTT-2.3.1-2, v5 MQTT-2.2.1-3].
type packetIDs struct {
	used [1 << 16 / 64]uint64
	last uint16
	n    int // in use; <= 65 535
}

// take must not be called with all 65 535 in use.
func (s *packetIDs) take() uint16 {
	for {
		s.last++
		word, bit := s.last/64, uint64(1)<<(s.last%64)
		if s.last != 0 && s.used[word]&bit == 0 {
			s.used[word] |= bit
			s.n++
			return s.last
		}
	}
}

// release reports false if id was not in use.
func (s *packetIDs) release(id uint16) bool {
	word, bit := id/64, uint64(1)<<(id%64)
	if s.used[word]&bit == 0 {
		return false
	}
	s.used[word] &^= bit
	s.n--
	return true
}
