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
	// Bounds are what a reload may change of Options, Terms of a Listener.
	Bounds = conn.Bounds
	Terms  = conn.Terms
	// Listener is a bound port.
	Listener = conn.Listener
	// Socket and Wire are the two ends of a connection on a loop that is stepped by
	// hand.
	Socket = conn.Socket
	Wire   = conn.Wire
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

// NewManualLoop makes a loop that its owner steps.
func NewManualLoop(index int, opts *Options) *Loop { return conn.NewManualLoop(index, opts) }
