// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package bench

import (
	"errors"
	"net/netip"
	"os"
)

func (l *loop) listen(at netip.AddrPort, _ func() *conn) (netip.AddrPort, error) {
	return at, errors.New("it runs on epoll, so on Linux only")
}

func syncData(f *os.File) error { return f.Sync() }
