// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"fmt"

	"emqttd/protocol/packet"
)

var (
	// ErrNotConnected is returned when an operation needs a connection and
	// there is none.
	ErrNotConnected = errors.New("client: not connected")
	// ErrConnected is returned by Connect on a client that is connected.
	ErrConnected = errors.New("client: already connected")
	// ErrClosed is what pending operations return after Close or Disconnect.
	ErrClosed = errors.New("client: closed")
	// ErrConnectionLost is wrapped by the error of a connection that ended
	// without a word from either side.
	ErrConnectionLost = errors.New("client: connection lost")
	// ErrPingTimeout ends a connection whose server did not answer PINGREQ.
	ErrPingTimeout = errors.New("client: no answer to PINGREQ")
	// ErrSessionLost completes publishes that were sent in a session which the
	// server no longer has: whether they arrived is not known
	// [v3.1.1 MQTT-3.2.2-3, v5 MQTT-3.2.2-5].
	ErrSessionLost = errors.New("client: the server lost the session")
	// ErrStale is returned by Message.Ack when the connection that brought the
	// message is gone; the server sends the message again.
	ErrStale = errors.New("client: the message's connection is gone")
	// ErrBusy is returned when a bound is reached: no free packet identifier,
	// too many pings.
	ErrBusy = errors.New("client: too many requests at once")
)

// RefusedError is returned by Connect when the server's CONNACK says no. It
// unwraps to the reason code.
type RefusedError struct {
	Version packet.Version
	Connack *packet.Connack
}

func (e *RefusedError) Error() string {
	return "client: connection refused: " + e.Connack.Code.String() + reason(e.Connack.Properties)
}

// Unwrap is the reason code.
func (e *RefusedError) Unwrap() error { return e.Connack.Code }

// DisconnectError is how a connection ended that the server closed with a
// DISCONNECT [v5 3.14]. It unwraps to the reason code.
type DisconnectError struct{ Disconnect *packet.Disconnect }

func (e *DisconnectError) Error() string {
	return "client: disconnected by the server: " + e.Disconnect.Code.String() + reason(e.Disconnect.Properties)
}

// Unwrap is the reason code.
func (e *DisconnectError) Unwrap() error { return e.Disconnect.Code }

// ProtocolError is how a connection ended that this client closed because the
// server broke the protocol. It unwraps to the fault.
type ProtocolError struct {
	Fault packet.Fault
	Type  packet.Type // of the packet at fault
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("client: the server broke the protocol: %v: %v", e.Type, e.Fault)
}

// Unwrap is the fault.
func (e *ProtocolError) Unwrap() error { return e.Fault }

func reason(p *packet.Properties) string {
	if p.Has(packet.PropReasonString) {
		return " (" + p.ReasonString + ")"
	}
	return ""
}

func lost(err error) error { return fmt.Errorf("%w: %w", ErrConnectionLost, err) }
