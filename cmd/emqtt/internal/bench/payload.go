// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"
)

// Every payload begins with a stamp, big endian:
//
//	run uint32 | publisher uint32 | sequence uint64 | time int64 (ns since 1970)
//
// and is filled up to the wanted size, see putFiller. The run tells messages of
// this run from what an earlier one left in the broker.
const stampSize = 4 + 4 + 8 + 8

type stamp struct {
	publisher uint32
	seq       uint64
	at        int64
}

// putPayload makes b the payload of a publisher's message number n.
func putPayload(b []byte, run uint32, s stamp, n int64) {
	putStamp(b, run, s)
	putFiller(b[stampSize:], s.publisher, uint64(n))
}

func putStamp(b []byte, run uint32, s stamp) {
	_ = b[stampSize-1]
	binary.BigEndian.PutUint32(b, run)
	binary.BigEndian.PutUint32(b[4:], s.publisher)
	binary.BigEndian.PutUint64(b[8:], s.seq)
	binary.BigEndian.PutUint64(b[16:], uint64(s.at))
}

// readStamp reports false for a payload that is not of this run.
func readStamp(b []byte, run uint32) (s stamp, ok bool) {
	if len(b) < stampSize || binary.BigEndian.Uint32(b) != run {
		return s, false
	}
	return stamp{
		publisher: binary.BigEndian.Uint32(b[4:]),
		seq:       binary.BigEndian.Uint64(b[8:]),
		at:        int64(binary.BigEndian.Uint64(b[16:])),
	}, true
}

// putFiller fills b for message number seq of a publisher with bytes that do not
// compress, and that its neighbours do not have: what a broker writes to its disk
// would look smaller than it is.
func putFiller(b []byte, publisher uint32, seq uint64) {
	for n := seq ^ uint64(publisher)<<40; len(b) > 0; n += 1 << 56 {
		at := n * 0x9E3779B97F4A7C15 >> (64 - fillerBits) // neighbours far from each other
		b = b[copy(b, filler()[at:]):]
	}
}

const fillerBits = 18 // of its size: it stays in a processor's cache

var filler = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<fillerBits)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
})

// began anchors nanos: wall clock, so that two processes can share stamps, but
// advancing with the monotonic one, so that a set clock cannot make a latency.
var began = time.Now()

var beganUnix = began.UnixNano()

func nanos() int64 { return beganUnix + int64(time.Since(began)) }
