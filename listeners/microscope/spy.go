// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"fmt"
	"strings"
	"time"

	"emqttd/protocol/dissect"
)

// spied is one direction of a client's connection.
type spied struct {
	acc   []byte   // of an unfinished frame
	held  []*Event // frames whose last packet is not complete: nobody knows yet what in them is to be covered
	size  int      // bytes in held
	blind bool     // up to the next packet: its place in the bytes is not known
	lost  int      // bytes since then
}

// spy takes the pieces of a client's connection apart until the client or the
// watching ends.
func (c *conn) spy() error {
	w := c.watched
	defer w.tapped.Stop()
	s := State{Phase: Connected, Local: w.tapped.Peer.String(), Remote: w.tapped.Here.String()}
	c.state(s)
	c.state(State{Phase: Open})
	if w.stop != nil {
		defer w.stop()
	}
	for i := range c.streams {
		c.streams[i].renew(i, c.m.limits.MaxPacket, w.tapped.Version)
	}
	var ways [2]spied
	for {
		select {
		case <-w.basket.ready:
		case <-c.ctx.Done():
			return c.cause(nil)
		}
		for _, p := range w.basket.take() {
			if p.Closed != "" {
				return refuse("The client's connection ended: %s.", strings.ReplaceAll(p.Closed, "_", " "))
			}
			c.piece(&ways[way(p.Out)], p)
		}
	}
}

// piece takes one piece apart: into frames, and these into packets.
func (c *conn) piece(s *spied, p *piece) {
	s.lost += p.lost
	if s.blind = s.blind || p.lost > 0; s.blind {
		if !p.Fresh {
			s.lost += len(p.Bytes)
			return
		}
		c.resume(s, p)
	}
	if !p.Frames {
		c.spied(s, &Frame{Out: p.Out, Bare: true, Name: "bytes", Payload: p.Bytes}, p.at)
		return
	}
	s.acc = append(s.acc, p.Bytes...)
	for {
		f, n, err := readFrame(s.acc, c.m.limits.MaxPacket)
		if err != nil {
			c.lose(s, p.at, fmt.Sprintf("%v.", err))
			return
		}
		if n == 0 {
			return
		}
		f.Out, f.Fault = p.Out, "" // the broker judges
		s.acc = append(s.acc[:0], s.acc[n:]...)
		c.spied(s, f, p.at)
	}
}

// lose says why a direction cannot be taken apart up to its next packet.
func (c *conn) lose(s *spied, at time.Time, why string) {
	c.release(s)
	s.lost += len(s.acc)
	s.acc, s.blind = nil, true
	c.tab.add(c, &Event{At: at, Note: &Note{Text: why}})
}

// resume begins a direction anew at p, where a packet begins.
func (c *conn) resume(s *spied, p *piece) {
	c.release(s)
	if s.lost > 0 {
		from := map[bool]string{true: "client", false: "broker"}[p.Out]
		c.tab.add(c, &Event{At: p.at, Note: &Note{Text: fmt.Sprintf("Passed over: %d bytes from the %s.", s.lost, from)}})
	}
	s.acc, s.blind, s.lost = nil, false, 0
	c.streams[way(p.Out)].renew(way(p.Out), c.m.limits.MaxPacket, c.watched.tapped.Version)
}

// spied records a frame with the packets that end in it, once they are whole.
func (c *conn) spied(s *spied, f *Frame, at time.Time) {
	f.Stream = -1
	if f.control() {
		c.release(s)
		s.held = append(s.held, &Event{At: at, Frame: f})
		c.release(s)
		return
	}
	d := &c.streams[way(f.Out)]
	f.Stream = d.offset
	var packets []dissect.Packet
	err := d.stream.Feed(f.Payload, func(p dissect.Packet) { packets = append(packets, p) })
	stage, buffered, want := d.stream.Continuation()
	d.offset += int64(len(f.Payload))
	refused := err != nil || len(packets) > 0 && packets[len(packets)-1].Err != nil
	if !refused {
		f.More = &Continuation{stage, buffered, want}
	}
	s.held = append(s.held, &Event{At: at, Frame: f})
	s.size += len(f.Payload)
	for i := range packets {
		s.held = append(s.held, &Event{At: at, Packet: d.event(&packets[i], f.Out)})
	}
	if refused {
		c.lose(s, at, "Nobody can say where the next packet begins.")
		return
	}
	if buffered == 0 || s.size > c.m.limits.MaxPacket {
		c.release(s)
	}
}

// event is a packet of a direction.
func (d *direction) event(p *dissect.Packet, out bool) *Packet {
	e := &Packet{Out: out, Type: p.Type.String(), Title: p.Title(), Stream: d.begin, Bytes: p.Bytes, Fields: p.Fields, Frames: []uint64{}}
	d.begin += int64(len(p.Bytes))
	if p.Version != 0 {
		e.Version = p.Version.String()
	}
	if p.Err != nil {
		e.Fault = fault(p.Err)
	}
	return e
}

// release records what is held, covered as it has to be.
func (c *conn) release(s *spied) {
	var frames []*Event
	for _, e := range masked(s.held, c.watched.cover) {
		if p := e.Packet; p != nil {
			for _, f := range frames {
				if at := f.Frame.Stream; at < p.Stream+int64(len(p.Bytes)) && p.Stream < at+int64(len(f.Frame.Payload)) {
					p.Frames = append(p.Frames, f.Seq)
				}
			}
		} else {
			frames = append(frames, e)
		}
		c.tab.add(c, e)
	}
	s.held, s.size = nil, 0
}
