// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// job is something to send: MQTT bytes in pieces, or one control frame.
type job struct {
	pieces    [][]byte
	fragments bool
	pause     time.Duration
	key       *[4]byte // of every frame; nil: random ones
	control   uint8    // opcode; 0: data
}

var (
	errBusy    = &RefusedError{"Too much waits to be sent already."}
	errNotOpen = &RefusedError{"The connection is not open."}
	errWatched = &RefusedError{"This is a client's own connection: it can be watched and not used."}
)

// send queues j; it does not wait.
func (c *conn) send(j *job) error {
	if c.watched != nil {
		return errWatched
	}
	c.mu.Lock()
	open := c.phase == Open
	c.mu.Unlock()
	if !open {
		return errNotOpen
	}
	select {
	case c.queue <- j:
		return nil
	default:
		return errBusy
	}
}

// write takes one job after another.
func (c *conn) write() {
	defer c.catch()
	for {
		select {
		case <-c.ctx.Done():
			return
		case j := <-c.queue:
			if err := c.perform(j); err != nil {
				c.shut(err)
				return
			}
		}
	}
}

func (c *conn) perform(j *job) error {
	if j.control != 0 {
		return c.put(newFrame(0x80|j.control, c.key(j), j.pieces[0]))
	}
	for i, p := range j.pieces {
		first, last := i == 0, i == len(j.pieces)-1
		op := uint8(opBinary)
		if j.fragments && !first {
			op = opContinuation
		}
		if !j.fragments || last {
			op |= 0x80
		}
		if err := c.put(newFrame(op, c.key(j), p)); err != nil {
			return err
		}
		if !last {
			c.settle(len(p), j.pause)
		}
	}
	return nil
}

func (c *conn) key(j *job) (key [4]byte) {
	if j.key != nil {
		return *j.key
	}
	copy(key[:], random(4))
	return key
}

// settled is how long a frame waits at most for the broker's ws_loop to have
// taken the one before it, so that its continuation can be seen between them.
const settled = 500 * time.Millisecond

// settle waits behind a frame of n bytes: until our own broker has read it, and
// for the pause asked for.
func (c *conn) settle(n int, pause time.Duration) {
	ctx, cancel := context.WithTimeout(c.ctx, settled)
	defer cancel()
	for own := c.target.own != nil && c.m.inside != nil; own && n > 0; {
		select {
		case took := <-c.looked:
			n -= took
		case <-ctx.Done():
			own = false
		}
	}
	if pause > 0 {
		select {
		case <-time.After(pause):
		case <-c.ctx.Done():
		}
	}
}

// put records a frame and writes it.
func (c *conn) put(f *Frame) error {
	c.mu.Lock()
	f.Offset = c.out
	c.out += uint64(len(f.Header) + len(f.Payload))
	c.mu.Unlock()
	for len(c.looked) > 0 {
		<-c.looked
	}
	c.record(f, outward)
	_ = c.raw.SetWriteDeadline(time.Now().Add(c.m.limits.Timeout))
	_, err := c.raw.Write(f.wire())
	return err
}

// record makes an event of a frame, and of the packets that end in it.
func (c *conn) record(f *Frame, way int) []dissect.Packet {
	f.Stream = -1
	if f.control() {
		c.tab.add(c, &Event{Frame: f})
		return nil
	}
	c.mu.Lock()
	d := &c.streams[way]
	f.Stream = d.offset
	var packets []dissect.Packet
	err := d.stream.Feed(f.Payload, func(p dissect.Packet) { packets = append(packets, p) })
	stage, buffered, want := d.stream.Continuation()
	d.offset += int64(len(f.Payload))
	d.refused = d.refused || err != nil || len(packets) > 0 && packets[len(packets)-1].Err != nil
	if !d.refused {
		f.More = &Continuation{stage, buffered, want}
	}
	c.mu.Unlock()
	seq := c.tab.add(c, &Event{Frame: f})
	for i := range packets {
		c.packet(&packets[i], way, seq)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(packets) > 0 {
		d.frames = nil
		if buffered == 0 {
			return packets
		}
	}
	d.frames = append(d.frames, seq)
	return packets
}

// packet makes an event of a packet that ended in the frame of event seq.
func (c *conn) packet(p *dissect.Packet, way int, seq uint64) {
	c.mu.Lock()
	d := &c.streams[way]
	e := &Packet{Out: way == outward, Type: p.Type.String(), Title: p.Title(), Stream: d.begin, Bytes: p.Bytes,
		Fields: p.Fields, Frames: append(d.frames, seq)}
	d.begin += int64(len(p.Bytes))
	d.frames = nil
	if p.Version != 0 {
		e.Version = p.Version.String()
	}
	if p.Err != nil {
		e.Fault = fault(p.Err)
	}
	if way == outward {
		c.last = time.Now()
		if p.Type == packet.CONNECT && p.Err == nil {
			c.version = p.Version
			c.streams[inward].stream.SetVersion(p.Version)
			c.keep = keepAliveOf(p)
		}
	}
	c.mu.Unlock()
	c.tab.add(c, &Event{Packet: e})
}

// keepAliveOf is when a client that said CONNECT has to say something again.
func keepAliveOf(p *dissect.Packet) time.Duration {
	for _, f := range p.Fields {
		if f.Name == "keep alive" {
			return time.Duration(binary.BigEndian.Uint16(p.Bytes[f.Offset:])) * time.Second
		}
	}
	return 0
}

// fault is what the parser says about a packet, with the clause.
func fault(err error) string {
	var f packet.Fault
	if errors.As(err, &f) {
		return fmt.Sprintf("%s: %s %s", f.Label(), f.Info().Hint, f.Info().Clause)
	}
	return err.Error()
}

// keepAlive sends PINGREQ when three quarters of the keep alive have passed in
// silence.
func (c *conn) keepAlive() {
	c.mu.Lock()
	due := c.answers && c.keep > 0 && time.Since(c.last) >= c.keep*3/4
	v := c.version
	c.mu.Unlock()
	if due {
		c.reply(&packet.Pingreq{}, v)
	}
}

// reply sends a packet of the client's own accord.
func (c *conn) reply(p packet.Packet, v packet.Version) {
	b, err := serializer.Append(nil, p, v)
	if err == nil {
		err = c.send(&job{pieces: [][]byte{b}})
	}
	if err != nil {
		c.note(fmt.Sprintf("%v was not sent: %v", p.Type(), err))
	}
}
