// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"io"
	"net/netip"

	"emqttd/listeners"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
	"emqttd/supervisor/chaos"
)

// line is one connection: two directions of bytes that are on their way. The
// broker's end is a listeners.Wire, the client's a chaos.Line.
type line struct {
	w        *world
	n        int
	clientID string
	version  packet.Version
	loop     int
	sock     *listeners.Socket
	arrive   func(packet.Packet, error)
	parser   parser.Parser
	frames   *frames // nil: plain TCP

	up, down []byte      // to the broker, to the client
	read     bool        // the broker wants to read
	blocked  bool        // the broker was told that the wire takes nothing now
	left     bool        // the client has closed its end
	reset    bool        // ... and took with it what was on its way
	shut     bool        // the broker has closed its half: down ends
	dead     bool        // the broker has closed, or was killed
	told     bool        // the broker knows that the client has left
	will     bool        // the client's CONNECT had one
	awaited  packet.Type // answer after which the broker may be killed; 0: none
	ended    bool        // the client knows that the broker has closed
}

var (
	_ listeners.Wire = brokerEnd{}
	_ chaos.Line     = (*line)(nil)

	errReset  = errors.New("connection reset by peer")
	errClosed = errors.New("use of closed connection")
)

// Send implements chaos.Line.
func (l *line) Send(p packet.Packet) error {
	if l.left || l.ended {
		return errClosed
	}
	b, err := serializer.Append(nil, p, l.version)
	if err != nil {
		return err
	}
	if l.frames != nil {
		b = l.frames.wrap(b, l.w.rng)
	}
	l.w.mark('>', l.n, b)
	if answer := l.w.asked(l, p); answer != 0 {
		l.awaited = answer
	}
	l.up = append(l.up, b...)
	return nil
}

// Close implements chaos.Line.
func (l *line) Close() error {
	if l.left {
		return nil
	}
	l.left, l.down = true, nil
	if l.w.rng.IntN(2) == 0 {
		l.reset, l.up = true, nil
	}
	l.w.mark('x', l.n, nil)
	return nil
}

// Write implements listeners.Wire.
func (l *line) Write(b []byte) (int, error) {
	if l.left && l.told || l.reset && l.w.rng.IntN(2) == 0 {
		return 0, errReset
	}
	n := len(b)
	switch l.w.rng.IntN(12) {
	case 0:
		n = 0
	case 1:
		n = l.w.rng.IntN(n) + 1
	}
	l.blocked = n == 0
	l.w.mark('<', l.n, b[:n])
	if !l.left {
		l.down = append(l.down, b[:n]...)
	}
	return n, nil
}

// Want implements listeners.Wire.
func (l *line) Want(read, _ bool) { l.read = read }

// Shutdown implements listeners.Wire.
func (l *line) Shutdown() { l.shut = true }

// Close of the broker's end.
type brokerEnd struct{ *line }

// Close implements listeners.Wire.
func (b brokerEnd) Close() { b.line.dead, b.line.shut = true, true }

// receive hands the client what n bytes bring.
func (l *line) receive(n int) {
	b := l.down[:n]
	l.down = l.down[n:]
	l.w.mark('r', l.n, nil)
	if l.frames != nil {
		b = l.frames.unwrap(b)
	}
	for len(b) > 0 && !l.left {
		next, p, rest, err := l.parser.Parse(b, nil)
		if err != nil {
			l.end(err)
			return
		}
		l.parser, b = next, rest
		if p != nil {
			l.answered(p.Type())
			l.arrive(p, nil)
		}
	}
}

// answered is told what came.
func (l *line) answered(t packet.Type) {
	if t == l.awaited && t != 0 {
		l.awaited = 0
		l.w.promised()
	}
}

// end tells the client that there will be no more.
func (l *line) end(err error) {
	if l.ended {
		return
	}
	l.ended = true
	if !l.left {
		l.arrive(nil, err)
	}
}

// hangUp is how the client sees the end of what the broker says.
func (l *line) hangUp() {
	l.w.mark('e', l.n, nil)
	l.answered(packet.DISCONNECT)
	l.end(io.EOF)
}

// peer is the client's address, a different one for each connection.
func peer(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, byte(n >> 8), byte(n)}), 40000)
}
