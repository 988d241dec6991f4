// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

// journal is the floor under every broker that acknowledges what is durable: a
// plain loop around a file. The PUBLISH packets that a turn reads are appended
// to it with one write and one sync, then they are acknowledged. It answers
// CONNECT, SUBSCRIBE and PINGREQ as the relay does, and nothing is ever read
// again: no routing, no queues, no deletion.
type journal struct {
	l       *loop
	file    *os.File
	written int64
	buf     []byte // whole PUBLISH packets of this turn
	owed    []owed // their acknowledgements
	err     error  // of the file: the end
}

type owed struct {
	c  *conn
	id uint16
}

// journalSize bounds the file; then it is written from its beginning again.
const journalSize = 4 << 30

// Journal serves on addr, which has to be on loopback, with a file in dir, until
// ctx ends or the time is up.
func Journal(ctx context.Context, dir, addr string, limit time.Duration, ready Listener) (err error) {
	j := &journal{l: newServer()}
	if j.file, err = os.CreateTemp(dir, "emqtt-journal-"); err != nil {
		return fmt.Errorf("bench: journal: %w", err)
	}
	defer func() { err = errors.Join(err, j.file.Close(), os.Remove(j.file.Name())) }()
	j.l.atEnd = j.commit
	err = j.l.serve(ctx, addr, limit, j.accepted, ready)
	if err = errors.Join(err, j.err); err != nil {
		return fmt.Errorf("bench: journal: %w", err)
	}
	return nil
}

// commit makes durable what the turn has read, and acknowledges it.
func (j *journal) commit(int64) {
	if len(j.buf) == 0 || j.err != nil {
		return
	}
	if j.written > journalSize {
		_, j.err = j.file.Seek(0, io.SeekStart)
		j.written = 0
	}
	if j.err == nil {
		_, j.err = j.file.Write(j.buf)
	}
	if j.err == nil {
		j.err = syncData(j.file)
	}
	if j.err != nil {
		return // nothing is acknowledged any more
	}
	j.written += int64(len(j.buf))
	for _, o := range j.owed {
		if o.c.state == ready {
			o.c.out = appendAck(o.c.out, packet.PUBACK, o.id)
			o.c.touch()
		}
	}
	j.buf, j.owed = j.buf[:0], j.owed[:0]
}

// journalConn is the role of one connection.
type journalConn struct {
	j    *journal
	c    *conn
	p    parser.Parser
	slab parser.Slab
	rest []byte // the beginning of a packet
}

func (j *journal) accepted() *conn {
	c := &conn{l: j.l, state: ready}
	h := &journalConn{j: j, c: c, p: parser.New(parser.Options{Role: parser.Server})}
	c.role, c.raw = h, h.received
	return c
}

// received takes the bytes of one read. A PUBLISH is read where it lies.
func (h *journalConn) received(b []byte) error {
	if h.j.err != nil {
		return h.j.err
	}
	if len(h.rest) > 0 {
		h.rest = append(h.rest, b...)
		b = h.rest
	}
	for {
		size, header, err := packetSize(b)
		if err != nil {
			return err
		}
		if size > maxPacket {
			return errMalformed
		}
		if size == 0 || size > len(b) {
			break
		}
		if err := h.packet(b[:size], header); err != nil {
			return err
		}
		b = b[size:]
	}
	h.rest = append(h.rest[:0], b...)
	return nil
}

var errJournal = errors.New("the journal knows CONNECT, SUBSCRIBE, PINGREQ, DISCONNECT and QoS 1 PUBLISH")

func (h *journalConn) packet(b []byte, header int) error {
	if packet.Type(b[0]>>4) == packet.PUBLISH {
		p := &h.j.l.message
		if err := readPublish(p, b, header, h.p.Version()); err != nil {
			return err
		}
		if p.qos != 1 {
			return errJournal
		}
		h.j.buf = append(h.j.buf, b...)
		h.j.owed = append(h.j.owed, owed{h.c, p.id})
		return nil
	}
	next, pkt, _, err := h.p.Parse(b, &h.slab)
	if err != nil {
		return err
	}
	h.p = next
	var answer packet.Packet
	switch m := pkt.(type) {
	case *packet.Connect:
		answer = &packet.Connack{}
	case *packet.Subscribe:
		codes := make([]packet.ReasonCode, len(m.Subscriptions))
		for i, s := range m.Subscriptions {
			codes[i] = packet.ReasonCode(s.QoS)
		}
		answer = &packet.Suback{ID: m.ID, Codes: codes}
	case *packet.Pingreq:
		answer = &packet.Pingresp{}
	case *packet.Disconnect:
		return io.EOF
	default:
		return errJournal
	}
	if h.c.out, err = serializer.Append(h.c.out, answer, h.p.Version()); err == nil {
		h.c.touch()
	}
	return err
}

func (h *journalConn) closed(*conn, error)                    {}
func (h *journalConn) connected(*conn)                        {}
func (h *journalConn) published(*conn, *publish)              {}
func (h *journalConn) acked(*conn, uint16, packet.ReasonCode) {}
func (h *journalConn) subscribed(*conn, []byte)               {}
