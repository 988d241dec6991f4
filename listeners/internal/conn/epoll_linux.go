// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"encoding/binary"
	"math"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll is the poller of Linux: a set of its own with the sockets, an eventfd
// for other threads and a timerfd for the group's timers.
//
// There are two ways to wait. Blocking in epoll_wait is the cheaper one, as long as
// a processor is left for everything else (GOMAXPROCS) and the goroutine passes
// Go's scheduler every few milliseconds: one that only ever blocks in system calls
// has its processor taken away in every tick of sysmon, which then never sleeps
// (5,000 messages a second: 27 s of CPU per million, 12 with the pause). Nested in
// Go's poller it costs a few microseconds more, but no thread and no fight with the
// scheduler for one. 2026-11: medians of five interleaved runs on a busy machine,
// seconds per million: nested 32, blocking 25, mosquitto 15.
type epoll struct {
	loop   *Loop
	fd     int
	file   *os.File // nil: blocks
	raw    syscall.RawConn
	event  int
	timer  int
	armed  int64 // what the timerfd is set to, 0: nothing
	events []unix.EpollEvent
	blocks bool  // waits in epoll_wait itself
	passed int64 // when the scheduler was passed last; of blocks
	conns  connsByFd
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
	e := &epoll{loop: l, fd: fd, blocks: takeProcessor(), events: make([]unix.EpollEvent, 512), accept: map[int32]func(){}}
	if !e.blocks {
		if err := e.nest(); err != nil {
			return nil, err
		}
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

// nest puts the set into Go's poller. One that blocks must not stand there: each
// event would wake the poller's thread beside the loop's own (5,000 messages a
// second: a fifth of all CPU).
func (e *epoll) nest() (err error) {
	if err = unix.SetNonblock(e.fd, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	e.file = os.NewFile(uintptr(e.fd), "epoll")
	e.raw, err = e.file.SyscallConn()
	return err
}

var one = [8]byte{1}

func (e *epoll) wake() { _, _ = unix.Write(e.event, one[:]) }

func (e *epoll) close() {
	_ = unix.Close(e.event)
	_ = unix.Close(e.timer)
	if e.blocks {
		blocking.Add(-1)
		_ = unix.Close(e.fd)
		return
	}
	_ = e.file.Close()
}

// wait implements poller.
func (e *epoll) wait(next int64) {
	block := next != 0
	if block {
		e.setTimer(next)
	}
	n := 0
	switch {
	case !block:
		n = e.poll()
	case e.blocks:
		n = e.block()
	default:
		_ = e.raw.Read(func(uintptr) bool {
			n = e.poll()
			return n > 0
		})
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

// poll asks for events without waiting.
func (e *epoll) poll() int { return e.ask(0) }

// block waits in the kernel.
func (e *epoll) block() int {
	if now := e.loop.g.Now(); now-e.passed > int64(passEvery) {
		e.passed = now
		runtime.Gosched()
	}
	return e.ask(-1)
}

// passEvery is less than the 10 ms after which sysmon loses its patience.
const passEvery = 3 * time.Millisecond

func (e *epoll) ask(timeout int) int {
	n, err := unix.EpollWait(e.fd, e.events, timeout)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// blocking is the number of loops of the process that wait in epoll_wait.
var blocking atomic.Int32

// takeProcessor reports whether one more may: one processor is always left.
func takeProcessor() bool {
	if int(blocking.Add(1)) < runtime.GOMAXPROCS(0) {
		return true
	}
	blocking.Add(-1)
	return false
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
	c := e.conns.at(ev.Fd)
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
	n, errno := raw(unix.SYS_READ, s.fd, e.loop.read)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case errno != 0:
		c.gone(os.NewSyscallError("read", errno))
	case n == 0:
		c.gone(nil)
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

// connsByFd is the connections of a loop by their descriptors: those are small
// numbers, which the kernel gives out anew as soon as they are free. A map of
// pointers took 50 bytes for each connection.
type connsByFd struct{ pages []*[fdsPerPage]*Conn }

const fdsPerPage = 512

func (t *connsByFd) at(fd int32) *Conn {
	if i := int(fd) / fdsPerPage; i < len(t.pages) && t.pages[i] != nil {
		return t.pages[i][fd%fdsPerPage]
	}
	return nil
}

func (t *connsByFd) set(fd int, c *Conn) {
	i := fd / fdsPerPage
	for i >= len(t.pages) {
		t.pages = append(t.pages, nil)
	}
	if t.pages[i] == nil {
		t.pages[i] = new([fdsPerPage]*Conn)
	}
	t.pages[i][fd%fdsPerPage] = c
}

func (e *epoll) addSocket(c *Conn, fd int) error {
	s := &fdSocket{e: e, fd: fd}
	c.sock = s
	e.conns.set(fd, c)
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	if errno := e.control(unix.EPOLL_CTL_ADD, fd, &ev); errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// control changes the set: as raw, it does not wait.
func (e *epoll) control(op, fd int, ev *unix.EpollEvent) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(e.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return errno
}

func (s *fdSocket) write(b []byte) (int, error) {
	n, errno := raw(unix.SYS_WRITE, s.fd, b)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return 0, nil
	}
	if errno != 0 {
		return 0, os.NewSyscallError("write", errno)
	}
	return n, nil
}

// raw reads into b or writes it, which is not empty: a system call that the
// scheduler need not know of, since the descriptor never makes it wait.
func raw(call uintptr, fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func (s *fdSocket) want(read, write bool) {
	ev := unix.EpollEvent{Fd: int32(s.fd)}
	if read {
		ev.Events |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if write {
		ev.Events |= unix.EPOLLOUT
	}
	_ = s.e.control(unix.EPOLL_CTL_MOD, s.fd, &ev)
}

func (s *fdSocket) shutdown() { _ = unix.Shutdown(s.fd, unix.SHUT_WR) }

// settle is no act: the kernel delivers what it has, and then says that we are gone.
func (s *fdSocket) settle() {}

// deaf takes the descriptor out of the set: the end of a connection cannot be
// masked, and would be told again in every turn.
func (s *fdSocket) deaf() { _ = unix.EpollCtl(s.e.fd, unix.EPOLL_CTL_DEL, s.fd, nil) }

func (s *fdSocket) close() {
	s.e.conns.set(s.fd, nil)
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(s.fd), 0, 0) // without SO_LINGER it does not wait either
}

// addrOf is a peer's address; the zero value for a Unix socket.
func addrOf(sa *unix.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), hostOrder(&a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), hostOrder(&a.Port))
	}
	return netip.AddrPort{}
}

// hostOrder is a port, which the kernel gives in network order.
func hostOrder(port *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(port))[:])
}
