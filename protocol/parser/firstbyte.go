// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// firstByteFaults is the verdict on every first byte, by role and version row:
// one look-up on the hot path instead of a ladder.
var firstByteFaults = func() (table [2][4][256]packet.Fault) {
	for role := range table {
		for _, v := range []packet.Version{0, packet.V31, packet.V311, packet.V5} {
			for b := range 256 {
				table[role][versionRow(v)][b] = judgeFirstByte(Role(role), v, byte(b))
			}
		}
	}
	return table
}()

// versionRow is 0 before CONNECT, then 1, 2, 3 for 3.1, 3.1.1, 5.0.
func versionRow(v packet.Version) int { return max(0, int(v)-2) & 3 }

func judgeFirstByte(role Role, v packet.Version, b byte) packet.Fault {
	t, flags := packet.Type(b>>4), b&0x0f
	switch {
	case t == packet.RESERVED:
		return packet.FaultReservedType
	case role == Server && v == 0 && t != packet.CONNECT:
		return packet.FaultNotConnected // [v3.1.1 MQTT-3.1.0-1, v5 MQTT-3.1.0-1]
	case t == packet.AUTH && v != packet.V5:
		return packet.FaultReservedType
	case !mayReceive(role, v, t):
		return packet.FaultDirection
	case t == packet.PUBLISH:
		return judgePublishFlags(v, flags)
	case flags == fixedFlags(t):
		return packet.FaultNone
	case v == packet.V31 && fixedFlags(t) == 0x02 && flags == 0x0a:
		// 3.1 let PUBREL, SUBSCRIBE and UNSUBSCRIBE carry DUP when they are
		// sent again (MQTT 3.1, sections 3.6, 3.8, 3.10).
		return packet.FaultNone
	}
	return packet.FaultFixedFlags
}

// mayReceive reports whether the other side may send t at all
// [v3.1.1 2.2.1, v5 2.1.2].
func mayReceive(role Role, v packet.Version, t packet.Type) bool {
	switch t {
	case packet.CONNECT, packet.SUBSCRIBE, packet.UNSUBSCRIBE, packet.PINGREQ:
		return role == Server
	case packet.CONNACK, packet.SUBACK, packet.UNSUBACK, packet.PINGRESP:
		return role == Client
	case packet.DISCONNECT:
		return role == Server || v == packet.V5
	}
	return true
}

// fixedFlags are the flags that every packet of type t must carry, PUBLISH
// apart [v3.1.1 MQTT-2.2.2-1, v5 2.1.3].
func fixedFlags(t packet.Type) byte {
	switch t {
	case packet.PUBREL, packet.SUBSCRIBE, packet.UNSUBSCRIBE:
		return 0x02
	}
	return 0
}

func judgePublishFlags(v packet.Version, flags byte) packet.Fault {
	switch qos, dup := flags>>1&3, flags&0x08 != 0; {
	case qos == 3:
		return packet.FaultQoS3 // [v3.1.1 MQTT-3.3.1-4, v5 MQTT-3.3.1-4]
	case dup && qos == 0 && v != packet.V31:
		return packet.FaultFixedFlags // [v3.1.1 MQTT-3.3.1-2, v5 MQTT-3.3.1-2]; 3.1 has no such rule
	}
	return packet.FaultNone
}
