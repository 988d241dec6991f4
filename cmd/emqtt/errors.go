// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// Exit codes of mosquitto's tools that scripts look at. A refused connection
// exits with the code of CONNACK.
const (
	exitFailure  exitCode = 1
	exitProtocol exitCode = 2 // MOSQ_ERR_PROTOCOL
	exitLost     exitCode = 7 // MOSQ_ERR_CONN_LOST
	exitTLS      exitCode = 8 // MOSQ_ERR_TLS
	exitTimeout  exitCode = 27
)

// tlsError is a TLS handshake that failed.
type tlsError struct{ err error }

func (e *tlsError) Error() string { return "TLS: " + e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// complain prints a mistake on the command line and returns its exit code.
func (s *settings) complain(w *world, err error) error {
	_, _ = fmt.Fprintf(w.err, "Error: %v\n\nUse 'emqtt %s --help' to see usage.\n", err, s.tool)
	return exitFailure
}

// errorf prints an error of the running program, unless --quiet.
func (s *settings) errorf(w *world, format string, a ...any) {
	if !s.quiet {
		_, _ = fmt.Fprintf(w.err, format+"\n", a...)
	}
}

// failed prints why there is no connection (any more), in mosquitto's words
// where it has some, and returns the exit code.
func (s *settings) failed(w *world, err error) error {
	if refused, ok := errors.AsType[*client.RefusedError](err); ok {
		return s.refused(w, refused)
	}
	if bye, ok := errors.AsType[*client.DisconnectError](err); ok {
		s.errorf(w, "Error: disconnected by the server: %s.", reasonText(bye.Disconnect.Code))
		return exitCode(bye.Disconnect.Code)
	}
	if bad, ok := errors.AsType[*tlsError](err); ok {
		s.errorf(w, "Error: A TLS error occurred: %v.", bad.err)
		return exitTLS
	}
	if bad, ok := errors.AsType[*client.ProtocolError](err); ok {
		s.errorf(w, "Error: %v.", bad)
		return exitProtocol
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		s.errorf(w, "Unable to connect (Lookup error.).")
		return exitFailure
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok && !errors.Is(err, client.ErrConnectionLost) {
		text := number.Error()
		s.errorf(w, "Error: %s", strings.ToUpper(text[:1])+text[1:])
		return exitFailure
	}
	switch {
	case errors.Is(err, client.ErrConnectionLost):
		s.errorf(w, "Error: The connection was lost.")
		return exitLost
	case errors.Is(err, context.DeadlineExceeded):
		s.errorf(w, "Error: The server did not answer in time.")
		return exitFailure
	}
	s.errorf(w, "Error: %v.", err)
	return exitFailure
}

func (s *settings) refused(w *world, e *client.RefusedError) error {
	code := e.Connack.Code
	if e.Version < packet.V5 {
		s.errorf(w, "Connection error: Connection Refused: %s.", returnCodeText(code))
	} else if code == packet.UnsupportedProtocolVersion {
		s.errorf(w, "Connection error: %s. Try connecting to an MQTT v5 broker, or use MQTT v3.x mode.", reasonText(code))
	} else {
		s.errorf(w, "Connection error: %s", reasonText(code))
	}
	if s.tool == "pub" {
		s.errorf(w, "Error: The connection was refused.")
	}
	if e.Version < packet.V5 {
		return exitCode(code.ReturnCode())
	}
	return exitCode(code)
}

// returnCodeText is the meaning of a 3.1.1 return code in mosquitto's words.
func returnCodeText(c packet.ReasonCode) string {
	texts := [...]string{
		1: "unacceptable protocol version", 2: "identifier rejected", 3: "broker unavailable",
		4: "bad user name or password", 5: "not authorised",
	}
	if n := int(c.ReturnCode()); c != packet.UnspecifiedError && n < len(texts) && n > 0 {
		return texts[n]
	}
	return "unknown reason"
}

// reasonText is the meaning of a 5.0 reason code in mosquitto's words.
func reasonText(c packet.ReasonCode) string {
	switch c {
	case packet.BadUserNameOrPassword:
		return "Bad username or password"
	case packet.QoSNotSupported:
		return "QoS not supported"
	}
	text := c.String()
	return strings.ToUpper(text[:1]) + text[1:]
}
