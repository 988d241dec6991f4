// SPDX-License-Identifier: Apache-2.0

package tls

// This file holds the package's only go statement.

// Pool bounds the handshakes of all listeners that share it.
type Pool struct {
	open    chan struct{} // a token per handshake that has a goroutine
	running chan struct{} // a token per handshake that computes
}

// NewPool makes a pool for at most open handshakes at a time, of which at most
// running compute while the others wait for their peers. An open handshake
// takes about 23 KB; a running one keeps a processor busy for about 0.4 ms
// (ECDSA P-256, RSA-2048 about three times that).
func NewPool(open, running int) *Pool {
	return &Pool{
		open:    make(chan struct{}, max(open, 1)),
		running: make(chan struct{}, max(running, 1)),
	}
}

// Open is the number of handshakes that have a goroutine now.
func (p *Pool) Open() int { return len(p.open) }

// start runs h on a goroutine, which ends with the handshake: when it is done
// or cancelled. It returns false if too many are open.
func (p *Pool) start(h *Handshake) bool {
	select {
	case p.open <- struct{}{}:
	default:
		return false
	}
	go func() {
		err := h.run()
		<-p.open
		h.finish(err)
	}()
	return true
}

// compute waits for leave to compute, or returns false once quit is closed.
func (p *Pool) compute(quit <-chan struct{}) bool {
	select {
	case p.running <- struct{}{}:
		return true
	case <-quit:
		return false
	}
}

func (p *Pool) rest() { <-p.running }
