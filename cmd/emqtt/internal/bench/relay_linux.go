// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// listen makes a driver that accepts.
func (l *loop) listen(at netip.AddrPort, accepted func() *conn) (netip.AddrPort, error) {
	e, err := newEpoll(l)
	if err != nil {
		return at, err
	}
	l.driver = e
	if e.listen, err = unix.Socket(family(at.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		e.shut()
		return at, err
	}
	e.accepted = accepted
	at, err = e.bind(at)
	if err != nil {
		e.shut()
	}
	return at, err
}

// bind listens and says where.
func (e *epoll) bind(at netip.AddrPort) (netip.AddrPort, error) {
	if err := unix.SetsockoptInt(e.listen, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return at, err
	}
	if err := unix.Bind(e.listen, sockaddr(at)); err != nil {
		return at, err
	}
	if err := unix.Listen(e.listen, 1024); err != nil {
		return at, err
	}
	name, err := unix.Getsockname(e.listen)
	if err != nil {
		return at, err
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(at.Addr(), uint16(name.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(at.Addr(), uint16(name.Port))
	}
	return at, unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, e.listen, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1})
}

// accept takes the connections that wait.
func (e *epoll) accept() {
	for {
		fd, _, err := unix.Accept4(e.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // none left, or too many are open: the next turn tries again
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // slower without, not wrong
		_ = e.adopt(e.accepted(), fd, unix.EPOLLIN)                       // on an error it is closed
	}
}

// syncData makes the bytes of f durable, without times that nobody needs.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
