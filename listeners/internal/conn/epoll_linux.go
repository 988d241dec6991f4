// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"math"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"emqttd/actors/metrics"
)

// epoll is the poller of Linux: a set of its own with the sockets, an eventfd
// for other threads and a timerfd for the group's timers, waited for through
// Go's poller. Waiting nested costs a few microseconds more than a blocking
// epoll_wait, but no thread, and no fight with the scheduler for one.
type epoll struct {
	loop   *Loop
	fd     int
	file   *os.File
	raw    syscall.RawConn
	event  int
	timer  int
	armed  int64 // what the timerfd is set to, 0: nothing
	events []unix.EpollEvent
	conns  map[int32]*Conn
	accept map[int32]func()
}

func newPoller(l *Loop, portable bool) (poller, error) {
	if portable {
		return newPortable(l), nil
	}
	return newEpoll(l)
}

func newEpoll(l *Loop) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	e := &epoll{loop: l, fd: fd, events: make([]unix.EpollEvent, 512), conns: map[int32]*Conn{}, accept: map[int32]func(){}}
	e.file = os.NewFile(uintptr(fd), "epoll")
	if e.raw, err = e.file.SyscallConn(); err != nil {
		return nil, err
	}
	if e.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	if e.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	for _, fd := range []int{e.event, e.timer} {
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&math.MaxUint32, Fd: int32(fd)}
		if err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			return nil, os.NewSyscallError("epoll_ctl", err)
		}
	}
	return e, nil
}

var one = [8]byte{1}

func (e *epoll) wake() { _, _ = unix.Write(e.event, one[:]) }

func (e *epoll) close() {
	_ = unix.Close(e.event)
	_ = unix.Close(e.timer)
	_ = e.file.Close()
}

// wait implements poller.
func (e *epoll) wait(next int64) {
	block := next != 0
	if block {
		e.setTimer(next)
	}
	n := 0
	poll := func(uintptr) bool {
		n = e.poll()
		return n > 0 || !block
	}
	if block {
		_ = e.raw.Read(poll)
	} else {
		poll(0)
	}
	e.loop.g.Awake()
	if n == 0 {
		return
	}
	e.loop.g.Tick()
	e.loop.turn = e.loop.g.Now()
	for i := range n {
		e.handle(e.events[i])
	}
}

// poll asks for events without waiting: a raw system call, since it never
// blocks.
func (e *epoll) poll() int {
	n, err := unix.EpollWait(e.fd, e.events, 0)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// setTimer sets the timerfd to the group's next deadline, if that has changed.
func (e *epoll) setTimer(next int64) {
	if next == math.MaxInt64 || next == e.armed {
		return
	}
	if e.armed != 0 && e.armed <= next && e.armed > e.loop.g.Now() {
		return // it will wake us before, and be set anew then
	}
	e.armed = next
	d := max(next-e.loop.opts.Clock.Now(), int64(time.Microsecond))
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(d)}
	_ = unix.TimerfdSettime(e.timer, 0, &spec, nil)
}

func (e *epoll) handle(ev unix.EpollEvent) {
	switch int(ev.Fd) {
	case e.event:
		return // edge-triggered and never read
	case e.timer:
		e.armed = 0
		return
	}
	if f := e.accept[ev.Fd]; f != nil {
		f()
		return
	}
	c := e.conns[ev.Fd]
	if c == nil {
		return
	}
	if ev.Events&unix.EPOLLOUT != 0 {
		c.writable()
	}
	if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.layer != dead {
		e.readable(c)
	}
}

func (e *epoll) readable(c *Conn) {
	s := c.sock.(*fdSocket)
	n, err := unix.Read(s.fd, e.loop.read)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		c.end(metrics.ClosePeer, os.NewSyscallError("read", err))
	case n == 0:
		c.end(metrics.ClosePeer, nil)
	case c.layer == lingering:
	default:
		c.input(e.loop.read[:n])
	}
	e.loop.drain()
}

// fdSocket is a socket by its descriptor.
type fdSocket struct {
	e  *epoll
	fd int
}

func (e *epoll) addSocket(c *Conn, fd int) error {
	s := &fdSocket{e: e, fd: fd}
	c.sock = s
	e.conns[int32(fd)] = c
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &ev))
}

func (s *fdSocket) write(b []byte) (int, error) {
	n, err := unix.Write(s.fd, b)
	if err == unix.EAGAIN || err == unix.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, os.NewSyscallError("write", err)
	}
	return n, nil
}

func (s *fdSocket) want(read, write bool) {
	ev := unix.EpollEvent{Fd: int32(s.fd)}
	if read {
		ev.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if write {
		ev.Events |= unix.EPOLLOUT
	}
	_ = unix.EpollCtl(s.e.fd, unix.EPOLL_CTL_MOD, s.fd, &ev)
}

func (s *fdSocket) shutdown() { _ = unix.Shutdown(s.fd, unix.SHUT_WR) }

func (s *fdSocket) close() {
	delete(s.e.conns, int32(s.fd))
	_ = unix.Close(s.fd)
}

// addrOf is a peer's address; the zero value for a Unix socket.
func addrOf(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
