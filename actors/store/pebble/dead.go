// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"encoding/binary"

	"emqttd/actors/store"
	"emqttd/protocol/packet"
)

// Bits of a dead letter; the lowest two are its QoS.
const deadRetain = 1 << 2

// appendDead appends a dead letter: version, bits, time of the crash, its reason,
// and the message to the end. The serial is in the key.
func appendDead(dst []byte, x *store.Dead) []byte {
	bits := byte(x.QoS & 3)
	if x.Retain {
		bits |= deadRetain
	}
	dst = binary.BigEndian.AppendUint64(append(dst, version, bits), uint64(x.At))
	return appendMessage(appendText(dst, x.Reason), x.Message, true)
}

func (d *decoder) dead(serial uint64) store.Dead {
	d.want(d.byte() == version)
	bits := d.byte()
	d.want(bits&3 <= byte(packet.QoS2) && bits < deadRetain<<1)
	x := store.Dead{Serial: serial, QoS: packet.QoS(bits & 3), Retain: bits&deadRetain != 0, At: int64(d.uint64()), Reason: d.text()}
	x.Message = d.message("")
	return x
}
