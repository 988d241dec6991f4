// SPDX-License-Identifier: Apache-2.0

// Package parser turns the bytes of a connection into control packets. It is
// emqttd_parser: a continuation that is fed whatever has arrived and answers
// with a packet and the rest, or with "more" and the next continuation.
//
// In emqttd the continuation is a closure; here it is a small value, so that an
// actor can compute the next one and keep the old one until it commits: when
// the actor crashes in between, the old Parser fed the same bytes once more
// gives the same packet. emqttd also joined the old and the new bytes of an
// unfinished packet on every read, which is quadratic; here a body is copied
// once, into a buffer that grows with what has really arrived.
//
// Reading order: parser.go (the continuation), header.go (what can be refused
// before the body is there), decoder.go (the cursor over a whole body), then
// one file for each family of packets.
//
// A packet is refused at the first byte that proves it wrong, and what is wrong
// with it does not depend on how its bytes were cut. What a parsed packet means
// (a second CONNECT, a wildcard in a topic name, an unknown topic alias) is the
// protocol actor's business.
package parser
