// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// link is one connection of a Client. The Client's mutex guards the fields that
// have no other keeper named.
type link struct {
	c       *Client
	conn    *Conn // reading: the reader; encoding: under the mutex; writing: the writer
	version packet.Version
	connack *packet.Connack
	limits  Limits

	out     []byte        // encoded, not yet taken by the writer
	spare   []byte        // the writer's other buffer
	wake    chan struct{} // capacity 1: there is something for the writer
	room    chan struct{} // closed and renewed when out has been taken
	closing bool          // DISCONNECT is the last packet in out
	parting error         // why, with closing

	quota    int               // PUBLISH of QoS 1 and 2 that may be sent yet [v5 4.9]
	aliasOut map[string]uint16 // len <= aliasMax
	aliasMax uint16
	aliasIn  []string // index: alias - 1

	recvMax  int  // our Receive Maximum
	unacked  int  // server -> client, QoS 1 and 2, not yet acknowledged by us; <= recvMax
	stalled  bool // the reader waits for the handler: silence is our own doing
	requests map[packet.ID]*request
	pings    []chan struct{} // PINGREQs not yet answered, in order; nil: keep alive's
	pingAt   time.Time       // when the server was last heard since the first of them
	lastSent time.Time
	reauth   chan error // re-authentication in progress

	once    sync.Once
	err     error         // why it ended; valid after down
	down    chan struct{} // closed by fail
	written chan struct{} // closed when the writer has ended
}

const (
	maxPings    = 64
	keptOutSize = 64 << 10 // bytes of an out buffer kept when empty
)

func (c *Client) newLink(nc net.Conn) *link {
	p := c.cfg.Connect.Properties
	l := &link{
		c: c, version: c.cfg.Connect.Version,
		wake: make(chan struct{}, 1), room: make(chan struct{}), down: make(chan struct{}), written: make(chan struct{}),
		requests: make(map[packet.ID]*request), recvMax: 65535,
	}
	o := Options{Version: l.version, ReadBuffer: c.cfg.ReadBuffer, WriteTimeout: c.cfg.WriteTimeout, Tap: c.cfg.Tap}
	if p.Has(packet.PropMaximumPacketSize) {
		o.MaxPacketSize = p.MaximumPacketSize
	}
	if p.Has(packet.PropReceiveMaximum) {
		l.recvMax = int(p.ReceiveMaximum)
	}
	if p.Has(packet.PropTopicAliasMaximum) {
		l.aliasIn = make([]string, p.TopicAliasMaximum)
	}
	l.conn = New(nc, o)
	return l
}

// fail ends the link, once, because of err. Not to be called with the mutex
// held: closing may wait for the network.
func (l *link) fail(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.down)
		_ = l.conn.Close() // it is given up; err says why
	})
}

// finish appends DISCONNECT and lets the writer close behind it.
func (l *link) finish(d *packet.Disconnect, why error) error {
	if l.closing {
		return nil
	}
	out, err := l.conn.encode(l.out, d)
	if err != nil {
		return err
	}
	l.out, l.closing, l.parting = out, true, why
	l.poke()
	return nil
}

func (l *link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// append puts p into out, within the server's Maximum Packet Size
// [v5 MQTT-3.1.2-24 is the server's, MQTT-3.2.2-15 ours]. Nothing follows a DISCONNECT
// [v3.1.1 MQTT-3.14.4-2, v5 MQTT-3.14.4-1].
func (l *link) append(p packet.Packet) error {
	if l.closing {
		return ErrClosed
	}
	if max := l.limits.MaximumPacketSize; max > 0 {
		if n, err := serializer.Size(p, l.version); err == nil && uint64(n) > uint64(max) {
			return errTooLarge
		}
	}
	out, err := l.conn.encode(l.out, p)
	if err != nil {
		return err
	}
	l.out = out
	l.poke()
	return nil
}

// reader

// read handles packets until the connection ends.
func (l *link) read() {
	for {
		p, err := l.conn.Receive(context.Background())
		if err == nil {
			err = l.c.received(l, p)
		} else {
			err = l.readError(err)
		}
		if err == nil {
			continue
		}
		if fault, ok := errors.AsType[*ProtocolError](err); ok && l.version == packet.V5 {
			l.complain(fault)
			<-l.down
			return
		}
		l.fail(err)
		return
	}
}

// readError says what the end of the bytes means.
func (l *link) readError(err error) error {
	if bad, ok := errors.AsType[*parser.Error](err); ok {
		return &ProtocolError{Fault: bad.Fault, Type: bad.Type}
	}
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	if l.parting != nil {
		return l.parting
	}
	return lost(err)
}

// complain ends the connection with a DISCONNECT that says what the server did
// wrong [v5 MQTT-4.13.1-1].
func (l *link) complain(e *ProtocolError) {
	code := e.Fault.Code()
	if !code.ValidIn(packet.DISCONNECT) {
		code = packet.ProtocolError
	}
	l.c.mu.Lock()
	err := l.finish(&packet.Disconnect{Code: code}, e)
	l.c.mu.Unlock()
	if err != nil {
		l.fail(e)
	}
}

// writer

// write writes what is appended until the connection ends.
func (l *link) write() {
	defer close(l.written)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		buf, closing := l.take()
		if len(buf) > 0 {
			if err := l.conn.write(buf); err != nil {
				l.fail(lost(err))
				return
			}
			l.giveBack(buf)
			continue
		}
		if closing {
			l.part(timer)
			return
		}
		if !l.wait(timer) {
			return
		}
	}
}

// wait waits for something to write; false: the connection has ended.
func (l *link) wait(timer *time.Timer) bool {
	timer.Reset(l.untilPing())
	select {
	case <-l.wake:
	case <-timer.C:
		if err := l.keepAlive(); err != nil {
			l.fail(err)
			return false
		}
	case <-l.down:
		return false
	}
	return true
}

// part closes behind a DISCONNECT [v3.1.1 MQTT-3.14.4-1, v5 MQTT-3.14.4-2].
// A server that has read it closes too; we let it be the first, for closing
// with unread bytes would reset the connection and could take the DISCONNECT
// with it.
func (l *link) part(timer *time.Timer) {
	l.c.mu.Lock()
	why := l.parting
	l.c.mu.Unlock()
	if why == ErrClosed {
		timer.Reset(l.c.cfg.CloseTimeout)
		select {
		case <-timer.C:
		case <-l.down:
		}
	}
	l.fail(why)
}

// take takes what is to be written. The room it makes lets queued publishes and
// waiting publishers go on.
func (l *link) take() (buf []byte, closing bool) {
	l.c.mu.Lock()
	var fin completions
	if len(l.out) > 0 {
		buf, l.out, l.spare = l.out, l.spare[:0], nil
		l.lastSent = time.Now()
		close(l.room)
		l.room = make(chan struct{})
		fin = l.c.pump(l)
	}
	closing = l.closing
	l.c.mu.Unlock()
	fin.call()
	return buf, closing
}

func (l *link) giveBack(buf []byte) {
	if cap(buf) > keptOutSize {
		return
	}
	l.c.mu.Lock()
	l.spare = buf[:0]
	l.c.mu.Unlock()
}
