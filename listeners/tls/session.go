// SPDX-License-Identifier: Apache-2.0

package tls

import (
	"crypto/tls"
	"runtime/debug"
	"slices"
)

// readRoom is the least room that crypto/tls is given to read into, in bytes.
const readRoom = 512

// Session is a TLS connection behind its handshake. It is used by one goroutine
// at a time, but not always by the same.
type Session struct {
	conn *tls.Conn
	wire *wire
	rest []byte // came with the end of the handshake; read by the first Feed
	err  error  // set once, then returned for ever
	info Info
}

// Info says what was agreed on in the handshake.
func (s *Session) Info() Info { return s.info }

// Feed takes the bytes in of one socket read and appends what they say to dst;
// alerts and key updates that are due are appended to out. It returns both
// extended slices and retains none of the three; neither dst nor out may
// overlap in. dst grows by no more than in and what Feed held, one record.
//
// An error ends the connection: io.EOF when the peer said that it closes, else
// an *Error whose alert is in out already. What dst got before it is good. Each
// further call returns the same error. A socket that ends without a word is the
// caller's to judge; MQTT needs no close of TLS, since DISCONNECT says it.
func (s *Session) Feed(in, dst, out []byte) (dst2, out2 []byte, err error) {
	if s.err != nil {
		return dst, out, s.err
	}
	if s.rest != nil {
		in, s.rest = append(s.rest, in...), nil
	}
	s.wire.src, s.wire.out = in, out
	dst2 = dst
	defer func() {
		if p := recover(); p != nil { // library boundary: costs this connection only
			err = s.end(panicked(p))
		}
		out2 = s.leave()
	}()
	for {
		if cap(dst2)-len(dst2) < readRoom {
			dst2 = slices.Grow(dst2, max(len(s.wire.src), readRoom))
		}
		n, err := s.conn.Read(dst2[len(dst2):cap(dst2)])
		dst2 = dst2[:len(dst2)+n] // both may come at once
		switch {
		case err == wouldBlock{}:
			return dst2, nil, nil
		case err != nil:
			return dst2, nil, s.end(classify(err))
		}
	}
}

// AppendEncrypted appends plaintext to out in as few records as it takes, 16 KB
// each: once per turn. It retains neither.
func (s *Session) AppendEncrypted(out, plaintext []byte) (out2 []byte, err error) {
	if s.err != nil {
		return out, s.err
	}
	s.wire.out = out
	defer func() {
		if p := recover(); p != nil { // library boundary, as in Feed
			err = s.end(panicked(p))
		}
		out2 = s.leave()
	}()
	if _, err := s.conn.Write(plaintext); err != nil {
		return nil, s.end(classify(err))
	}
	return nil, nil
}

// AppendClose appends the alert that says we close and ends the session. It
// appends nothing if it has ended before.
func (s *Session) AppendClose(out []byte) (out2 []byte) {
	if s.err != nil {
		return out
	}
	s.wire.out = out
	defer func() {
		recover() // library boundary: without the alert then
		out2 = s.leave()
	}()
	s.end(errClosed)
	s.conn.CloseWrite()
	return nil
}

// leave forgets the caller's memory and returns the out-buffer.
func (s *Session) leave() (out []byte) {
	out, s.wire.src, s.wire.out = s.wire.out, nil, nil
	return out
}

func (s *Session) end(err error) error {
	s.err, s.rest = err, nil
	return err
}

func panicked(p any) error {
	return &Error{Label: "panic", Sentence: "crypto/tls panicked", Panic: p, Stack: debug.Stack()}
}
