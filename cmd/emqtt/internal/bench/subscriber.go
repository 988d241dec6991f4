// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"time"

	"emqttd/protocol/packet"
)

// subscriber receives and judges.
type subscriber struct {
	r       *run
	c       *conn
	index   int
	streams []stream // one per publisher that it hears; see topicOf
	seen    seen     // where order is not judged
	// judge says what a delivery is; false: it should not have come here.
	judge func(s *subscriber, p *publish, st stamp) (verdict, bool)

	pending int  // SUBSCRIBEs that are out
	away    bool // it has said goodbye: its end is no fault
}

func (r *run) newSubscriber(judge func(*subscriber, *publish, stamp) (verdict, bool), clean bool) (*subscriber, error) {
	s := &subscriber{r: r, index: len(r.subs), judge: judge}
	expiry := uint32(0)
	if !clean {
		expiry = 3600
	}
	var err error
	if s.c, err = r.client(s, fmt.Sprintf("%s-s%d", r.prefix, s.index), clean, expiry); err != nil {
		return nil, err
	}
	r.subs = append(r.subs, s)
	return s, nil
}

func (s *subscriber) connected(*conn)                              { s.r.opened++ }
func (s *subscriber) acked(_ *conn, _ uint16, _ packet.ReasonCode) { s.r.tally.Refused++ }

func (s *subscriber) published(_ *conn, p *publish) {
	st, ok := readStamp(p.payload, s.r.stamp)
	if !ok || int(st.publisher) >= len(s.r.pubs) || len(p.payload) != s.r.Size {
		s.r.tally.Foreign++
		return
	}
	from := s.r.pubs[st.publisher]
	v, ok := s.judge(s, p, st)
	if !ok || int64(st.seq) >= from.sent {
		s.r.tally.Foreign++
		return
	}
	if !s.r.tally.count(v) {
		return
	}
	from.got++
	from.wake()
	if st.at >= s.r.measured.from && st.at < s.r.measured.to {
		s.r.latency.record(s.r.now - st.at)
	}
}

func (s *subscriber) subscribed(_ *conn, codes []byte) {
	s.pending--
	for _, code := range codes {
		if int(code) != s.r.QoS {
			s.r.broken = fmt.Errorf("subscriber %d: a filter was answered 0x%02x, not QoS %d", s.index, code, s.r.QoS)
		}
	}
	s.r.suback += len(codes)
}

func (s *subscriber) closed(_ *conn, err error) {
	if !s.away {
		s.r.end(fmt.Errorf("subscriber %d: %w", s.index, err))
	}
}

// subscribe sends one SUBSCRIBE.
func (s *subscriber) subscribe(filters ...string) error {
	if err := s.c.subscribe(packet.ID(1+s.r.suback%65_535), s.r.QoS, filters...); err != nil {
		return err
	}
	s.pending++
	return nil
}

// subscribeAll lets every subscriber subscribe to filterOf and waits.
func (r *run) subscribeAll(filterOf func(*subscriber) string) error {
	from := r.suback
	for _, s := range r.subs {
		if err := s.subscribe(filterOf(s)); err != nil {
			return err
		}
	}
	return r.until("subscribing", time.Minute, func() bool { return r.suback-from >= len(r.subs) })
}

// topics is how many topics there are: with as many as the smaller side, every
// publisher has a subscriber and the other way round.
func (r *run) topics() int { return min(r.Publishers, r.Subscribers) }

// topicOf is the topic of publisher or subscriber i.
func (r *run) topicOf(i int) int { return i % r.topics() }

// fanOf is how many subscribers publisher i has.
func (r *run) fanOf(i int) int {
	return (r.Subscribers - r.topicOf(i) + r.topics() - 1) / r.topics()
}

// inOrder judges a subscriber that gets everything of its topic's publishers.
func inOrder(s *subscriber, _ *publish, st stamp) (verdict, bool) {
	t := s.r.topics()
	if int(st.publisher)%t != s.index%t {
		return fresh, false
	}
	return s.streams[int(st.publisher)/t].check(st.seq), true
}

var errTooMany = errors.New("too many publishers times subscribers")

// hears makes room for the streams of n publishers.
func (s *subscriber) hears(n int) error {
	if n*max(s.r.Subscribers, 1) > 20_000_000 {
		return errTooMany
	}
	s.streams = make([]stream, n)
	return nil
}
