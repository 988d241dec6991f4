// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"net"
)

// TCP is a Config.Dial for a plain TCP address, host:port. Small packets are
// sent at once (TCP_NODELAY, Go's default).
func TCP(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}
