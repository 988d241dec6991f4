// SPDX-License-Identifier: Apache-2.0

package serializer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"emqttd/protocol/packet"
)

var (
	// ErrTooLarge is returned when the remaining length would exceed
	// 268 435 455 bytes [v3.1.1 2.2.3, v5 2.1.4].
	ErrTooLarge = errors.New("serializer: packet too large")
	// ErrInvalid is wrapped by every other error: the packet cannot be said in
	// the version. The text says why.
	ErrInvalid = errors.New("serializer: invalid packet")
)

func invalid(t packet.Type, why string) error {
	return fmt.Errorf("%w: %v: %s", ErrInvalid, t, why)
}

// layout is what must be known of a packet before its first byte is written.
type layout struct {
	remaining int // bytes behind the fixed header
	props     int // bytes of its properties, without their length
	willProps int // CONNECT: bytes of the will's properties, without their length
	short     short
}

// short says how much of its tail a 5.0 acknowledgement, DISCONNECT or AUTH
// leaves away.
type short uint8

const (
	full    short = iota // reason code and properties
	noProps              // reason code, no property length
	noTail               // neither
)

// Append appends the encoding of p for version v to dst and returns the
// extended slice; on an error it returns dst as it was. It never retains dst.
// A Connect that names its Version is written in that one, which must be v.
func Append(dst []byte, p packet.Packet, v packet.Version) ([]byte, error) {
	if m, ok := p.(*packet.Publish); ok {
		return AppendPublish(dst, m, v)
	}
	l, err := measure(p, v)
	if err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, frameSize(l.remaining))
	dst = append(dst, byte(p.Type())<<4|fixedFlags(p.Type()))
	dst = appendVarint(dst, uint32(l.remaining))
	switch m := p.(type) {
	case *packet.Connect:
		return appendConnect(dst, m, v, l), nil
	case *packet.Connack:
		return appendConnack(dst, m, v, l), nil
	case *packet.Ack:
		return appendAck(dst, m, l), nil
	case *packet.Subscribe:
		return appendSubscribe(dst, m, v, l), nil
	case *packet.Suback:
		return appendSuback(dst, m, v, l), nil
	case *packet.Unsubscribe:
		return appendUnsubscribe(dst, m, v, l), nil
	case *packet.Unsuback:
		return appendUnsuback(dst, m, v, l), nil
	case *packet.Disconnect:
		return appendTail(dst, m.Code, m.Properties, l), nil
	case *packet.Auth:
		return appendTail(dst, m.Code, m.Properties, l), nil
	}
	return dst, nil // PINGREQ, PINGRESP: measure knows no other
}

// Size is the length of what Append would append, in bytes.
func Size(p packet.Packet, v packet.Version) (int, error) {
	l, err := measure(p, v)
	if err != nil {
		return 0, err
	}
	return frameSize(l.remaining), nil
}

// measure checks p and lays it out.
func measure(p packet.Packet, v packet.Version) (l layout, err error) {
	if !v.Valid() {
		return l, fmt.Errorf("%w: %v: unknown version, %v", ErrInvalid, p.Type(), v)
	}
	switch m := p.(type) {
	case *packet.Publish:
		l, err = measurePublish(m, v)
	case *packet.Connect:
		l, err = measureConnect(m, v)
	case *packet.Connack:
		l, err = measureConnack(m, v)
	case *packet.Ack:
		l, err = measureAck(m, v)
	case *packet.Subscribe:
		l, err = measureSubscribe(m, v)
	case *packet.Suback:
		l, err = measureSuback(m, v)
	case *packet.Unsubscribe:
		l, err = measureUnsubscribe(m, v)
	case *packet.Unsuback:
		l, err = measureUnsuback(m, v)
	case *packet.Pingreq, *packet.Pingresp:
	case *packet.Disconnect:
		l, err = measureTail(packet.DISCONNECT, 0, m.Code, m.Properties, v)
	case *packet.Auth:
		l, err = measureAuth(m, v)
	default:
		err = fmt.Errorf("%w: %T is no packet", ErrInvalid, p)
	}
	if err == nil && l.remaining > packet.MaxRemainingLength {
		err = ErrTooLarge
	}
	return l, err
}

// fixedFlags are the flags of every packet but PUBLISH [v3.1.1 MQTT-2.2.2-1,
// v5 2.1.3].
func fixedFlags(t packet.Type) byte {
	switch t {
	case packet.PUBREL, packet.SUBSCRIBE, packet.UNSUBSCRIBE:
		return 0x02
	}
	return 0
}

// frameSize is the size of a packet with that many bytes behind its header.
func frameSize(remaining int) int { return 1 + varintSize(remaining) + remaining }

func varintSize(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

func appendVarint(dst []byte, n uint32) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// maxField is the most that two bytes of length can say [v3.1.1 1.5.3,
// v5 1.5.4, 1.5.6].
const maxField = 65_535

func appendField[T string | []byte](dst []byte, f T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(f)))
	return append(dst, f...)
}

func appendID(dst []byte, id packet.ID) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(id))
}
