// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"net/netip"

	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Client is a connected client, as the client manager's directory has it:
// #mqtt_client{}. It is what CONNECT settled and never changes; the figures that
// do are the connection's. protocol -> directory, in the place where
// ClientConnected goes to sys.
type Client struct {
	mailbox.Link
	ClientID    string
	Username    string // who the client was authenticated as, or what it claims
	Peer        netip.AddrPort
	Version     packet.Version
	CleanStart  bool
	KeepAlive   uint16 // seconds, as granted; 0: none
	Expiry      uint32 // seconds the session outlives the connection
	Durability  string // what its acknowledgements wait for
	ConnectedAt int64  // nanoseconds since the Unix epoch
	Epoch       uint64 // of two connections with one client id the higher is the client's
	Conn        *Conn
	Session     *cell.Cell
}

// ClientGone takes a client out of the directory, unless a later connection has
// taken its place. protocol -> directory.
type ClientGone struct {
	mailbox.Link
	ClientID string
	Conn     *Conn
	At       int64 // nanoseconds since the Unix epoch
	Reason   string
}

// SessionOpened puts a session into the directory. sm -> directory.
type SessionOpened struct {
	mailbox.Link
	ClientID  string
	Number    uint64
	CreatedAt int64 // nanoseconds since the Unix epoch; of a restored session: of the restart
	Session   *cell.Cell
}

// SessionEnded takes it out again, unless another session has taken its place.
// sm -> directory.
type SessionEnded struct {
	mailbox.Link
	ClientID string
	Session  *cell.Cell
}

// nowhere is the directory of an Env that has none.
type nowhere struct{}

// Accept implements cell.Acceptor.
func (nowhere) Accept(cell.Message) {}

// Client implements Directory.
func (nowhere) Client(string) (*Client, bool) { return nil, false }
