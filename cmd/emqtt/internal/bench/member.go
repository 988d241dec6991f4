// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"fmt"

	"emqttd/protocol/packet"
)

// turnEnd publishes what is due and keeps connections alive. A closed loop is
// asked in turn, at most a batch of each, so that no client starves.
func (w *crowd) turnEnd(now int64) {
	for _, m := range w.sending {
		m.publishDue(now)
	}
	if w.Keep == 0 {
		return
	}
	for _, m := range w.members {
		if m.c.state == ready && now >= m.pings {
			m.pings = now + int64(w.Keep)/2
			m.c.send([]byte{byte(packet.PINGREQ) << 4, 0})
		}
	}
}

func (m *member) publishDue(now int64) {
	const batch = 100
	for n := 0; n < batch && m.c.state == ready && now >= m.due; n++ {
		full := m.at > 0 && m.ids.n >= min(m.w.Window, m.c.recvMax)
		if full || m.c.backlog() >= outRoom/16 || m.w.Messages > 0 && m.w.sent >= m.w.Messages {
			return
		}
		at := now
		if m.w.Interval > 0 {
			at = m.due // the time it should have gone
			m.due += int64(m.w.Interval)
		}
		putPayload(m.payload, classicRun, stamp{at: at}, m.w.sent)
		if m.at > 0 {
			binary.BigEndian.PutUint16(m.frame[m.at:], m.ids.take())
		}
		m.c.send(m.frame)
		m.w.sent++
	}
}

// classicRun marks payloads of pub, so that sub in another process can tell
// their age.
const classicRun = 0x656d7174 // "emqt"

func (m *member) connected(c *conn) {
	now := nanos()
	m.pings = now + int64(m.w.Keep)/2
	switch m.w.Kind {
	case "sub":
		if err := c.subscribe(1, m.w.QoS, m.topic); err != nil {
			c.fail(err)
		}
		return
	case "pub":
		m.due = now
		m.w.sending = append(m.w.sending, m)
	}
	m.w.ready++
}

func (m *member) subscribed(c *conn, codes []byte) {
	if len(codes) != 1 || codes[0] >= 0x80 {
		c.fail(fmt.Errorf("SUBSCRIBE was answered % x", codes))
		return
	}
	m.w.ready++
}

func (m *member) published(_ *conn, p *publish) {
	m.w.got++
	if s, ok := readStamp(p.payload, classicRun); ok {
		m.w.latency.record(m.w.now - s.at)
	}
}

func (m *member) acked(_ *conn, id uint16, _ packet.ReasonCode) { m.ids.release(id) }

func (m *member) closed(_ *conn, err error) {
	m.w.failed++
	m.w.why = err
	m.ids = packetIDs{}
}
