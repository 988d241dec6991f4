// SPDX-License-Identifier: Apache-2.0

package packet

import "strconv"

// Version is the protocol level byte of CONNECT [v3.1.1 3.1.2.2, v5 3.1.2.2].
type Version uint8

const (
	V31  Version = 3 // protocol name "MQIsdp"
	V311 Version = 4 // protocol name "MQTT"
	V5   Version = 5 // protocol name "MQTT"
)

// Valid reports whether v is a version this codec speaks.
func (v Version) Valid() bool { return v >= V31 && v <= V5 }

// Name is the protocol name that goes with v in CONNECT.
func (v Version) Name() string {
	if v == V31 {
		return "MQIsdp"
	}
	return "MQTT"
}

// String is the version as people write it: "3.1", "3.1.1", "5.0".
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "level " + strconv.Itoa(int(v))
}

// Type is the control packet type, the high nibble of the first byte
// [v3.1.1 2.2.1, v5 2.1.2].
type Type uint8

const (
	RESERVED    Type = 0
	CONNECT     Type = 1
	CONNACK     Type = 2
	PUBLISH     Type = 3
	PUBACK      Type = 4
	PUBREC      Type = 5
	PUBREL      Type = 6
	PUBCOMP     Type = 7
	SUBSCRIBE   Type = 8
	SUBACK      Type = 9
	UNSUBSCRIBE Type = 10
	UNSUBACK    Type = 11
	PINGREQ     Type = 12
	PINGRESP    Type = 13
	DISCONNECT  Type = 14
	AUTH        Type = 15 // 5.0 only; reserved before
)

var typeNames = [16]string{
	"RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
}

func (t Type) String() string { return typeNames[t&15] }

// QoS is the quality of service of a message or the maximum of a subscription.
type QoS uint8

const (
	QoS0 QoS = 0 // at most once
	QoS1 QoS = 1 // at least once
	QoS2 QoS = 2 // exactly once
)

// ID is a packet identifier; 0 means "none" and is never valid on the wire
// [v3.1.1 MQTT-2.3.1-1, v5 MQTT-2.2.1-3].
type ID uint16

// MaxRemainingLength is the largest remaining length four bytes can carry
// [v3.1.1 2.2.3, v5 2.1.4].
const MaxRemainingLength = 268_435_455
