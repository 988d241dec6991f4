// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"errors"

	"emqttd/protocol/packet"
)

// The generator reads packets where they lie instead of through
// protocol/parser: it trusts the broker more than a broker may trust a client,
// and what it spends is missing in the measurement.

var errMalformed = errors.New("the broker sent a malformed packet")

// packetSize measures the packet at the front of b: its whole size and that of
// its fixed header. Size 0: the header is not complete.
func packetSize(b []byte) (size, header int, err error) {
	value := 0
	for i := 1; i < len(b); i++ {
		value |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			return 1 + i + value, 1 + i, nil
		}
		if i == 4 {
			return 0, 0, errMalformed // [v3.1.1 2.2.3, v5 1.5.5]: four bytes at most
		}
	}
	return 0, 0, nil
}

// publish is a received PUBLISH; topic and payload lie in the read buffer.
type publish struct {
	qos            byte
	retain         bool
	id             uint16
	topic, payload []byte
}

// readPublish reads a whole PUBLISH whose fixed header has header bytes into p.
func readPublish(p *publish, b []byte, header int, v packet.Version) (err error) {
	p.qos, p.retain, p.id = b[0]>>1&3, b[0]&1 != 0, 0
	b = b[header:]
	if len(b) < 2 {
		return errMalformed
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return errMalformed
	}
	p.topic, b = b[:n], b[n:]
	if p.qos > 0 {
		if len(b) < 2 {
			return errMalformed
		}
		p.id, b = binary.BigEndian.Uint16(b), b[2:]
	}
	if v == packet.V5 {
		if b, err = skipProperties(b); err != nil {
			return err
		}
	}
	p.payload = b
	return nil
}

// skipProperties returns what follows the properties at the front of b.
func skipProperties(b []byte) ([]byte, error) {
	value := 0
	for i := range min(len(b), 4) {
		value |= int(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if end := i + 1 + value; end <= len(b) {
				return b[end:], nil
			}
			break
		}
	}
	return nil, errMalformed
}

// readAck reads PUBACK, PUBREC, PUBREL or PUBCOMP. A missing code is success
// [v5 3.4.2.1].
func readAck(b []byte, header int) (id uint16, code packet.ReasonCode, err error) {
	b = b[header:]
	if len(b) < 2 {
		return 0, 0, errMalformed
	}
	if len(b) > 2 {
		code = packet.ReasonCode(b[2])
	}
	return binary.BigEndian.Uint16(b), code, nil
}

// readSuback returns one code per filter; they lie in b.
func readSuback(b []byte, header int, v packet.Version) (id uint16, codes []byte, err error) {
	b = b[header:]
	if len(b) < 2 {
		return 0, nil, errMalformed
	}
	id, codes = binary.BigEndian.Uint16(b), b[2:]
	if v == packet.V5 {
		codes, err = skipProperties(codes)
	}
	return id, codes, err
}

func appendAck(dst []byte, kind packet.Type, id uint16) []byte {
	first := byte(kind) << 4
	if kind == packet.PUBREL {
		first |= 2 // [v3.1.1 MQTT-3.6.1-1, v5 MQTT-3.6.1-1]
	}
	return append(dst, first, 2, byte(id>>8), byte(id))
}
