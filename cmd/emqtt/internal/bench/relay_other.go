// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import (
	"errors"
	"net/netip"
)

func (r *relay) listen(at netip.AddrPort) (netip.AddrPort, error) {
	return at, errors.New("it runs on epoll, so on Linux only")
}
