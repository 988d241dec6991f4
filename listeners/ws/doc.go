// SPDX-License-Identifier: Apache-2.0

// Package ws speaks WebSocket [RFC 6455] for an event loop: Upgrade reads the
// HTTP request that opens a connection, a Driver turns the frames behind it
// into the byte stream that MQTT is, and Dial is the client side for tools and
// tests. It is what mochiweb_websocket was to emqttd_http and emqttd_ws.
//
// Nothing here waits, starts a goroutine or owns a socket. The loop reads,
// calls Feed with what it got, hands the payload on, and writes what was
// appended to the out-buffer; so a connection costs a Driver and no buffer.
// gorilla/websocket does upgrade, unmasking, close frames and inflating behind
// an in-memory net.Conn. It keeps any read error for ever, so it must never be
// asked for bytes that are not there: scan.go looks at each frame header first
// and hands over just the bytes that can be used up (driver.go).
//
// It is no actor: a panic in gorilla or in the inflater is caught at the edge
// of Feed and Upgrade and closes this one connection.
package ws
