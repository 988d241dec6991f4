// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"net/netip"

	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
	"emqttd/supervisor/mailbox"
)

// ClientConnected says that a CONNECT was accepted: emqttd's hook
// client.connected. protocol -> sys, once where the client begins to count as
// connected.
type ClientConnected struct {
	mailbox.Link
	ClientID    string // as the session has it, assigned ones included
	Username    string
	HasUsername bool
	Peer        netip.AddrPort // not valid: none, as on a unix socket
	Version     packet.Version
	CleanStart  bool
	At          int64 // nanoseconds since the Unix epoch
}

// ClientDisconnected says that the connection of a client that was connected is
// over: emqttd's hook client.disconnected. protocol -> sys, behind the
// ClientConnected of the same connection and once, wherever the client ceases to
// count as connected. Of two connections with one client id the later may
// announce itself before the earlier ends.
type ClientDisconnected struct {
	mailbox.Link
	ClientID string
	Reason   metrics.Close
	At       int64 // nanoseconds since the Unix epoch
}
