// SPDX-License-Identifier: Apache-2.0

package parser

import "emqttd/protocol/packet"

// stage is the part of a packet that the next byte belongs to.
type stage uint8

const (
	stageFirst  stage = iota // type and flags
	stageLength              // remaining length, one to four bytes
	stageBody                // the rest
)

// header is the fixed header as far as it is read.
type header struct {
	stage       stage
	first       byte   // type and flags
	lengthBytes uint8  // bytes of the remaining length so far
	length      uint32 // remaining length so far, bytes
}

func (h header) packetType() packet.Type { return packet.Type(h.first >> 4) }

// minimal reports whether the remaining length could not have been said in
// fewer bytes.
func (h header) minimal() bool {
	return h.lengthBytes == 1 || h.length>>(7*(h.lengthBytes-1)) != 0
}

// feed adds one byte to the fixed header, and refuses the packet as soon as
// this byte proves it wrong.
func (p *Parser) feed(h header, b byte) (header, packet.Fault) {
	if h.stage == stageFirst {
		h.first, h.stage = b, stageLength
		return h, firstByteFaults[p.role][versionRow(p.version)][b]
	}
	h.length |= uint32(b&0x7f) << (7 * h.lengthBytes)
	h.lengthBytes++
	size := 1 + uint32(h.lengthBytes) + h.length // at least; a later byte only adds
	if b&0x80 != 0 {
		if h.lengthBytes == 4 {
			return h, packet.FaultLengthEncoding
		}
		if size+1 > p.max {
			return h, packet.FaultPacketTooLarge
		}
		return h, packet.FaultNone
	}
	if size > p.max {
		return h, packet.FaultPacketTooLarge
	}
	// 3.x does not ask for the shortest form; 5.0 does [v5 MQTT-1.5.5-1].
	if p.version == packet.V5 && !h.minimal() {
		return h, packet.FaultVarint
	}
	h.stage = stageBody
	return h, checkLength(h, p.version)
}

// short is feed for the first byte and a remaining length of one byte together.
func (p *Parser) short(first, length byte) (h header, fault packet.Fault) {
	h.first, h.stage = first, stageLength
	if fault = firstByteFaults[p.role][versionRow(p.version)][first]; fault != packet.FaultNone {
		return h, fault
	}
	h.length, h.lengthBytes, h.stage = uint32(length), 1, stageBody
	if 2+uint32(length) > p.max {
		return h, packet.FaultPacketTooLarge
	}
	return h, checkLength(h, p.version)
}

// checkLength refuses a remaining length that no packet of its type can have.
func checkLength(h header, v packet.Version) packet.Fault {
	bounds := &v3Lengths
	if v == packet.V5 {
		bounds = &v5Lengths
	}
	switch b := bounds[h.packetType()]; {
	case h.length < b.least:
		return packet.FaultTruncated
	case h.length > b.most:
		return packet.FaultTrailing
	}
	return packet.FaultNone
}

type lengthBounds struct{ least, most uint32 } // bytes of remaining length

// noMost: the encoding is the only bound.
const noMost = packet.MaxRemainingLength

// The shortest CONNECT that can still say which level it asks for has a four
// letter name; whatever is shorter is cut off.
var v3Lengths = [16]lengthBounds{
	packet.CONNECT:     {2 + 4 + 1, noMost},
	packet.CONNACK:     {2, 2},
	packet.PUBLISH:     {2, noMost}, // topic; QoS 1 and 2: packet identifier
	packet.PUBACK:      {2, 2},
	packet.PUBREC:      {2, 2},
	packet.PUBREL:      {2, 2},
	packet.PUBCOMP:     {2, 2},
	packet.SUBSCRIBE:   {2, noMost},
	packet.SUBACK:      {2 + 1, noMost},
	packet.UNSUBSCRIBE: {2, noMost},
	packet.UNSUBACK:    {2, 2},
	packet.PINGREQ:     {0, 0},
	packet.PINGRESP:    {0, 0},
	packet.DISCONNECT:  {0, 0},
}

var v5Lengths = [16]lengthBounds{
	packet.CONNECT:     {2 + 4 + 1, noMost},
	packet.CONNACK:     {2, noMost}, // 3 and more, but see decoder.connack
	packet.PUBLISH:     {2 + 1, noMost},
	packet.PUBACK:      {2, noMost},
	packet.PUBREC:      {2, noMost},
	packet.PUBREL:      {2, noMost},
	packet.PUBCOMP:     {2, noMost},
	packet.SUBSCRIBE:   {2 + 1, noMost},
	packet.SUBACK:      {2 + 1 + 1, noMost},
	packet.UNSUBSCRIBE: {2 + 1, noMost},
	packet.UNSUBACK:    {2 + 1 + 1, noMost},
	packet.PINGREQ:     {0, 0},
	packet.PINGRESP:    {0, 0},
	packet.DISCONNECT:  {0, noMost},
	packet.AUTH:        {0, noMost},
}
