// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// WebSocket tells how to reach the broker's WebSocket listener below the
// WebSocket layer: the statements of chapter 6 are about frames.
type WebSocket struct {
	Dial func(ctx context.Context) (net.Conn, error) // TCP or TLS
	Host string                                      // for the Host header
	Path string
}

const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
)

// maxHandshake bounds the answer to a handshake.
const maxHandshake = 16 << 10

// wsState is the client side of RFC 6455 as far as scripts need it: no
// fragments sent, pings of the server ignored.
type wsState struct {
	raw    []byte // received, not yet a whole frame
	answer *upgraded
	open   bool // the handshake is answered with 101
}

// upgraded is the broker's answer to a handshake.
type upgraded struct {
	status   int
	protocol string
	raw      []byte
}

func (u *upgraded) get(name string) (string, bool) {
	if name == "status" {
		return strconv.Itoa(u.status), true
	}
	return u.protocol, name == "protocol" && u.protocol != ""
}

// handshake is an upgrade request that offers the sub-protocol. The key is the
// example of RFC 6455: whether the server computes the answer right is not what
// the statements are about.
func handshake(w *WebSocket, protocol string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", w.Path, w.Host)
	if protocol != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", protocol)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// take reads the answer to the handshake and then frames; payload goes to c.in.
func (w *wsState) take(c *conn, b []byte) error {
	w.raw = append(w.raw, b...)
	if !w.open {
		if err := w.takeAnswer(c); err != nil || !w.open {
			return err
		}
	}
	for {
		ok, err := w.takeFrame(c)
		if !ok || err != nil {
			return err
		}
	}
}

func (w *wsState) takeAnswer(c *conn) error {
	end := bytes.Index(w.raw, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(w.raw) > maxHandshake:
		return errors.New("handshake answer without end")
	case end < 0:
		return nil
	}
	head := w.raw[:end+4]
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	w.answer = &upgraded{status: resp.StatusCode, protocol: resp.Header.Get("Sec-WebSocket-Protocol"), raw: head}
	w.raw = w.raw[end+4:]
	w.open = resp.StatusCode == http.StatusSwitchingProtocols
	if !w.open {
		c.ended, w.raw = true, nil // what follows is a page for people
	}
	return nil
}

// takeFrame takes one frame of the server; ok is false when it is not whole yet.
func (w *wsState) takeFrame(c *conn) (ok bool, err error) {
	if len(w.raw) < 2 {
		return false, nil
	}
	size, head := uint64(w.raw[1]&0x7f), 2
	switch {
	case size == 126 && len(w.raw) >= 4:
		size, head = uint64(binary.BigEndian.Uint16(w.raw[2:])), 4
	case size == 127 && len(w.raw) >= 10:
		size, head = binary.BigEndian.Uint64(w.raw[2:]), 10
	case size >= 126:
		return false, nil
	}
	if size > maxFrame {
		return false, fmt.Errorf("frame of %d bytes", size)
	}
	if uint64(len(w.raw)) < uint64(head)+size {
		return false, nil
	}
	payload := w.raw[head : head+int(size)]
	opcode := w.raw[0] & 0x0f
	w.raw = w.raw[head+int(size):]
	switch opcode {
	case opBinary, opContinuation:
		c.in = append(c.in, payload...)
	case opText:
		return false, errors.New("MQTT in a text frame")
	case opClose:
		c.ended = true
		return false, nil
	}
	return true, nil
}

// appendMasked appends one final frame, masked as a client must.
func appendMasked(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	key := [4]byte{0x8f, 0x06, 0x5d, 0x55}
	dst = append(dst, key[:]...)
	for i, b := range payload {
		dst = append(dst, b^key[i&3])
	}
	return dst
}
