// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"math/bits"
	"math/rand/v2"
)

// hasher turns a level into 32 bits. Its key is secret, so that a peer cannot
// choose levels that collide; and it is ours rather than hash/maphash, because
// the hash decides the order of a walk and a simulation must be able to repeat
// that order from its seed.
type hasher struct{ a, b uint64 }

// randomHasher has a key from the runtime's cryptographic generator.
func randomHasher() hasher { return hasher{rand.Uint64(), rand.Uint64() | 1} }

// seededHasher is the same for the same seed in every process.
func seededHasher(seed uint64) hasher {
	r := rand.NewPCG(seed, seed)
	return hasher{r.Uint64(), r.Uint64() | 1}
}

// hash folds s eight bytes at a time with one wide multiplication each. The
// length goes in first, so that a tail of zero bytes counts; times the key, or a
// first byte could take it out again ("2" and "12" have the same tail but for it).
func (k hasher) hash(s string) uint32 {
	h := k.a ^ uint64(len(s))*k.b
	for len(s) > 8 {
		h = fold(h^word(s), k.b)
		s = s[8:]
	}
	h = fold(h^tail(s), k.b)
	return uint32(fold(h, k.a|1) >> 32)
}

func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

// word reads the first eight bytes of s; the compiler makes it one load.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func half(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// tail reads the at most eight bytes of s, some perhaps twice.
func tail(s string) uint64 {
	switch n := len(s); {
	case n >= 4:
		return half(s) | half(s[n-4:])<<32
	case n > 0:
		return uint64(s[0]) | uint64(s[n>>1])<<8 | uint64(s[n-1])<<16
	}
	return 0
}
