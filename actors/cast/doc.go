// SPDX-License-Identifier: Apache-2.0

// Package cast holds the messages that cross packages: its go doc is the
// choreography of the broker. emqttd's tuples stand beside them.
//
//	socket ─ Data → ws_loop ─ Received → ws_client ─ Received → protocol
//	protocol ─ StartSession → sm ─ Attach → session ─ SessionStarted → protocol
//	protocol ─ fan-out of Dispatch → session ─ Deliver → ws_client → socket
//	protocol ─ Send, Shutdown → ws_client → socket
//
// A message is immutable after it is sent, but for the cursor of a batch, and
// belongs to its receiver. Each comment says sender -> receiver and whose the
// bytes are.
package cast
