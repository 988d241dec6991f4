// SPDX-License-Identifier: Apache-2.0

package torture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// publisher sends the messages of one client identifier, in its order, and sends
// again what was not acknowledged when the broker was killed.
type publisher struct {
	r     *run
	n     int
	c     *client.Client
	seq   uint32
	flown sync.WaitGroup
	sends sync.WaitGroup
}

// subscriber is a session that is kept and gets everything with QoS 2.
type subscriber struct {
	name string
	c    *client.Client
	away bool
}

var retry = &client.Backoff{Min: 5 * time.Millisecond, Max: 100 * time.Millisecond, Retry: func(error) bool { return true }}

// crowd connects the publishers, and makes the subscribers' sessions.
func (r *run) crowd() error {
	for n := range r.Away + 1 {
		s := &subscriber{name: fmt.Sprint("sub-", n), away: n > 0}
		conf := client.Config{Dial: r.dial, Connect: r.connect(s.name, false), Handler: func(m *client.Message) {
			r.tally.received(s.name, m)
		}}
		if !s.away {
			conf.Reconnect = retry
		}
		s.c = newClient(conf)
		r.subs = append(r.subs, s)
		if err := s.subscribe(r.ctx, r.prefix+"/m/#"); err != nil {
			return err
		}
	}
	for n := range r.Publishers {
		p := &publisher{r: r, n: n}
		p.c = newClient(client.Config{Dial: r.dial, Connect: r.connect(fmt.Sprint("pub-", n), false), Reconnect: retry, Window: 16})
		if _, err := p.c.Connect(r.ctx); err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		r.pubs = append(r.pubs, p)
	}
	return nil
}

func (s *subscriber) subscribe(ctx context.Context, filter string) error {
	if _, err := s.c.Connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	ack, err := s.c.Subscribe(ctx, nil, packet.Subscription{Filter: filter, QoS: packet.QoS2})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if ack.Codes[0].Failed() {
		return fmt.Errorf("subscribe: %s", ack.Codes[0])
	}
	if s.away {
		return s.c.Disconnect(ctx, nil)
	}
	return nil
}

// disperse closes every connection.
func (r *run) disperse() {
	for _, p := range r.pubs {
		_ = p.c.Close() // it never fails
		<-p.c.Done()
	}
	for _, s := range r.subs {
		_ = s.c.Close()
		<-s.c.Done()
	}
}

// header is publisher and number at the front of a payload.
const header = 8

func (p *publisher) payload() []byte {
	b := make([]byte, max(header, p.r.Payload))
	binary.BigEndian.PutUint32(b, uint32(p.n))
	binary.BigEndian.PutUint32(b[4:], p.seq)
	return b
}

// begin sends n messages from a goroutine of its own: QoS 1 and 2 in turn, and
// retained ones among them if keeps.
func (p *publisher) begin(n int, keeps bool) {
	p.sends.Go(func() {
		for range n {
			p.seq++
			m := &client.Message{Topic: fmt.Sprintf("%s/m/%d", p.r.prefix, p.n), Payload: p.payload(), QoS: packet.QoS(1 + p.seq%2)}
			if keeps && p.seq%8 == 0 {
				m.Topic, m.Retain = fmt.Sprintf("%s/r/%d", p.r.prefix, p.seq/8%16), true
			}
			p.send(m, key{p.n, p.seq, m.QoS})
		}
	})
}

func (p *publisher) send(m *client.Message, k key) {
	p.flown.Add(1)
	p.r.tally.sent(m.Topic, k, m.Retain)
	err := p.c.PublishAsync(p.r.ctx, m, func(res client.Result) {
		if res.Err == nil {
			p.r.tally.acked(m.Topic, k, m.Retain)
		}
		p.flown.Done()
	})
	if err != nil {
		p.flown.Done()
	}
}

// finish waits until everything is acknowledged.
func (p *publisher) finish(ctx context.Context, patience time.Duration) error {
	done := make(chan struct{})
	go func() {
		p.sends.Wait()
		p.flown.Wait()
		close(done)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errors.New("messages are not acknowledged after the restart")
	}
}

// quiet is how long nothing may come before a subscriber has everything.
const quiet = 2 * time.Second

// fetch lets the subscribers that were away come for their messages, and waits
// until all of them have everything, or nothing comes any more.
func (r *run) fetch() error {
	for _, s := range r.subs {
		if !s.away {
			continue
		}
		if ack, err := s.c.Connect(r.ctx); err != nil {
			return fmt.Errorf("connect: %w", err)
		} else if !ack.SessionPresent {
			r.tally.sessionLost()
			if _, err := s.c.Subscribe(r.ctx, nil, packet.Subscription{Filter: r.prefix + "/m/#", QoS: packet.QoS2}); err != nil {
				return fmt.Errorf("subscribe: %w", err)
			}
		}
	}
	var names []string
	for _, s := range r.subs {
		names = append(names, s.name)
	}
	r.tally.complete(r.ctx, names, quiet)
	for _, s := range r.subs {
		if s.away {
			if err := s.c.Disconnect(r.ctx, nil); err != nil {
				return fmt.Errorf("disconnect: %w", err)
			}
		}
	}
	return nil
}
