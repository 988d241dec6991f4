// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package conn

import (
	"context"
	"fmt"
	"net"

	"emqttd/supervisor/cell"
)

// Listen binds network ("tcp" or "unix") and address and lets knocks arrive at
// actor c. Connections go to loops.
func (ln *Listener) Listen(network, address string, loops []*Loop, c *cell.Cell) error {
	ln.loops, ln.cell = loops, c
	nl, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	if err != nil {
		return fmt.Errorf("listener %s: %w", ln.Base.Name, err)
	}
	ln.sock = listenPortable(ln, nl)
	return nil
}
