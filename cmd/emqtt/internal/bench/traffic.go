// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"time"

	"emqttd/protocol/packet"
)

// mark is a moment of a run.
type mark struct {
	at     int64         // nanos
	broker time.Duration // CPU so far, if its process is known
	own    time.Duration
	count  int64
}

func (r *run) mark() mark {
	m := mark{at: nanos(), own: ownCPU(), count: *r.progress.count}
	if r.PID != 0 {
		m.broker, _ = processCPU(r.PID) // 0 once it is gone, which the connections notice
	}
	return m
}

// playTraffic is p2p, fanout and fanin, which differ in numbers only.
func (r *run) playTraffic() error {
	topic := func(i int) string { return fmt.Sprintf("%s/t%d", r.prefix, r.topicOf(i)) }
	for range r.Subscribers {
		s, err := r.newSubscriber(inOrder, true)
		if err == nil {
			err = s.hears((r.Publishers-1)/r.topics() + 1)
		}
		if err != nil {
			return err
		}
	}
	for i := range r.Publishers {
		if _, err := r.newPublisher(topic(i), r.fanOf(i), false); err != nil {
			return err
		}
	}
	return inTurn(r.open, func() error {
		return r.subscribeAll(func(s *subscriber) string { return topic(s.index) })
	}, r.deafen, r.traffic)
}

// open opens all connections.
func (r *run) open() error {
	err := r.connect(r.conns)
	r.running = err == nil
	return err
}

// traffic lets the publishers send, measures, and waits for what is on its way.
func (r *run) traffic() error {
	r.start()
	var err error
	if r.Messages > 0 {
		r.measured.from = r.now
		begin := r.mark()
		err = r.until("sending", r.Limit, func() bool { return r.budget == 0 && r.complete() || r.stuck() })
		r.result.measure(begin, r.mark())
	} else {
		err = r.elapse("warming up", r.Warmup)
		r.measured.from = r.now
		begin := r.mark()
		if err == nil {
			err = r.elapse("measuring", r.Duration)
		}
		r.measured.to = r.now
		r.result.measure(begin, r.mark())
	}
	if r.Deaf > 0 && r.PID != 0 {
		r.result.extra("rss_mb", float64(r.memory())/(1<<20))
	}
	r.sending = false
	if err != nil {
		return err
	}
	return r.drain()
}

// start lets the publishers send.
func (r *run) start() {
	if r.Messages > 0 {
		r.budget = r.Messages
	}
	if r.onStart != nil {
		r.onStart()
	}
	r.sending = true
	for _, p := range r.pubs {
		p.wake()
	}
	r.fill(nanos())
	r.progress.moved = time.Now()
}

// complete reports whether everything has come.
func (r *run) complete() bool {
	if r.tally.Delivered < r.tally.Expected {
		return false
	}
	for _, p := range r.pubs {
		if p.ids.n > 0 {
			return false
		}
	}
	return true
}

// stuck reports whether what is missing counts as lost.
func (r *run) stuck() bool { return time.Since(r.progress.moved) > r.Patience }

// drain waits for what is on its way, and for what should not be: the answer to
// a PINGREQ comes behind everything that the broker has for a connection.
func (r *run) drain() error {
	r.progress.moved = time.Now()
	if err := r.until("draining", r.Limit, func() bool { return r.complete() || r.stuck() }); err != nil {
		return err
	}
	want := r.pongs
	for _, s := range r.subs {
		if s.c.state == ready {
			want++
			s.c.send([]byte{byte(packet.PINGREQ) << 4, 0})
		}
	}
	r.progress.moved = time.Now()
	return r.until("waiting for PINGRESP", r.Limit, func() bool { return r.pongs >= want || r.stuck() })
}

// playLatency is an open loop: message n of all is due n/rate after the start.
func (r *run) playLatency() error {
	if r.Rate <= 0 {
		return errors.New("a rate is wanted")
	}
	interval := 1e9 / r.Rate
	var start int64
	r.dueAt = func(n int64) int64 { return start + int64(float64(n)*interval) }
	r.onStart = func() {
		start = nanos() + int64(interval)
		for i, p := range r.pubs {
			p.at = func(n int64) int64 { return r.dueAt(n*int64(len(r.pubs)) + int64(i)) }
		}
	}
	return r.playTraffic()
}

// schedule makes due what is due by now.
func (r *run) schedule(now int64) {
	for r.dueAt(r.dueN) <= now {
		p := r.pubs[r.dueN%int64(len(r.pubs))]
		p.due++
		p.wake()
		r.dueN++
	}
}

// playShared: the members of a group get each message once between them.
func (r *run) playShared() error {
	group := make([]seen, r.Publishers)
	judge := func(s *subscriber, _ *publish, st stamp) (verdict, bool) {
		if int64(st.seq) >= r.pubs[st.publisher].sent {
			return fresh, false
		}
		if !group[st.publisher].add(st.seq) {
			return duplicate, true
		}
		mine := &s.streams[st.publisher]
		if st.seq < mine.next {
			return late, true
		}
		mine.next = st.seq + 1
		return fresh, true
	}
	for range r.Subscribers {
		s, err := r.newSubscriber(judge, true)
		if err == nil {
			err = s.hears(r.Publishers)
		}
		if err != nil {
			return err
		}
	}
	for range r.Publishers {
		if _, err := r.newPublisher(r.prefix+"/shared", 1, false); err != nil {
			return err
		}
	}
	filter := func(*subscriber) string { return "$share/" + r.prefix + "/" + r.prefix + "/shared" }
	return inTurn(r.open, func() error { return r.subscribeAll(filter) }, r.traffic)
}
