// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"errors"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// playRetained: messages that are retained, then a subscriber that wants all.
func (r *run) playRetained() error {
	if r.QoS == 0 {
		return errors.New("retained needs --qos 1 or 2: what is retained must be known to be")
	}
	if r.Publishers != 1 || r.Messages > maxFilters {
		return errors.New("retained needs one publisher and at most 10,000,000 messages")
	}
	p, err := r.newPublisher(r.prefix+"/ret/%", 0, true)
	if err != nil {
		return err
	}
	p.next = func() (int, uint64) { return int(p.sent), uint64(p.sent) }
	if err := r.open(); err != nil {
		return err
	}
	memory := r.memory()
	if err := r.queue("retain_per_second"); err != nil {
		return err
	}
	if r.PID != 0 {
		r.result.extra("bytes_per_retained", float64(r.memory()-memory)/float64(p.sent))
	}
	err = r.fetchRetained()
	if p.c.state != ready || r.ctx.Err() != nil {
		return err
	}
	return errors.Join(err, r.leave(), r.clearRetained(p)) // who stays would get what clears
}

// fetchRetained subscribes, and waits for all of it.
func (r *run) fetchRetained() error {
	at := len(r.prefix) + len("/ret/")
	judge := func(s *subscriber, p *publish, st stamp) (verdict, bool) {
		if !p.retain || !bytes.HasSuffix(p.topic[:min(len(p.topic), at)], []byte("/ret/")) {
			return fresh, false
		}
		n, err := readDigits(p.topic[at:])
		if err != nil || uint64(n) != st.seq || int64(st.seq) >= r.pubs[0].sent {
			return fresh, false
		}
		if !s.seen.add(st.seq) {
			return duplicate, true
		}
		return fresh, true
	}
	conns := make([]*conn, r.Subscribers)
	for i := range conns {
		s, err := r.newSubscriber(judge, true)
		if err != nil {
			return err
		}
		conns[i] = s.c
	}
	if err := r.connect(conns); err != nil {
		return err
	}
	r.tally.Expected = r.tally.Sent * int64(r.Subscribers)
	begin := r.mark()
	if err := r.subscribeAll(func(*subscriber) string { return r.prefix + "/ret/+" }); err != nil {
		return err
	}
	err := r.drain()
	end := r.mark()
	r.result.measure(begin, end)
	r.result.extra("complete_ms", float64(end.at-begin.at)/1e6)
	return err
}

// clearRetained takes the retained messages away again.
func (r *run) clearRetained(p *publisher) error {
	var frame []byte
	var err error
	m := &packet.Publish{Retain: true}
	for n := int64(0); n < p.sent; n++ {
		m.Topic = append(m.Topic[:0], r.prefix+"/ret/"+digits(int(n))...)
		if frame, err = serializer.AppendPublish(frame[:0], m, r.Version); err != nil {
			return err
		}
		p.c.send(frame)
		if p.c.backlog() > outRoom || n == p.sent-1 {
			if err := r.until("clearing", time.Minute, func() bool { return p.c.backlog() == 0 }); err != nil {
				return err
			}
		}
	}
	// The answer to a last packet says that those before it were read.
	before := r.pongs
	p.c.send([]byte{byte(packet.PINGREQ) << 4, 0})
	return r.until("clearing", time.Minute, func() bool { return r.pongs > before })
}
