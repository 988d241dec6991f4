// SPDX-License-Identifier: Apache-2.0

package listeners

import "emqttd/listeners/internal/conn"

// The event loop, as the broker package needs it to build one; see
// internal/conn.
type (
	// Loop is one event loop with the connections on it.
	Loop = conn.Loop
	// Options are what the loops of a broker share.
	Options = conn.Options
	// Listener is a bound port.
	Listener = conn.Listener
	// ProxyMode says which PROXY header a listener demands.
	ProxyMode = conn.ProxyMode
)

// PROXY headers a listener may demand.
const (
	ProxyOff  = conn.ProxyOff
	ProxyV1   = conn.ProxyV1
	ProxyV2   = conn.ProxyV2
	ProxyBoth = conn.ProxyBoth
)

// NewLoop makes a loop; Start starts it.
func NewLoop(index int, opts *Options) (*Loop, error) { return conn.NewLoop(index, opts) }
