// SPDX-License-Identifier: Apache-2.0

package cast

import (
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Listener is what the connections of one listener share.
type Listener struct {
	Name           string // "tcp:1883"
	Transport      string // tcp, tls, ws, wss
	Loopback       bool
	AllowAnonymous bool
	CertUsername   bool // the common name of a verified certificate is the user name
}

// Conn is a connection as its actors see it: names, cells, and what the loop
// tells them. The socket itself, its buffers and its descriptor are the loop's.
type Conn struct {
	Serial   uint64
	Listener *Listener
	Peer     netip.AddrPort
	CertCN   string // of a verified client certificate
	Opened   int64

	Loop, Client, Protocol cell.Cell
	// What the three actors know; each is its stage's.
	LoopMemory, ClientMemory, ProtocolMemory any

	Socket Socket // nil until the connection has actors

	BytesIn, BytesOut int64  // since the connection was opened; only on its loop
	taps              *[]Tap // see Taps; nil nearly always

	LastRead atomic.Int64 // when the loop last read bytes, nanoseconds since the Unix epoch
	Pending  atomic.Int64 // bytes in the out-buffer
	Resumed  atomic.Int64 // when it began again to read
	Unread   atomic.Bool  // the loop does not read at present

	LoopIndex int16 // which event loop runs the actors
	TooFast   bool  // above the listener's connect rate: CONNECT is refused
}

// Socket is the loop's side of a connection.
type Socket interface {
	cell.Sink     // the out-buffer: the client actor appends
	cell.Acceptor // takes *Control
}

// Name is the connection's name, "tcp:1883/7". It is put together when it is asked
// for, since nobody does while all is well.
func (c *Conn) Name() string { return c.Listener.Name + "/" + strconv.FormatUint(c.Serial, 10) }

// Taps is who looks at the connection's bytes. Only on its loop.
func (c *Conn) Taps() []Tap {
	if c.taps == nil {
		return nil
	}
	return *c.taps
}

// SetTaps sets who does; nil: nobody. Only on its loop.
func (c *Conn) SetTaps(all []Tap) {
	if c.taps = nil; all != nil {
		c.taps = &all
	}
}

// Tap looks at the bytes of one connection, inside TLS, in the order in which
// the loop sees them. It is called on the loop: it neither keeps b nor waits.
type Tap interface {
	// Bytes are MQTT bytes, or the WebSocket frames they are in; frames says
	// which. Out: the client sent them. Whole says that they begin with a frame;
	// those of the broker always begin with a packet, too.
	Bytes(out, frames, whole bool, b []byte)
	// Closed is the end of the connection.
	Closed(reason metrics.Close)
}

// Owned is the owner of a connection's cells.
type Owned interface {
	cell.Owner
	Conn() *Conn
}

// ConnOf is the connection that c is an actor of.
func ConnOf(c *cell.Cell) *Conn { return c.Owner().(Owned).Conn() }

// ControlOp is what an actor asks of the socket.
type ControlOp uint8

const (
	Pause       ControlOp = iota // read no more
	Resume                       // read again
	NotifyDrain                  // send Drained once the out-buffer is below its low mark
	CloseSocket                  // write what is in the out-buffer, then close
	CountCrash                   // an actor that belongs to the connection has crashed
)

// Control is an act on the socket; protocol, ws_client -> socket.
type Control struct {
	mailbox.Link
	Op     ControlOp
	Reason metrics.Close
	Detail string // for the log
}

// Crashed says that the session of the connection has crashed. session's supervisor
// -> protocol.
type Crashed struct{ mailbox.Link }

// Data is a chunk of MQTT bytes: a TCP segment, or the payloads of the
// WebSocket frames of one read. socket -> ws_loop. The bytes are the loop's read
// buffer: they are good for this turn.
type Data struct {
	mailbox.Link
	Bytes []byte
	used  int
	step  int
}

var datas = sync.Pool{New: func() any { return new(Data) }}

// NewData is a chunk from the pool.
func NewData(b []byte) *Data {
	d := datas.Get().(*Data)
	d.Bytes = b
	return d
}

// Release implements cell.Releaser.
func (d *Data) Release() {
	d.Bytes, d.used, d.step = nil, 0, 0
	datas.Put(d)
}

// Rest is what has not been parsed and committed yet.
func (d *Data) Rest() []byte { return d.Bytes[d.used:] }

// Step sets how many bytes of Rest are parsed: the next Advance moves past them.
func (d *Data) Step(n int) { d.step = n }

// Place implements cell.Batch: how many bytes are parsed.
func (d *Data) Place() int { return d.used + d.step }

// Advance implements cell.Batch.
func (d *Data) Advance() { d.used += d.step; d.step = 0 }

// Rewind implements cell.Batch.
func (d *Data) Rewind() { d.step = 0 }

// Closed says that the socket is gone. socket -> ws_loop -> ws_client ->
// protocol; it travels behind everything that was read.
type Closed struct {
	mailbox.Link
	Reason metrics.Close
	Err    error
}

// Received carries the packets of one socket read with a cursor:
// {received, Packet}. ws_loop -> ws_client -> protocol. The packets are in the
// slab, their bytes in the read buffer: they are good for this turn, unless Own
// was called.
type Received struct {
	mailbox.Link
	cursor
	Packets []packet.Packet
	Slab    *parser.Slab
	owned   bool
	free    func(*Received)
}

// NewReceived makes a batch; free takes it back, with its slab, when its last
// receiver is done.
func NewReceived(free func(*Received)) *Received {
	return &Received{Slab: new(parser.Slab), free: free}
}

// Current is the packet that is decided about, nil behind the last.
func (r *Received) Current() packet.Packet {
	if r.Place() == len(r.Packets) {
		return nil
	}
	return r.Packets[r.Place()]
}

// Own copies what the remaining packets have in the read buffer, for a batch
// that is kept beyond the turn.
func (r *Received) Own() {
	if r.owned {
		return
	}
	r.owned = true
	for _, p := range r.Packets[r.at:] {
		if pub, ok := p.(*packet.Publish); ok {
			pub.Topic = append([]byte(nil), pub.Topic...)
			pub.Payload = append([]byte(nil), pub.Payload...)
		}
	}
}

// Release implements cell.Releaser.
func (r *Received) Release() {
	clear(r.Packets)
	r.Packets, r.cursor, r.owned = r.Packets[:0], cursor{}, false
	r.Slab.Reset()
	if r.free != nil {
		r.free(r)
	}
}

// Faulty says that the bytes behind the packets received so far break the rules:
// {error, Reason} of the parser. ws_loop -> ws_client -> protocol.
type Faulty struct {
	mailbox.Link
	Fault   packet.Fault
	Version packet.Version // of the connection, or that a refused CONNECT asked for; 0: unknown
	Level   uint8          // of a refused CONNECT
	Bytes   []byte         // the offending bytes, bounded, for the log
	Poison  bool           // not the peer's fault: parsing crashed twice
}

// Silent says that nothing was heard for the keep alive: {keepalive, timeout}.
// ws_client -> protocol.
type Silent struct{ mailbox.Link }

// Drained says that the out-buffer is below its low mark again. socket ->
// ws_client -> session.
type Drained struct{ mailbox.Link }

// Connected tells the client actor what CONNECT settled: {keepalive, start, ..}
// and the rest. protocol -> ws_client, before the CONNACK.
type Connected struct {
	mailbox.Link
	Version   packet.Version
	KeepAlive int64 // nanoseconds until Silent; 0: never
	MaxPacket uint32
	AliasMax  uint16 // topic aliases the client accepts
	ClientID  string
	Session   *cell.Cell
}

// Send writes packets to the client. protocol -> ws_client.
type Send struct {
	mailbox.Link
	packets
	Version packet.Version
}

var sends = sync.Pool{New: func() any { return new(Send) }}

// NewSend is a Send of some packets, from the pool.
func NewSend(v packet.Version, all ...packet.Packet) *Send {
	s := sends.Get().(*Send)
	s.Version = v
	for _, p := range all {
		s.Join(p)
	}
	return s
}

// Release implements cell.Releaser.
func (s *Send) Release() {
	if s.reset() {
		sends.Put(s)
	}
}

// Shutdown ends the connection in order: the packet, if any, is written, what
// is in the out-buffer is flushed, the socket is closed. protocol -> ws_client:
// {stop, Reason}.
type Shutdown struct {
	mailbox.Link
	Version packet.Version
	Packet  packet.Packet // DISCONNECT or CONNACK; nil: none
	Reason  metrics.Close
	Detail  string
}
