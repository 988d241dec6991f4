// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readRoom   = 256 << 10 // bytes per read: many messages per system call
	headroom   = 64 << 10  // in front of them, for the beginning of a packet that was cut
	eventsTurn = 512
	// schedEvery: a goroutine that only blocks in system calls looks stuck to
	// the runtime, whose monitor then takes its processor away at every wait,
	// polling at 20 µs; passing the scheduler now and then keeps it asleep.
	schedEvery = 3 * time.Millisecond
)

// driver is epoll where bytes are plain, goroutines under TLS.
func (t *target) driver(l *loop) (driver, error) {
	if t.secure() {
		return newPipes(l), nil
	}
	return newEpoll(l)
}

// epoll is the driver of plain TCP: level-triggered, one read per ready
// connection and turn, raw system calls, one read buffer for all.
type epoll struct {
	l      *loop
	fd     int
	conns  []*conn // by slot; nil: free
	free   []int
	freed  []int // free when this turn's events are through
	buf    []byte
	events [eventsTurn]unix.EpollEvent
	passed time.Time // the scheduler, last
	noNano bool      // the kernel has no epoll_pwait2

	listen   int          // socket to accept from, or -1; see relay_linux.go
	accepted func() *conn // what an accepted socket becomes
}

func newEpoll(l *loop) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &epoll{l: l, fd: fd, listen: -1, buf: make([]byte, headroom+readRoom), passed: time.Now()}, nil
}

func (e *epoll) dial(c *conn) error {
	addr := e.l.target.addr
	fd, err := unix.Socket(family(addr.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if from := e.l.target.source(c.source); from.IsValid() {
		// The port is chosen at connect, when the four numbers can be unique.
		_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // an old kernel has fewer ports then
		if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(from, 0))); err != nil {
			unix.Close(fd)
			return fmt.Errorf("bind %s: %w", from, err)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // slower without, not wrong
	if err := unix.Connect(fd, sockaddr(addr)); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return fmt.Errorf("connect: %w", err)
	}
	c.state = dialling
	return e.adopt(c, fd, unix.EPOLLOUT)
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// adopt watches fd for c.
func (e *epoll) adopt(c *conn, fd int, events uint32) error {
	c.fd = fd
	if n := len(e.free); n > 0 {
		c.slot, e.free = e.free[n-1], e.free[:n-1]
	} else {
		c.slot = len(e.conns)
		e.conns = append(e.conns, nil)
	}
	e.conns[c.slot] = c
	if err := e.watch(c, unix.EPOLL_CTL_ADD, events); err != nil {
		e.close(c)
		c.state = idle
		return err
	}
	return nil
}

func (e *epoll) watch(c *conn, op int, events uint32) error {
	return unix.EpollCtl(e.fd, op, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.slot)})
}

func (e *epoll) write(c *conn, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			n = 0
		case errno != 0:
			return 0, errno
		}
		if int(n) < len(b) {
			return int(n), e.watch(c, unix.EPOLL_CTL_MOD, c.interest()|unix.EPOLLOUT)
		}
		return int(n), nil
	}
}

// interest is what wakes a connection that has nothing to write.
func (c *conn) interest() uint32 {
	if c.muted {
		return 0 // errors and the end of both directions come unasked
	}
	return unix.EPOLLIN
}

func (e *epoll) mute(c *conn) {
	c.muted = true
	if err := e.watch(c, unix.EPOLL_CTL_MOD, c.interest()); err != nil {
		c.fail(err)
	}
}

func (e *epoll) close(c *conn) {
	unix.Close(c.fd)
	e.conns[c.slot] = nil
	e.freed = append(e.freed, c.slot)
}

func (e *epoll) shut() {
	if e.listen >= 0 {
		unix.Close(e.listen)
	}
	unix.Close(e.fd)
}

func (e *epoll) wait(limit time.Duration) error {
	n, errno := e.poll(limit)
	if errno != 0 && errno != unix.EINTR {
		return errno
	}
	for i := range n {
		ev := &e.events[i]
		if ev.Fd < 0 {
			e.accept()
		} else if c := e.conns[ev.Fd]; c != nil { // else closed earlier in this turn
			e.handle(c, ev.Events)
		}
	}
	e.free = append(e.free, e.freed...)
	e.freed = e.freed[:0]
	return nil
}

// sysEpollPwait2 has the same number on every architecture (Linux 5.11).
const sysEpollPwait2 = 441

// poll first looks without waiting, which costs no hand-off of the processor.
func (e *epoll) poll(limit time.Duration) (int, unix.Errno) {
	first := uintptr(unsafe.Pointer(&e.events[0]))
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), first, eventsTurn, 0, 0, 0)
	if errno != 0 || n > 0 || limit <= 0 {
		return events(n, errno)
	}
	if now := time.Now(); now.Sub(e.passed) > schedEvery {
		runtime.Gosched()
		e.passed = now
	}
	if !e.noNano {
		ts := unix.NsecToTimespec(int64(limit))
		n, _, errno = unix.Syscall6(sysEpollPwait2, uintptr(e.fd), first, eventsTurn, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno != unix.ENOSYS {
			return events(n, errno)
		}
		e.noNano = true
	}
	n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd), first, eventsTurn, uintptr(limit.Milliseconds()), 0, 0)
	return events(n, errno)
}

func events(n uintptr, errno unix.Errno) (int, unix.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func (e *epoll) handle(c *conn, events uint32) {
	if c.state == dialling {
		e.dialled(c)
		return
	}
	if events&unix.EPOLLOUT != 0 {
		if err := e.watch(c, unix.EPOLL_CTL_MOD, c.interest()); err != nil {
			c.fail(err)
			return
		}
		c.writable()
	}
	if events&^uint32(unix.EPOLLOUT) == 0 {
		return
	}
	if c.muted {
		c.fail(io.EOF)
		return
	}
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&e.buf[headroom])), readRoom)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		c.fail(errno)
	case n == 0:
		c.fail(io.EOF)
	default:
		e.l.now = nanos()
		if err := c.received(e.buf, headroom, int(n)); err != nil {
			c.fail(err)
		}
	}
}

// dialled: a connect has ended, one way or the other.
func (e *epoll) dialled(c *conn) {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err == nil {
		err = e.watch(c, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
	}
	if err != nil {
		c.fail(fmt.Errorf("connect: %w", err))
		return
	}
	c.opened()
}
