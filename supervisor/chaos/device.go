// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// device is the client's side of one client identifier: a session that outlives
// its connections, and tells the checker what it does and sees. It keeps the
// rules of the standard, so that what goes wrong is the broker's doing.
//
// It belongs to the goroutine of Run.
type device struct {
	id      string
	version packet.Version
	record  func(Event)
	memory  func(client, topic string) bool // see Plan
	payload int

	cur      *link                 // the connection in use; nil: none
	ready    *link                 // the newest that CONNACK came on
	links    []*link               // all that are not closed, cur last
	inflight []*flight             // client -> broker, in the order of their first PUBLISH
	arrived  map[packet.ID]uint64  // broker -> client, QoS 2, until PUBREL: their messages
	cleaned  bool                  // a new session was asked for, and nothing was heard of it
	brief    bool                  // the session ends with its connection
	doubtful map[packet.ID]bool    // of arrived, those that a clean start may have ended
	pid      packet.ID             // last one given
	filters  []packet.Subscription // asked for in this session
	vanishes bool                  // the next QoS 2 message is the last that its connection brings
}

// flight is a publish that is not answered.
type flight struct {
	id       packet.ID
	msg      uint64
	publish  *packet.Publish
	released bool // PUBREC came
}

// link is one connection of a device.
type link struct {
	n        int // Event.Conn
	dev      *device
	line     Line
	ready    bool // CONNACK came
	closed   bool
	clean    bool
	requests map[packet.ID]int
	ghosts   map[packet.ID]uint64 // sent after another connection had taken over
	releases map[packet.ID]int    // PUBRELs sent and not answered: one for each PUBREC
}

func newLink(n int, d *device, clean bool) *link {
	return &link{n: n, dev: d, clean: clean, requests: map[packet.ID]int{}, ghosts: map[packet.ID]uint64{}, releases: map[packet.ID]int{}}
}

// current reports whether l is the connection of the session: an older one is
// deaf from the CONNACK of a newer one on.
func (l *link) current() bool { return l.dev.ready == l }

func (l *link) event(k EventKind) Event { return Event{Kind: k, Client: l.dev.id, Conn: l.n} }

// send writes; what fails is noticed by the reader.
func (l *link) send(p packet.Packet) {
	if !l.closed {
		_ = l.line.Send(p)
	}
}

// close ends the connection from this side.
func (l *link) close(by Side, code packet.ReasonCode, text string) {
	if l.closed {
		return
	}
	l.closed = true
	e := l.event(Closed)
	e.By, e.Code, e.Text = by, code, text
	l.dev.record(e)
	_ = l.line.Close()
	d := l.dev
	d.vanishes = false
	d.links = slices.DeleteFunc(d.links, func(o *link) bool { return o == l })
	if d.cur == l {
		d.cur = nil
	}
}

// broke records that the broker did what it may not do.
func (l *link) broke(text string) {
	e := l.event(Broken)
	e.Text = text
	l.dev.record(e)
	l.close(ByClient, 0, "")
}

// arrive is told what comes in.
func (l *link) arrive(p packet.Packet, err error) {
	if err != nil {
		l.ended(err)
		return
	}
	l.handle(p)
}

// ended is told why nothing more can be read.
func (l *link) ended(err error) {
	var bad *parser.Error
	switch {
	case l.closed:
	case errors.As(err, &bad):
		l.broke(bad.Error())
	case errors.Is(err, io.EOF):
		l.close(ByServer, 0, "")
	default:
		l.close(ByServer, 0, "reset")
	}
}

// handle is told of a packet.
func (l *link) handle(p packet.Packet) {
	if l.closed {
		return
	}
	if _, ok := p.(*packet.Connack); ok == l.ready {
		l.broke("unexpected " + p.Type().String())
		return
	}
	switch p := p.(type) {
	case *packet.Connack:
		l.connack(p)
	case *packet.Publish:
		l.publish(p)
	case *packet.Ack:
		l.ack(p)
	case *packet.Suback:
		l.suback(p.ID, Subscribed, p.Codes)
	case *packet.Unsuback:
		l.suback(p.ID, Unsubscribed, nil)
	case *packet.Disconnect:
		l.close(ByServer, p.Code, "")
	case *packet.Pingresp:
	default:
		l.broke("unexpected " + p.Type().String())
	}
}

func (l *link) connack(p *packet.Connack) {
	if p.Code != packet.Success {
		e := l.event(Refused)
		e.Code = p.Code
		l.dev.record(e)
		l.close(ByServer, p.Code, "")
		return
	}
	e := l.event(Accepted)
	e.Present = p.SessionPresent
	if p.Properties.Has(packet.PropSessionExpiry) {
		e.Expiry, e.HasExpiry = p.Properties.SessionExpiry, true
	}
	l.dev.record(e)
	l.ready = true
	if newer := l.dev.ready; newer != nil && newer.n > l.n {
		return // which has the session by now
	}
	l.dev.ready = l
	l.dev.resume(l, p.SessionPresent)
}

// resume sends what is in flight again, in its order [v3.1.1 MQTT-4.4.0-1,
// v5 MQTT-4.4.0-1], or gives it up with the session.
func (d *device) resume(l *link, present bool) {
	if !present {
		d.inflight, d.filters = nil, nil
		clear(d.arrived)
		clear(d.doubtful)
		d.cleaned = false
		return
	}
	if d.cleaned || d.memory(d.id, "") { // the session may be the one that the unanswered CONNECT began, or what a kill has left
		for id := range d.arrived {
			d.doubtful[id] = true
		}
		d.cleaned = false
	}
	for _, f := range d.inflight {
		if f.released {
			l.release(f.id)
			continue
		}
		again := *f.publish
		again.Dup = true
		d.put(l, f, &again)
	}
}

// repeat sends a QoS 2 PUBLISH of the connection again that is not answered yet,
// the newest.
func (d *device) repeat(l *link) {
	for _, f := range slices.Backward(d.inflight) {
		if f.publish.QoS == packet.QoS2 && !f.released {
			again := *f.publish
			again.Dup = true
			d.put(l, f, &again)
			return
		}
	}
}

// release answers a PUBREC.
func (l *link) release(id packet.ID) {
	l.releases[id]++
	l.send(&packet.Ack{Kind: packet.PUBREL, ID: id})
}

// put sends a PUBLISH and records it.
func (d *device) put(l *link, f *flight, p *packet.Publish) {
	e := l.event(Published)
	e.Msg, e.Topic, e.QoS, e.Retain, e.Dup, e.Empty = f.msg, string(p.Topic), p.QoS, p.Retain, p.Dup, len(p.Payload) == 0
	e.Memory = d.memory(d.id, e.Topic)
	d.record(e)
	l.send(p)
}

// say publishes message msg.
func (d *device) say(l *link, msg uint64, topic string, qos packet.QoS, retain, empty bool) {
	p := &packet.Publish{QoS: qos, Retain: retain, Topic: []byte(topic)}
	if !empty {
		p.Payload = payload(msg, d.payload)
	}
	f := &flight{msg: msg, publish: p}
	if qos > 0 {
		f.id = d.fresh(l)
		p.ID = f.id
		d.inflight = append(d.inflight, f)
	}
	d.put(l, f, p)
}

// haunt publishes on a connection that another has replaced: nobody may take it.
func (l *link) haunt(msg uint64, topic string) {
	l.ghosts[ghostID] = msg
	l.dev.put(l, &flight{msg: msg}, &packet.Publish{QoS: packet.QoS1, ID: ghostID, Topic: []byte(topic), Payload: payload(msg, 0)})
}

// ghostID is kept for haunt: the answer cannot be taken for another's.
const ghostID packet.ID = 65535

// payload is the number of a message, padded.
func payload(msg uint64, size int) []byte {
	b := strconv.AppendUint(nil, msg, 10)
	if n := size - len(b); n > 0 {
		b = append(append(b, ' '), bytes.Repeat([]byte{'.'}, n-1)...)
	}
	return b
}

// messageOf is the number in a payload, 0 when there is none.
func messageOf(b []byte) uint64 {
	digits, _, _ := bytes.Cut(b, []byte{' '})
	n, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// fresh is a packet identifier that is not in use.
func (d *device) fresh(l *link) packet.ID {
	for {
		d.pid++
		_, asked := l.requests[d.pid]
		if d.pid != 0 && d.pid != ghostID && !asked && l.releases[d.pid] == 0 && !slices.ContainsFunc(d.inflight, func(f *flight) bool { return f.id == d.pid }) {
			return d.pid
		}
	}
}

// publish receives a message; QoS 2 is handed on when it first comes
// [v3.1.1 4.3.3, v5 4.3.3].
func (l *link) publish(p *packet.Publish) {
	d := l.dev
	if !l.current() {
		return
	}
	msg := messageOf(p.Payload)
	if p.QoS == packet.QoS2 {
		had, again := d.arrived[p.ID]
		if again && had != msg && d.doubtful[p.ID] {
			again = false
		}
		delete(d.doubtful, p.ID)
		if again && had != msg {
			l.broke("packet identifier " + strconv.Itoa(int(p.ID)) + " came with another message before its PUBREL")
			return
		}
		d.arrived[p.ID] = msg
		if again {
			l.send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
			return
		}
	}
	e := l.event(Received)
	e.Msg, e.Topic, e.QoS, e.Retain, e.Dup, e.Empty = msg, string(p.Topic), p.QoS, p.Retain, p.Dup, len(p.Payload) == 0
	d.record(e)
	switch p.QoS {
	case packet.QoS1:
		l.send(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
	case packet.QoS2:
		if d.vanishes {
			l.close(ByClient, 0, "")
			return
		}
		l.send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
	}
}

func (l *link) ack(p *packet.Ack) {
	d := l.dev
	if msg, ok := l.ghosts[p.ID]; ok && p.Kind == packet.PUBACK {
		e := l.event(Answered)
		e.Msg, e.Code = msg, p.Code
		d.record(e)
		return
	}
	if !l.current() {
		return
	}
	if p.Kind == packet.PUBREL {
		delete(d.arrived, p.ID)
		delete(d.doubtful, p.ID)
		l.send(&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID})
		return
	}
	i := slices.IndexFunc(d.inflight, func(f *flight) bool { return f.id == p.ID && f.awaits(p.Kind) })
	if p.Kind == packet.PUBCOMP && l.releases[p.ID] > 0 {
		if l.releases[p.ID]--; i < 0 {
			return // of the PUBREL that answered the PUBREC of a repetition
		}
	}
	if i < 0 {
		l.broke(p.Kind.String() + " for packet identifier " + strconv.Itoa(int(p.ID)) + ", which awaits none")
		return
	}
	f := d.inflight[i]
	if p.Kind == packet.PUBREC && p.Code < 0x80 {
		f.released = true
		l.release(p.ID)
		return
	}
	e := l.event(Answered)
	e.Msg = f.msg
	if p.Kind != packet.PUBCOMP { // its 0x92 says that an earlier PUBCOMP was lost on the way
		e.Code = p.Code
	}
	d.record(e)
	d.inflight = slices.Delete(d.inflight, i, i+1)
}

// awaits reports whether the acknowledgement may come now.
func (f *flight) awaits(k packet.Type) bool {
	switch k {
	case packet.PUBACK:
		return f.publish.QoS == packet.QoS1
	case packet.PUBREC:
		return f.publish.QoS == packet.QoS2 // a second one answers a second PUBLISH
	}
	return k == packet.PUBCOMP && f.released
}

func (l *link) suback(id packet.ID, k EventKind, codes []packet.ReasonCode) {
	if !l.current() {
		return
	}
	n, ok := l.requests[id]
	if !ok {
		l.broke("answer to packet identifier " + strconv.Itoa(int(id)) + ", which asked nothing")
		return
	}
	delete(l.requests, id)
	e := l.event(k)
	e.Request, e.Codes = n, codes
	l.dev.record(e)
}
