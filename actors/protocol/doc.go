// SPDX-License-Identifier: Apache-2.0

// Package protocol is the state machine of one connection: CONNECT and its
// ladder of checks, what a client may send and when, and the answers. It is
// emqttd_protocol.
//
// In emqttd this is a module that runs inside the client process; here it is an
// actor of its own, so a bad CONNECT cannot take the socket with it: what a
// packet does is decided here, and done by the runtime after the decision is
// final.
//
// Supervised by client_sup of its event loop (simple_one_for_one). A crash loses
// nothing: the packet in work is tried once more, and a packet that crashes the
// actor twice costs its sender an error code or the connection (poison.go).
//
// Where emqttd was wrong: a client whose CONNECT it had refused stayed connected
// and could publish, and its will was published. Here a refused CONNECT ends the
// connection, and a will belongs to a session, which such a client never gets.
package protocol
