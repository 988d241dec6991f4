// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
)

// playDurable: each publisher has a session that has gone away and stays, so
// that a broker which keeps its promises has to make each message durable
// before it acknowledges it. A message counts when its acknowledgement comes, and
// its latency lasts until then. Nobody fetches the messages: offline and torture
// verify what became of them.
func (r *run) playDurable() error {
	if r.QoS == 0 {
		return errors.New("durable needs --qos 1 or 2: nothing else is acknowledged")
	}
	r.Subscribers = r.Publishers
	r.result.Subscribers = r.Subscribers
	topic := func(i int) string { return fmt.Sprintf("%s/t%d", r.prefix, i) }
	for range r.Subscribers {
		if _, err := r.newSubscriber(inOrder, false); err != nil {
			return err
		}
	}
	for i := range r.Publishers {
		p, err := r.newPublisher(topic(i), 0, false)
		if err != nil {
			return err
		}
		p.sentAt = make(map[uint16]int64, r.Window)
	}
	r.progress.count = &r.acked
	return inTurn(
		r.open,
		func() error { return r.subscribeAll(func(s *subscriber) string { return topic(s.index) }) },
		r.leave,
		r.traffic,
		r.forget,
	)
}
