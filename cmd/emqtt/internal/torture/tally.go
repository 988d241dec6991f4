// SPDX-License-Identifier: Apache-2.0

package torture

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// willPatience is how long after a restart a will may take: the broker may give
// its client a while to come back.
const willPatience = 15 * time.Second

// key is one message.
type key struct {
	pub int
	seq uint32
	qos packet.QoS
}

// tally is who has sent, acknowledged and received what.
type tally struct {
	mu      sync.Mutex
	changed chan struct{} // closed at every change, and replaced
	ackedBy map[key]bool  // of messages that are not retained
	all     int           // acknowledgements
	got     map[string]*receipts
	topics  map[string]*retainedTopic

	lostRetained, lostSessions int
	wills, willsMissing        int
}

// receipts are what one subscriber has received.
type receipts struct {
	count map[key]int
	last  map[key]uint32 // newest number, by publisher and QoS (seq 0)
	late  [3]int         // first receipts behind a higher number, by QoS
}

type retainedTopic struct{ sent, acked uint32 }

func newTally() *tally {
	return &tally{changed: make(chan struct{}), ackedBy: map[key]bool{}, got: map[string]*receipts{}, topics: map[string]*retainedTopic{}}
}

func number(payload []byte) (pub int, seq uint32, ok bool) {
	if len(payload) < header {
		return 0, 0, false
	}
	return int(binary.BigEndian.Uint32(payload)), binary.BigEndian.Uint32(payload[4:]), true
}

func (t *tally) change() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *tally) topic(name string) *retainedTopic {
	if t.topics[name] == nil {
		t.topics[name] = new(retainedTopic)
	}
	return t.topics[name]
}

func (t *tally) sent(topic string, k key, retained bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if retained {
		t.topic(topic).sent = k.seq
	}
}

func (t *tally) acked(topic string, k key, retained bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all++
	if retained {
		x := t.topic(topic)
		x.acked = max(x.acked, k.seq)
	} else {
		t.ackedBy[k] = true
	}
	t.change()
}

func (t *tally) received(subscriber string, m *client.Message) {
	pub, seq, ok := number(m.Payload)
	if !ok || !strings.Contains(m.Topic, "/m/") {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.got[subscriber]
	if r == nil {
		r = &receipts{count: map[key]int{}, last: map[key]uint32{}}
		t.got[subscriber] = r
	}
	k := key{pub, seq, m.QoS}
	if r.count[k]++; r.count[k] == 1 {
		line := key{pub, 0, m.QoS}
		if seq < r.last[line] {
			r.late[m.QoS]++
		}
		r.last[line] = max(r.last[line], seq)
	}
	t.change()
}

func (t *tally) acknowledged() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all
}

func (t *tally) sessionLost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lostSessions++
}

// retained is what the topics hold as acknowledged.
func (t *tally) retained() map[string]retainedTopic {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]retainedTopic{}
	for name, x := range t.topics {
		if x.acked > 0 {
			out[name] = *x
		}
	}
	return out
}

// keeps counts the topics whose retained message is older than the one that was
// acknowledged last, or gone.
func (t *tally) keeps(want map[string]retainedTopic, found map[string]uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, x := range want {
		if found[name] < x.acked {
			t.lostRetained++
		}
	}
}

// until waits for a condition, asked with the tally locked at every change.
func (t *tally) until(ctx context.Context, limit time.Duration, ok func() bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		t.mu.Lock()
		done, changed := ok(), t.changed
		t.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// await waits for n acknowledgements.
func (t *tally) await(ctx context.Context, n int, limit time.Duration) {
	t.until(ctx, limit, func() bool { return t.all >= n })
}

// complete waits until the subscribers have everything, or nothing has come for
// a while.
func (t *tally) complete(ctx context.Context, names []string, quiet time.Duration) {
	for {
		before, done := t.receipts(), false
		t.until(ctx, quiet, func() bool {
			done = t.missing(names) == 0
			return done
		})
		if done || ctx.Err() != nil || t.receipts() == before {
			return
		}
	}
}

func (t *tally) receipts() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.got {
		for _, c := range r.count {
			n += c
		}
	}
	return n
}

// missing is asked for with the tally locked.
func (t *tally) missing(names []string) (n int) {
	for _, name := range names {
		r := t.got[name]
		if r == nil {
			return len(t.ackedBy) * len(names)
		}
		if len(r.count) >= len(t.ackedBy) {
			n += t.lost(r, 0)
		} else {
			n++
		}
	}
	return n
}

// lost counts acknowledged messages that a subscriber has not received; qos 0:
// of any.
func (t *tally) lost(r *receipts, qos packet.QoS) (n int) {
	for k := range t.ackedBy {
		if (qos == 0 || k.qos == qos) && r.count[k] == 0 {
			n++
		}
	}
	return n
}

// await waits for something, and reports whether it came in time.
func await(ctx context.Context, what <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-what:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
