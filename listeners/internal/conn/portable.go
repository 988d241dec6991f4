// SPDX-License-Identifier: Apache-2.0

package conn

import (
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"emqttd/actors/metrics"
)

// portable is the poller of systems without epoll, and of connections that are
// no descriptors: goroutines read and write, and post what they did to the loop.
type portable struct {
	loop *Loop
	kick chan struct{}
}

func newPortable(l *Loop) *portable { return &portable{loop: l, kick: make(chan struct{}, 1)} }

func (p *portable) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

func (p *portable) close() {}

// wait implements poller.
func (p *portable) wait(next int64) {
	if next == 0 {
		return
	}
	d := time.Hour
	if next != math.MaxInt64 {
		d = max(0, time.Duration(next-p.loop.opts.Clock.Now()))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.kick:
	case <-t.C:
	}
}

// netSocket is a net.Conn with its two goroutines.
type netSocket struct {
	loop *Loop
	c    *Conn
	nc   net.Conn
	mu   sync.Mutex
	cond *sync.Cond
	read bool // the reader may go on
	out  []byte
	done bool
	eof  bool
	kept bool // an actor that could not run has the reader's buffer; the loop sets it before the reader goes on
}

// addNet makes nc the socket of c and starts its goroutines.
func (l *Loop) addNet(c *Conn, nc net.Conn) {
	s := &netSocket{loop: l, c: c, nc: nc, read: true}
	s.cond = sync.NewCond(&s.mu)
	c.sock = s
	go s.reader()
	go s.writer()
}

// reader hands what it reads to the loop and waits until it is used up. That is
// a post of its own, behind the bytes: a Goexit in between delays it until the
// actors are done with them.
func (s *netSocket) reader() {
	buf := make([]byte, 32<<10)
	used := make(chan struct{}, 1)
	for s.mayRead() {
		n, err := s.nc.Read(buf)
		s.loop.Post(func() { s.arrived(buf[:n]) })
		s.loop.Post(func() {
			s.ended(err)
			used <- struct{}{}
		})
		select {
		case <-used:
		case <-s.loop.stopped:
			return
		}
		if err != nil {
			return
		}
		if s.kept {
			s.kept, buf = false, make([]byte, 32<<10)
		}
	}
}

// arrived runs on the loop.
func (s *netSocket) arrived(b []byte) {
	if s.loop.turn == 0 {
		s.loop.turn = s.loop.g.Now()
	}
	if c := s.c; len(b) > 0 && c.layer != dead && c.layer != lingering {
		c.input(b)
		s.loop.drain()
	}
	s.kept = s.kept || s.c.waits()
}

// ended runs on the loop.
func (s *netSocket) ended(err error) {
	if err == nil || s.c.layer == dead {
		return
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s.c.gone(err)
}

func (s *netSocket) mayRead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.read && !s.done {
		s.cond.Wait()
	}
	return !s.done
}

// writer writes what write left.
func (s *netSocket) writer() {
	for {
		s.mu.Lock()
		for len(s.out) == 0 && !s.done && !s.eof {
			s.cond.Wait()
		}
		b, done, eof := s.out, s.done, s.eof
		s.mu.Unlock()
		if done {
			if len(b) > 0 && eof {
				_, _ = s.nc.Write(b) // the last words
			}
			_ = s.nc.Close()
			return
		}
		if len(b) == 0 {
			if eof {
				if cw, ok := s.nc.(interface{ CloseWrite() error }); ok {
					_ = cw.CloseWrite()
				} else {
					s.loop.Post(s.c.drop)
				}
			}
			return
		}
		_, err := s.nc.Write(b)
		s.mu.Lock()
		s.out = nil
		s.mu.Unlock()
		s.loop.Post(func() {
			if err != nil {
				s.c.end(metrics.ClosePeer, err)
				return
			}
			s.c.writable()
		})
	}
}

// write implements socket: one buffer is under way at a time.
func (s *netSocket) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.out) > 0 {
		return 0, nil
	}
	s.out = append([]byte(nil), b...)
	s.cond.Broadcast()
	return len(b), nil
}

func (s *netSocket) want(read, _ bool) {
	s.mu.Lock()
	s.read = read
	s.mu.Unlock()
	s.cond.Broadcast()
}

func (s *netSocket) shutdown() {
	s.mu.Lock()
	s.eof = true
	s.mu.Unlock()
	s.cond.Broadcast()
}

// settle is shutdown: the writer may not have come to it yet.
func (s *netSocket) settle() { s.shutdown() }

// deaf is no act: a reader that has met the end does not go on.
func (s *netSocket) deaf() {}

// close leaves last words that are not written yet to the writer, which closes
// behind them.
func (s *netSocket) close() {
	s.mu.Lock()
	s.done = true
	last := s.eof && len(s.out) > 0
	s.mu.Unlock()
	s.cond.Broadcast()
	if last {
		_ = s.nc.SetWriteDeadline(time.Now().Add(lingerTime))
		return
	}
	_ = s.nc.Close()
}

// listenPortable accepts with a goroutine.
func listenPortable(ln *Listener, nl net.Listener) listening {
	s := &netListening{ln: ln, nl: nl, done: make(chan struct{})}
	go s.accept()
	return s
}

type netListening struct {
	ln   *Listener
	nl   net.Listener
	done chan struct{}
}

func (s *netListening) addr() net.Addr { return s.nl.Addr() }

func (s *netListening) stop(done func()) {
	_ = s.nl.Close()
	go func() {
		<-s.done
		done()
	}()
}

func (s *netListening) accept() {
	defer close(s.done)
	for {
		nc, err := s.nl.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		s.ln.cell.Push(&Knock{Peer: peerOf(nc.RemoteAddr()), at: s.ln, from: netPorch{nc}})
	}
}

type netPorch struct{ nc net.Conn }

func (p netPorch) take(k *Knock, v Verdict) {
	if v == TurnAway {
		_ = p.nc.Close()
		return
	}
	l := k.at.pick()
	l.Post(func() {
		c := k.at.connection(l, k.Peer, v)
		l.addNet(c, p.nc)
		c.open()
	})
}
