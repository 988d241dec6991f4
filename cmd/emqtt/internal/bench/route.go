// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"math/rand/v2"
	"time"
)

const (
	filtersPerSubscribe = 100
	subscribesOut       = 8 // per connection
)

// playRoute: filter n is PREFIX/r/n/+ and belongs to subscriber n modulo their
// number; each message goes to a random n.
func (r *run) playRoute() error {
	at := len(r.prefix) + len("/r/")
	judge := func(s *subscriber, p *publish, st stamp) (verdict, bool) {
		if len(p.topic) < at+topicDigits {
			return fresh, false
		}
		n, err := readDigits(p.topic[at : at+topicDigits])
		if err != nil || n%r.Subscribers != s.index {
			return fresh, false
		}
		return s.streams[st.publisher].check(st.seq), true
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
		p, err := r.newPublisher(r.prefix+"/r/%/x", 1, false)
		if err != nil {
			return err
		}
		rng := rand.NewPCG(uint64(p.index), 1)
		sent := make([]uint64, r.Subscribers)
		p.next = func() (int, uint64) {
			n := int(rng.Uint64() % uint64(r.Filters))
			seq := sent[n%r.Subscribers]
			sent[n%r.Subscribers]++
			return n, seq
		}
	}
	return inTurn(r.open, r.subscribeFilters, r.traffic)
}

// subscribeFilters subscribes to all filters and measures what they cost.
func (r *run) subscribeFilters() error {
	next := make([]int, len(r.subs)) // per subscriber: its next filter
	for i := range next {
		next[i] = i
	}
	names := make([]string, 0, filtersPerSubscribe)
	memory, begin := r.memory(), time.Now()
	counted := r.progress.count
	granted := int64(0)
	r.progress.count = &granted
	from := r.mark()
	err := r.until("subscribing", r.Limit, func() bool {
		granted = int64(r.suback)
		for _, s := range r.subs {
			for s.pending < subscribesOut && next[s.index] < r.Filters && r.broken == nil {
				names = names[:0]
				for ; len(names) < filtersPerSubscribe && next[s.index] < r.Filters; next[s.index] += len(r.subs) {
					names = append(names, r.prefix+"/r/"+digits(next[s.index])+"/+")
				}
				r.broken = s.subscribe(names...)
			}
		}
		return r.suback >= r.Filters
	})
	to := r.mark()
	r.progress.count = counted
	r.result.extra("subscribes_per_second", float64(r.suback)/time.Since(begin).Seconds())
	if r.PID != 0 {
		r.result.extra("subscribe_cpu_us", (to.broker-from.broker).Seconds()*1e6/float64(max(r.suback, 1)))
		r.result.extra("bytes_per_filter", float64(r.memory()-memory)/float64(r.Filters))
	}
	return err
}
