// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// received takes a server's frame; an error ends the connection.
func (c *conn) received(f *Frame) error {
	packets := c.record(f, inward)
	if f.Fault != "" {
		return refuse("%s", f.Fault)
	}
	switch f.Opcode {
	case opPing:
		return c.send(&job{pieces: [][]byte{f.Payload}, control: opPong})
	case opClose:
		_ = c.put(newFrame(0x80|opClose, c.key(&job{}), f.Payload[:min(2, len(f.Payload))]))
		return refuse("%s", closing(f.Payload))
	}
	for i := range packets {
		c.answer(&packets[i])
	}
	return nil
}

// closing explains a close frame [RFC 6455 5.5.1, 7.4.1].
func closing(b []byte) string {
	if len(b) < 2 {
		return "The server closed the connection with a close frame that gives no code."
	}
	code := binary.BigEndian.Uint16(b)
	means := map[uint16]string{1000: "normal", 1001: "going away", 1002: "protocol error", 1003: "unsupported data",
		1007: "invalid data", 1008: "policy", 1009: "too big", 1011: "server error"}[code]
	text := fmt.Sprintf("The server closed the connection with a close frame, code %d", code)
	if means != "" {
		text += " (" + means + ")"
	}
	if reason := b[2:]; len(reason) > 0 && utf8.Valid(reason) {
		text += ": " + string(reason)
	}
	return text + "."
}

// answer sends what a client owes for a packet [v3.1.1 4.3, v5 4.3].
func (c *conn) answer(p *dissect.Packet) {
	c.mu.Lock()
	v, on := c.version, c.answers
	c.mu.Unlock()
	if !on || p.Err != nil {
		return
	}
	_, pkt, _, err := parser.New(parser.Options{Role: parser.Client, Version: v}).Parse(p.Bytes, nil)
	if err != nil {
		return
	}
	switch pkt := pkt.(type) {
	case *packet.Connack:
		c.connacked(pkt)
	case *packet.Publish:
		if kind, ok := map[packet.QoS]packet.Type{packet.QoS1: packet.PUBACK, packet.QoS2: packet.PUBREC}[pkt.QoS]; ok {
			c.reply(&packet.Ack{Kind: kind, ID: pkt.ID}, v)
		}
	case *packet.Ack:
		if kind, ok := map[packet.Type]packet.Type{packet.PUBREC: packet.PUBREL, packet.PUBREL: packet.PUBCOMP}[pkt.Kind]; ok && !pkt.Code.Failed() {
			c.reply(&packet.Ack{Kind: kind, ID: pkt.ID}, v)
		}
	}
}

// connacked takes the server's keep alive, if it names one [v5 MQTT-3.1.2-21].
func (c *conn) connacked(p *packet.Connack) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case p.Code.Failed():
		c.keep = 0
	case p.Properties.Has(packet.PropServerKeepAlive):
		c.keep = seconds(p.Properties.ServerKeepAlive)
	}
}
