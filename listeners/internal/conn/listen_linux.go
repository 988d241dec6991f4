// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"context"
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"emqttd/supervisor/cell"
)

// maxAccept bounds the connections taken from the kernel in one turn.
const maxAccept = 64

// Listen binds network ("tcp" or "unix") and address and lets knocks arrive at
// actor c. Connections go to loops.
func (ln *Listener) Listen(network, address string, loops []*Loop, c *cell.Cell) error {
	ln.loops, ln.cell = loops, c
	nl, err := new(net.ListenConfig).Listen(context.Background(), network, address)
	if err != nil {
		return fmt.Errorf("listener %s: %w", ln.Base.Name, err)
	}
	e, ok := loops[0].poll.(*epoll)
	if !ok {
		ln.sock = listenPortable(ln, nl)
		return nil
	}
	// The descriptor leaves Go's poller: it is duplicated, and the original
	// closed, without unlinking the path of a Unix socket.
	if u, ok := nl.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := nl.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return fmt.Errorf("listener %s: %w", ln.Base.Name, err)
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	_ = f.Close()
	if err != nil {
		return fmt.Errorf("listener %s: %w", ln.Base.Name, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("listener %s: %w", ln.Base.Name, err)
	}
	if network != "unix" {
		// Accepted sockets inherit it: one system call less for each.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return fmt.Errorf("listener %s: no delay: %w", ln.Base.Name, err)
		}
	}
	if ln.Backlog > 0 {
		if err := unix.Listen(fd, ln.Backlog); err != nil {
			return fmt.Errorf("listener %s: backlog: %w", ln.Base.Name, err)
		}
	}
	s := &fdListening{ln: ln, fd: fd, address: nl.Addr(), e: e, unix: network == "unix"}
	_ = nl.Close()
	ln.sock = s
	loops[0].Post(s.start)
	return nil
}

type fdListening struct {
	ln      *Listener
	fd      int
	address net.Addr
	e       *epoll
	unix    bool
	stopped bool
	peer    unix.RawSockaddrAny // of the connection that is being accepted
}

func (s *fdListening) addr() net.Addr { return s.address }

func (s *fdListening) start() {
	s.e.accept[int32(s.fd)] = s.ready
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.fd)}
	if err := unix.EpollCtl(s.e.fd, unix.EPOLL_CTL_ADD, s.fd, &ev); err != nil {
		panic("conn: epoll_ctl: " + err.Error())
	}
}

func (s *fdListening) stop(done func()) {
	s.e.loop.Post(func() {
		defer done()
		if s.stopped {
			return
		}
		s.stopped = true
		delete(s.e.accept, int32(s.fd))
		_ = unix.Close(s.fd)
		if s.unix {
			_ = os.Remove(s.address.String())
		}
	})
}

// ready takes what the kernel has accepted and lets the actor decide.
func (s *fdListening) ready() {
	for range maxAccept {
		fd, errno := s.accept()
		switch errno {
		case 0:
		case unix.EAGAIN:
			return
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			// Level-triggered: the next turn asks again. Waiting connections stay in
			// the kernel's backlog.
			s.e.loop.opts.Log.Error().Str("listener", s.ln.Base.Name).Err(errno).Msg("accept")
			return
		default:
			continue // ECONNABORTED and the like: that connection's own fault
		}
		s.ln.cell.Push(&Knock{Peer: addrOf(&s.peer), at: s.ln, from: s, fd: fd})
	}
}

// accept takes one connection, whose peer it leaves in s.peer. It is a system call
// that the scheduler need not know of: the descriptor never makes it wait.
func (s *fdListening) accept() (fd int, errno unix.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	s.peer.Addr.Family = unix.AF_UNSPEC
	r, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(s.fd), uintptr(unsafe.Pointer(&s.peer)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	return int(r), errno
}

func (s *fdListening) take(k *Knock, v Verdict) {
	if v == TurnAway {
		_ = unix.Close(k.fd)
		return
	}
	l := s.ln.pick()
	if l == s.e.loop {
		s.open(l, k, v)
		return
	}
	l.Post(func() { s.open(l, k, v) })
}

// open makes a connection of l; on its loop.
func (s *fdListening) open(l *Loop, k *Knock, v Verdict) {
	c := s.ln.connection(l, k.Peer, v)
	if err := l.poll.(*epoll).addSocket(c, k.fd); err != nil {
		l.opts.Log.Error().Str("listener", s.ln.Base.Name).Err(err).Msg("connection")
		_ = unix.Close(k.fd)
		s.ln.n.Add(-1)
		return
	}
	c.open()
}
