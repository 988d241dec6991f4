// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"time"
)

// Every payload begins with a stamp, big endian:
//
//	run uint32 | publisher uint32 | sequence uint64 | time int64 (ns since 1970)
//
// and is filled up to the wanted size. The run tells messages of this run from
// what an earlier one left in the broker.
const stampSize = 4 + 4 + 8 + 8

type stamp struct {
	publisher uint32
	seq       uint64
	at        int64
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

// began anchors nanos: wall clock, so that two processes can share stamps, but
// advancing with the monotonic one, so that a set clock cannot make a latency.
var began = time.Now()

var beganUnix = began.UnixNano()

func nanos() int64 { return beganUnix + int64(time.Since(began)) }
