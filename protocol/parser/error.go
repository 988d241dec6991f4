// SPDX-License-Identifier: Apache-2.0

package parser

import (
	"fmt"

	"emqttd/protocol/packet"
)

// Error is what Parse returns for bytes that are not MQTT. It unwraps to its
// Fault.
type Error struct {
	Fault   packet.Fault
	Type    packet.Type    // of the packet refused
	Version packet.Version // of the connection, or of the CONNECT refused as far as it was read; 0: unknown
	// Level is the protocol level byte of a refused CONNECT, 0 where it was not
	// reached. It chooses the answer to FaultProtocolVersion: return code 1
	// below 5 [v3.1.1 MQTT-3.1.2-2], reason code 0x84 from 5 on
	// [v5 MQTT-3.1.2-2].
	Level uint8
}

func (e *Error) Error() string {
	if e.Fault == packet.FaultProtocolVersion {
		return fmt.Sprintf("parse %v: %v: level %d", e.Type, e.Fault, e.Level)
	}
	return fmt.Sprintf("parse %v: %v", e.Type, e.Fault)
}

// Unwrap is the Fault.
func (e *Error) Unwrap() error { return e.Fault }

func (p *Parser) fail(h header, f packet.Fault) error {
	return &Error{Fault: f, Type: h.packetType(), Version: p.version}
}
