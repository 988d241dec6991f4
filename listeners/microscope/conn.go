// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// conn is one connection under the microscope: a client of its own. One
// goroutine reads, another writes what is queued, so that no packet is cut by
// another one.
type conn struct {
	m        *Microscope
	tab      *tab
	id       string // in its tab
	serial   uint64 // among all
	target   *target
	request  *Request
	insecure bool
	opened   time.Time
	watched  *watched // a connection of a client of the broker; nil: one of our own

	ctx    context.Context
	cancel context.CancelCauseFunc
	queue  chan *job
	looked chan int // bytes that the broker's ws_loop took in one read
	raw    net.Conn

	// The reader's.
	acc []byte // bytes read and not understood yet
	in  uint64 // bytes read in all, up to acc

	mu      sync.Mutex
	phase   Phase
	reason  string
	out     uint64 // bytes written
	streams [2]direction
	version packet.Version
	keep    time.Duration // 0: no PINGREQ by itself
	last    time.Time     // of the last packet out
	nextID  uint16
	answers bool // PUBACK, PUBREC, PUBREL, PUBCOMP, PINGREQ by itself
}

// direction is one way of the MQTT bytes.
type direction struct {
	stream  *dissect.Stream
	offset  int64    // bytes so far
	begin   int64    // where the unfinished packet begins
	frames  []uint64 // that the unfinished packet came in
	refused bool
}

const (
	outward = 0
	inward  = 1
)

// queued bounds the sends that wait.
const queued = 64

func newConn(m *Microscope, t *tab, to *target, req *Request, insecure bool) *conn {
	c := &conn{m: m, tab: t, id: strconv.Itoa(t.numbers), serial: m.serials, target: to, request: req, insecure: insecure, opened: time.Now(),
		phase: Dialing, queue: make(chan *job, queued), looked: make(chan int, 256), answers: true, nextID: 1}
	c.ctx, c.cancel = context.WithCancelCause(m.ctx)
	c.streams[outward].stream = dissect.NewStream(parser.Server, uint32(m.limits.MaxPacket))
	c.streams[inward].stream = dissect.NewStream(parser.Client, uint32(m.limits.MaxPacket))
	return c
}

// shut ends the connection for a reason.
func (c *conn) shut(err error) { c.cancel(err) }

// run is the life of the connection. A panic on a server's bytes ends it alone.
func (c *conn) run() {
	defer c.catch()
	if c.watched != nil {
		c.end(c.spy())
		return
	}
	c.end(c.live())
}

func (c *conn) catch() {
	if r := recover(); r != nil {
		c.note(string(debug.Stack()))
		err := fmt.Errorf("the microscope failed: %v", r)
		c.end(err)
		c.shut(err)
	}
}

func (c *conn) live() error {
	c.state(State{Phase: Dialing})
	ctx, cancel := context.WithTimeout(c.ctx, c.m.limits.Timeout)
	defer cancel()
	if err := c.dial(ctx); err != nil {
		return c.cause(err)
	}
	defer c.raw.Close()
	stop := context.AfterFunc(c.ctx, func() { _ = c.raw.Close() })
	defer stop()
	if c.target.own != nil && c.m.inside != nil {
		defer c.m.inside.Watch(addrOf(c.raw.LocalAddr()), c.hop)()
	}
	if err := c.upgrade(); err != nil {
		return c.cause(err)
	}
	var writer sync.WaitGroup
	defer writer.Wait()
	defer c.cancel(nil)
	writer.Go(c.write)
	return c.cause(c.read())
}

// cause prefers the reason for which the connection was shut.
func (c *conn) cause(err error) error {
	if cause := context.Cause(c.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func addrOf(a net.Addr) netip.AddrPort {
	p, _ := netip.ParseAddrPort(a.String())
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// dial makes the TCP connection, and the TLS one in it.
func (c *conn) dial(ctx context.Context) (err error) {
	for _, a := range c.target.addrs {
		if c.raw, err = new(net.Dialer).DialContext(ctx, "tcp", a.String()); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	s := State{Phase: Connected, Local: c.raw.LocalAddr().String(), Remote: c.raw.RemoteAddr().String()}
	if c.target.url.Scheme == "wss" {
		// Of this broker itself nobody else can hold the address: its own
		// certificate may be for another name.
		t := tls.Client(c.raw, &tls.Config{ServerName: c.target.url.Hostname(), NextProtos: []string{"http/1.1"},
			InsecureSkipVerify: c.insecure || c.target.own != nil})
		if err := t.HandshakeContext(ctx); err != nil {
			_ = c.raw.Close()
			return err
		}
		cs := t.ConnectionState()
		s.TLS = tls.VersionName(cs.Version) + ", " + tls.CipherSuiteName(cs.CipherSuite)
		c.raw = t
	}
	c.state(s)
	return nil
}

// maxHead bounds the header of the answer to an upgrade, and maxBody what is
// kept of its body, in bytes.
const (
	maxHead = 16 << 10
	maxBody = 2 << 10
)

// upgrade sends the request and reads the answer. Bytes behind a 101 stay in acc.
func (c *conn) upgrade() error {
	_ = c.raw.SetDeadline(time.Now().Add(c.m.limits.Timeout))
	c.tab.add(c, &Event{Request: c.request})
	if _, err := c.raw.Write(c.request.Raw); err != nil {
		return err
	}
	c.out = uint64(len(c.request.Raw))
	end := -1
	for end < 0 {
		if len(c.acc) > maxHead || len(c.acc) >= 5 && string(c.acc[:5]) != "HTTP/" {
			c.note(fmt.Sprintf("The answer begins with %q.", c.acc[:min(len(c.acc), 32)]))
			return errNotHTTP
		}
		if err := c.fill(); err != nil {
			return err
		}
		end = headEnd(c.acc)
	}
	head := c.acc[:end]
	var body []byte
	if len(head) > 12 && string(head[9:12]) != "101" {
		body = c.body(end)
	}
	res, err := c.request.response(head, body)
	if err != nil {
		return err
	}
	c.tab.add(c, &Event{Response: res})
	c.acc, c.in = append([]byte(nil), c.acc[end:]...), uint64(end)
	if !res.OK {
		return refuse("%s", res.Verdict)
	}
	_ = c.raw.SetDeadline(time.Time{})
	c.state(State{Phase: Open})
	return nil
}

// body reads what there is of a refusal's body, briefly.
func (c *conn) body(end int) []byte {
	_ = c.raw.SetReadDeadline(time.Now().Add(time.Second))
	for len(c.acc) < end+maxBody {
		if c.fill() != nil {
			break
		}
	}
	return c.acc[end:min(len(c.acc), end+maxBody)]
}

// fill reads once.
func (c *conn) fill() error {
	var buf [4 << 10]byte
	n, err := c.raw.Read(buf[:])
	c.acc = append(c.acc, buf[:n]...)
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// tick is how often the reader looks at the keep alive.
const tick = time.Second

// read takes frames until the connection ends.
func (c *conn) read() error {
	for {
		for {
			f, n, err := readFrame(c.acc, c.m.limits.MaxPacket)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			f.Offset = c.in
			c.in += uint64(n)
			c.acc = append(c.acc[:0], c.acc[n:]...)
			if err := c.received(f); err != nil {
				return err
			}
		}
		_ = c.raw.SetReadDeadline(time.Now().Add(tick))
		err := c.fill()
		if t, ok := err.(net.Error); ok && t.Timeout() {
			err = nil
			c.keepAlive()
		}
		if err != nil {
			return err
		}
	}
}

func (c *conn) state(s State) {
	s.URL, s.Own = c.target.url.String(), c.target.own != nil
	c.mu.Lock()
	c.phase = s.Phase
	c.reason = s.Reason
	c.mu.Unlock()
	c.tab.add(c, &Event{State: &s})
}

func (c *conn) note(text string) { c.tab.add(c, &Event{Note: &Note{Text: text}}) }

// end records the end; only the first counts.
func (c *conn) end(err error) {
	c.mu.Lock()
	over := c.phase == Closed
	c.mu.Unlock()
	if over {
		return
	}
	reason := "Closed."
	if err != nil {
		reason = explain(err)
	}
	c.state(State{Phase: Closed, Reason: reason})
}

// hop is called on an event loop: it does not wait.
func (c *conn) hop(at time.Time, h *Hop) {
	c.tab.add(c, &Event{At: at, Hop: h})
	if h.Bytes > 0 {
		select {
		case c.looked <- h.Bytes:
		default:
		}
	}
}
