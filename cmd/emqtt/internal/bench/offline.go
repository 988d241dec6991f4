// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"time"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// playOffline: sessions that stay, messages while their clients are away, and
// the clients' return.
func (r *run) playOffline() error {
	if r.QoS == 0 {
		return errors.New("offline needs --qos 1 or 2: nothing else has to be queued")
	}
	topic := func(i int) string { return fmt.Sprintf("%s/t%d", r.prefix, r.topicOf(i)) }
	for range r.Subscribers {
		s, err := r.newSubscriber(inOrder, false)
		if err == nil {
			err = s.hears((r.Publishers-1)/r.topics() + 1)
		}
		if err != nil {
			return err
		}
	}
	for i := range r.Publishers {
		if _, err := r.newPublisher(topic(i), 0, false); err != nil {
			return err
		}
	}
	return inTurn(
		r.open,
		func() error { return r.subscribeAll(func(s *subscriber) string { return topic(s.index) }) },
		r.leave,
		func() error { return r.queue("queue_per_second") },
		r.comeBack,
		r.forget,
	)
}

// leave disconnects the subscribers; their sessions stay.
func (r *run) leave() error {
	for _, s := range r.subs {
		s.away = true
	}
	return r.goodbye()
}

// goodbye sends DISCONNECT and waits until the broker has closed.
func (r *run) goodbye() error {
	bye, err := serializer.Append(nil, &packet.Disconnect{}, r.Version)
	if err != nil {
		return err
	}
	for _, s := range r.subs {
		if s.c.state == ready {
			s.c.send(bye)
		}
	}
	return r.until("disconnecting", time.Minute, func() bool {
		for _, s := range r.subs {
			if s.c.state != idle {
				return false
			}
		}
		return true
	})
}

// queue publishes all messages and waits until they are acknowledged.
func (r *run) queue(name string) error {
	received := r.progress.count
	r.progress.count = &r.tally.Sent
	begin := r.mark()
	r.start()
	err := r.until("publishing", r.Limit, func() bool { return r.budget == 0 && r.complete() })
	end := r.mark()
	r.progress.count = received
	r.sending = false
	seconds := float64(end.at-begin.at) / 1e9
	r.result.extra(name, float64(r.tally.Sent)/seconds)
	if r.PID != 0 {
		r.result.extra("publish_cpu_us", (end.broker-begin.broker).Seconds()*1e6/float64(max(r.tally.Sent, 1)))
	}
	return err
}

// comeBack connects the subscribers again and measures until they have all.
func (r *run) comeBack() error {
	conns := make([]*conn, len(r.subs))
	for i, s := range r.subs {
		conns[i], s.away = s.c, false
	}
	for i, p := range r.pubs {
		r.tally.Expected += p.sent * int64(r.fanOf(i))
	}
	begin := r.mark()
	if err := r.connect(conns); err != nil {
		return err
	}
	err := r.drain()
	r.result.measure(begin, r.mark())
	return err
}

// forget ends the sessions: their clients connect with clean start.
func (r *run) forget() error {
	if err := r.leave(); err != nil {
		return err
	}
	r.running = false
	conns := make([]*conn, len(r.subs))
	for i, s := range r.subs {
		c, err := r.client(s, fmt.Sprintf("%s-s%d", r.prefix, s.index), true, 0)
		if err != nil {
			return err
		}
		conns[i], s.c = c, c
	}
	if err := r.connect(conns); err != nil {
		return err
	}
	return r.goodbye()
}
