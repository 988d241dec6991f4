// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// publisher sends messages that differ in stamp, packet identifier and the
// digits of the topic only: one finished PUBLISH is patched for each.
type publisher struct {
	r     *run
	c     *conn
	index int

	frame   []byte // a whole PUBLISH
	digits  []byte // of frame: the number in the topic, topicDigits wide; empty if it is fixed
	id      []byte // of frame: the packet identifier; empty with QoS 0
	payload []byte // of frame

	fan    int64     // subscribers of each message
	sent   int64     // messages
	got    int64     // deliveries
	ids    packetIDs // in use: sent and not acknowledged
	queued bool      // in r.ready

	// next picks a message: the number in its topic and its sequence number.
	// nil: one topic, numbers in order.
	next func() (number int, seq uint64)
	// at is when message n is due, of an open loop; nil: as soon as it can be sent.
	at  func(n int64) int64
	due int64 // messages that are

	sentAt map[uint16]int64 // when a packet identifier was used, where acknowledgements are timed; nil: nowhere
}

// topicDigits is the width of the number in a topic: all topics are of one
// length, so that a PUBLISH can be patched.
const topicDigits = 7

// newPublisher builds the PUBLISH; a "%" in topic stands for the number.
func (r *run) newPublisher(topic string, fan int, retain bool) (*publisher, error) {
	p := &publisher{r: r, index: len(r.pubs), fan: int64(fan)}
	var err error
	if p.c, err = r.client(p, fmt.Sprintf("%s-p%d", r.prefix, p.index), true, 0); err != nil {
		return nil, err
	}
	at := -1
	for i := range topic {
		if topic[i] == '%' {
			at = i
			topic = topic[:i] + fmt.Sprintf("%0*d", topicDigits, 0) + topic[i+1:]
			break
		}
	}
	m := &packet.Publish{QoS: packet.QoS(r.QoS), Retain: retain, Topic: []byte(topic), Payload: make([]byte, r.Size)}
	if r.QoS > 0 {
		m.ID = 1
	}
	if p.frame, err = serializer.AppendPublish(nil, m, r.Version); err != nil {
		return nil, err
	}
	p.payload = p.frame[len(p.frame)-r.Size:]
	_, header, _ := packetSize(p.frame) // our own
	if at >= 0 {
		p.digits = p.frame[header+2+at:][:topicDigits]
	}
	if r.QoS > 0 {
		p.id = p.frame[header+2+len(topic):][:2]
	}
	r.pubs = append(r.pubs, p)
	return p, nil
}

// outRoom is how much may wait for one connection to be written.
const outRoom = 1 << 20

// room is how many messages p may send now.
func (p *publisher) room() int64 {
	n := int64(p.r.Window) - (p.sent*p.fan-p.got+p.fan-1)/max(p.fan, 1)
	if p.fan == 0 {
		n = int64(p.r.Window) // what nobody gets yet is bounded by acknowledgements alone
	}
	if p.at != nil {
		n = p.due - p.sent
	}
	if len(p.id) > 0 {
		n = min(n, int64(min(p.r.Window, p.c.recvMax)-p.ids.n)) // [v5 MQTT-3.3.4-7]
	}
	return n
}

// fill sends what it may.
func (p *publisher) fill(now int64) {
	n := p.room()
	if p.c.state != ready {
		return
	}
	before := p.sent
	for ; n > 0 && p.r.budget != 0 && p.c.backlog() < outRoom; n-- {
		p.send(now)
		p.r.budget--
	}
	if p.sent != before {
		p.c.touch()
		p.r.tally.Sent += p.sent - before
		p.r.tally.Expected += (p.sent - before) * p.fan
	}
}

func (p *publisher) send(now int64) {
	s := stamp{publisher: uint32(p.index), seq: uint64(p.sent), at: now}
	if p.at != nil {
		s.at = p.at(p.sent)
	}
	if p.next != nil {
		var number int
		number, s.seq = p.next()
		putDigits(p.digits, number)
	}
	if len(p.id) > 0 {
		id := p.ids.take()
		binary.BigEndian.PutUint16(p.id, id)
		if p.sentAt != nil {
			p.sentAt[id] = s.at
		}
	}
	putPayload(p.payload, p.r.stamp, s, p.sent)
	p.c.out = append(p.c.out, p.frame...)
	p.sent++
}

func putDigits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

func digits(n int) string {
	b := make([]byte, topicDigits)
	putDigits(b, n)
	return string(b)
}

func readDigits(b []byte) (int, error) { return strconv.Atoi(string(b)) }

// wake puts p among those that are asked at the end of the turn.
func (p *publisher) wake() {
	if !p.queued {
		p.queued = true
		p.r.ready = append(p.r.ready, p)
	}
}

// fill is the end of a turn: publishers with room send.
func (r *run) fill(now int64) {
	if !r.sending {
		return
	}
	if r.dueAt != nil {
		r.schedule(now)
	}
	for _, p := range r.ready {
		p.queued = false
		p.fill(now)
	}
	r.ready = r.ready[:0]
}

// writable: what the publisher of c could not append may have room now.
func (r *run) writable(c *conn) {
	if p, ok := c.role.(*publisher); ok {
		p.wake()
	}
}

func (p *publisher) connected(*conn)           { p.r.opened++ }
func (p *publisher) subscribed(*conn, []byte)  {}
func (p *publisher) published(*conn, *publish) { p.r.tally.Foreign++ }
func (p *publisher) closed(_ *conn, err error) { p.r.end(fmt.Errorf("publisher %d: %w", p.index, err)) }

func (p *publisher) acked(_ *conn, id uint16, code packet.ReasonCode) {
	if !p.ids.release(id) || code.Failed() {
		p.r.tally.Refused++
	}
	if p.sentAt != nil {
		p.r.acked++
		if at := p.sentAt[id]; at >= p.r.measured.from && at < p.r.measured.to {
			p.r.latency.record(p.r.now - at)
		}
	}
	p.wake()
}
