// SPDX-License-Identifier: Apache-2.0

// Package dissect takes control packets apart for people: every byte of a
// packet belongs to exactly one field, and a field says what it is called, where
// it lies and what it means.
//
// It stands beside the parser, which wants values and throws the places away.
// What a packet is worth is the parser's verdict alone (Packet.Err is its
// error); the layout here goes on behind a fault as far as anything can be told
// apart, and names the rest as what it is: bytes cut off, or bytes behind the
// last field. emqttd had nothing of the kind: its users opened Wireshark.
//
// One takes a whole packet, a Stream the bytes of one direction of a connection
// in whatever pieces they come.
package dissect
