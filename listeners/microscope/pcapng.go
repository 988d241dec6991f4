// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"encoding/binary"
	"io"
	"net/netip"
	"time"
)

// Pcapng writes events of one connection as a capture file that Wireshark opens:
// Ethernet, IP and TCP are made up around what was sent, with the addresses of
// the connection, handshake and end. Of a TLS connection it is what was said
// inside, in the clear.
//
// Wireshark up to 4.0 at least shows MQTT inside WebSocket as data. With
// LayerMQTT the payloads of the frames go as they are over a TCP connection to
// port 1883, which it takes apart: the article's other capture.
//
// Three kinds of blocks and forty bytes of headers are all there is to it; a
// capture library would bring a few hundred protocols along.
func Pcapng(w io.Writer, events []*Event, l Layer) error {
	t := &tape{w: w, layer: l}
	for _, e := range events {
		if s := e.State; s != nil && s.Phase == Connected {
			t.begin(s, e.At)
		}
		if t.sides[0].addr.IsValid() && t.err == nil {
			t.event(e)
		}
	}
	if t.err == nil && !t.sides[0].addr.IsValid() {
		t.head() // the beginning is no longer kept, or nothing was sent: an empty capture
	}
	return t.err
}

// Layer is what a capture holds.
type Layer string

// Layers.
const (
	LayerWebSocket Layer = "websocket" // upgrade and frames, as on the wire
	LayerMQTT      Layer = "mqtt"      // the MQTT bytes alone
)

// mqttPort is MQTT's registered port.
const mqttPort = 1883

// tape is a capture being written.
type tape struct {
	w     io.Writer
	layer Layer
	err   error
	sides [2]side // outward, inward: who sends that way
}

type side struct {
	addr netip.AddrPort
	mac  [6]byte
	seq  uint32
}

// TCP flags.
const (
	tcpFin = 0x01
	tcpSyn = 0x02
	tcpPsh = 0x08
	tcpAck = 0x10
)

func (t *tape) begin(s *State, at time.Time) {
	local, err := netip.ParseAddrPort(s.Local)
	if err != nil {
		return
	}
	remote, err := netip.ParseAddrPort(s.Remote)
	if err != nil {
		return
	}
	if t.layer == LayerMQTT {
		remote = netip.AddrPortFrom(remote.Addr(), mqttPort)
	}
	t.head()
	// Locally administered addresses: 02:00:00:00:00:01 and :02.
	t.sides = [2]side{{netip.AddrPortFrom(local.Addr().Unmap(), local.Port()), [6]byte{2, 0, 0, 0, 0, 1}, 1000},
		{netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()), [6]byte{2, 0, 0, 0, 0, 2}, 2000}}
	t.segment(outward, tcpSyn, nil, at)
	t.segment(inward, tcpSyn|tcpAck, nil, at)
	t.segment(outward, tcpAck, nil, at)
}

func (t *tape) event(e *Event) {
	switch {
	case t.layer == LayerMQTT && e.Frame != nil && e.Frame.Stream >= 0:
		t.bytes(way(e.Frame.Out), e.Frame.Payload, e.At)
	case t.layer == LayerMQTT && e.State == nil:
	case e.Request != nil:
		t.bytes(outward, e.Request.Raw, e.At)
	case e.Response != nil:
		t.bytes(inward, e.Response.Raw, e.At)
	case e.Frame != nil:
		t.bytes(way(e.Frame.Out), e.Frame.wire(), e.At)
	case e.State != nil && e.State.Phase == Closed:
		t.segment(outward, tcpFin|tcpAck, nil, e.At)
		t.segment(inward, tcpFin|tcpAck, nil, e.At)
		t.segment(outward, tcpAck, nil, e.At)
	}
}

// maxSegment keeps a packet below what an IP header can say, in bytes.
const maxSegment = 32 << 10

func (t *tape) bytes(way int, b []byte, at time.Time) {
	for len(b) > 0 {
		n := min(len(b), maxSegment)
		t.segment(way, tcpPsh|tcpAck, b[:n], at)
		b = b[n:]
	}
}

// Block types and the options used [draft-ietf-opsawg-pcapng 4].
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6
	linkEthernet   = 1
	optTsresol     = 9
)

func (t *tape) head() {
	le := binary.LittleEndian
	section := le.AppendUint32(nil, 0x1a2b3c4d)
	section = le.AppendUint16(section, 1) // version 1.0
	section = le.AppendUint16(section, 0)
	section = le.AppendUint64(section, ^uint64(0)) // length unknown
	t.block(blockSection, section)
	iface := le.AppendUint16(nil, linkEthernet)
	iface = le.AppendUint16(iface, 0)
	iface = le.AppendUint32(iface, 0) // no limit on a packet
	iface = le.AppendUint16(iface, optTsresol)
	iface = le.AppendUint16(iface, 1)
	iface = append(iface, 9, 0, 0, 0) // nanoseconds, padded
	iface = le.AppendUint32(iface, 0) // end of options
	t.block(blockInterface, iface)
}

func (t *tape) block(kind uint32, body []byte) {
	le := binary.LittleEndian
	size := uint32(12 + (len(body)+3)/4*4)
	b := le.AppendUint32(nil, kind)
	b = le.AppendUint32(b, size)
	b = append(b, body...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = le.AppendUint32(b, size)
	if t.err == nil {
		_, t.err = t.w.Write(b)
	}
}

// segment writes one TCP segment that is sent one way.
func (t *tape) segment(way int, flags uint8, payload []byte, at time.Time) {
	from, to := &t.sides[way], &t.sides[1-way]
	p := t.frame(from, to, flags, payload)
	from.seq += uint32(len(payload))
	if flags&(tcpSyn|tcpFin) != 0 {
		from.seq++
	}
	le := binary.LittleEndian
	ns := uint64(at.UnixNano())
	b := le.AppendUint32(nil, 0) // the only interface
	b = le.AppendUint32(b, uint32(ns>>32))
	b = le.AppendUint32(b, uint32(ns))
	b = le.AppendUint32(b, uint32(len(p)))
	b = le.AppendUint32(b, uint32(len(p)))
	t.block(blockPacket, append(b, p...))
}

// frame is a segment with TCP, IP and Ethernet around it.
func (t *tape) frame(from, to *side, flags uint8, payload []byte) []byte {
	be := binary.BigEndian
	tcp := be.AppendUint16(nil, from.addr.Port())
	tcp = be.AppendUint16(tcp, to.addr.Port())
	tcp = be.AppendUint32(tcp, from.seq)
	ack := to.seq
	if flags&tcpAck == 0 {
		ack = 0
	}
	tcp = be.AppendUint32(tcp, ack)
	tcp = append(tcp, 5<<4, flags)
	tcp = be.AppendUint16(tcp, 65535) // window
	tcp = append(tcp, 0, 0, 0, 0)     // checksum, urgent
	tcp = append(tcp, payload...)
	src, dst := from.addr.Addr(), to.addr.Addr()
	pseudo := append(src.AsSlice(), dst.AsSlice()...)
	if src.Is4() {
		pseudo = append(pseudo, 0, 6)
		pseudo = be.AppendUint16(pseudo, uint16(len(tcp)))
	} else {
		pseudo = be.AppendUint32(pseudo, uint32(len(tcp)))
		pseudo = append(pseudo, 0, 0, 0, 6)
	}
	be.PutUint16(tcp[16:], checksum(pseudo, tcp))
	eth := append(append([]byte(nil), to.mac[:]...), from.mac[:]...)
	if src.Is4() {
		ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0} // do not fragment, 64 hops, TCP
		be.PutUint16(ip[2:], uint16(20+len(tcp)))
		ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
		be.PutUint16(ip[10:], checksum(ip))
		return append(append(append(eth, 0x08, 0x00), ip...), tcp...)
	}
	ip := []byte{0x60, 0, 0, 0, 0, 0, 6, 64}
	be.PutUint16(ip[4:], uint16(len(tcp)))
	ip = append(append(ip, src.AsSlice()...), dst.AsSlice()...)
	return append(append(append(eth, 0x86, 0xdd), ip...), tcp...)
}

// checksum is the internet checksum over parts, all but the last of even length
// [RFC 1071].
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, b := range parts {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
		sum = sum&0xffff + sum>>16
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
