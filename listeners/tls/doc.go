// SPDX-License-Identifier: Apache-2.0

// Package tls speaks TLS for an event loop: a Server holds certificates that
// can be reloaded, a Handshake turns the first bytes of a connection into a
// Session, and a Session turns records into bytes and back. It takes the place
// of esockd's ssl transport in emqttd.
//
// crypto/tls does the work above an in-memory net.Conn. Its records can be read
// piece by piece: a temporary error leaves them as they were. Its handshake can
// not: the first error, temporary or not, is kept for ever. So a handshake runs
// on a goroutine of a Pool, fed by the loop, and is over within a few network
// round trips; afterwards the Session runs on the loop, without a goroutine.
//
// The Pool is what a flood of handshakes meets: it bounds how many are open
// (memory) and how many compute at a time (CPU that other connections need). A
// connection that has not sent its whole ClientHello costs neither.
//
// It is no actor: a panic in crypto/tls is caught at the edge of the package
// and closes this one connection.
package tls
