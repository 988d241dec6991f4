// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
)

// Error is why a TLS connection ended.
type Error struct {
	Label    string // metric label and log field, never changed once released
	Sentence string // what the operator should know
	Err      error  // what crypto/tls said; nil if it was not asked

	Panic any    // what was caught, for the log; nil otherwise
	Stack []byte // where, with Panic
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "tls: " + e.Label + ": " + e.Sentence
	}
	return "tls: " + e.Label + ": " + e.Sentence + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

var (
	errBusy     = &Error{Label: "busy", Sentence: "too many handshakes are under way"}
	errTooLarge = &Error{Label: "too_large", Sentence: "the handshake takes more bytes than the listener allows (max_handshake)"}
	errCanceled = &Error{Label: "canceled", Sentence: "the connection was closed during the handshake"}
	errClosed   = &Error{Label: "closed", Sentence: "the connection was closed by us"}
)

// said maps what crypto/tls says, where it has no types for it.
var said = []struct{ part, label, sentence string }{
	{"client didn't provide a certificate", "no_client_certificate", "this listener requires a client certificate"},
	{"unsupported versions", "version", "the client offers no TLS version the listener allows (min_version)"},
	{"no cipher suite supported by both", "cipher", "client and listener have no cipher suite in common"},
	{"bad record MAC", "bad_record", "a record was damaged or forged on its way"},
}

// classify turns an error of crypto/tls into an *Error; nil and io.EOF, a clean
// close, stay as they are.
func classify(err error) error {
	e := &Error{Label: "protocol", Sentence: "the client breaks the TLS protocol", Err: err}
	var header tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var op *net.OpError
	var ours *Error
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, net.ErrClosed):
		return errCanceled
	case errors.As(err, &header):
		e.Label, e.Sentence = "not_tls", "the bytes are no TLS record"
	case errors.As(err, &verify):
		e.Label, e.Sentence = "client_certificate", "the client's certificate does not verify against ca_file"
	case errors.As(err, &op) && op.Op == "remote error":
		e.Label, e.Sentence = "peer_alert", "the client refused: often it does not trust the listener's certificate"
	}
	for _, s := range said {
		if e.Label == "protocol" && strings.Contains(err.Error(), s.part) {
			e.Label, e.Sentence = s.label, s.sentence
		}
	}
	return e
}
