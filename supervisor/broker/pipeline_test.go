// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/store/memory"
	"emqttd/listeners"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/config"
)

// The pipeline without sockets: bytes of a PUBLISH go in at one connection, bytes
// of a PUBLISH come out at another, and everything between is the broker's own, on
// one goroutine and without a system call. What it costs is what the design costs.

// bench is a broker whose loop the benchmark steps.
type bench struct {
	t    testing.TB
	b    *broker.Broker
	now  int64
	ends int
}

// Now implements group.Clock: a microsecond passes with each look.
func (p *bench) Now() int64 { p.now += int64(time.Microsecond); return p.now }

func newBench(t testing.TB) *bench {
	if _, ok := t.(*testing.B); ok {
		message.Scribble = false // which costs as much as a message
	}
	p := &bench{t: t, now: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC).UnixNano()}
	cfg := config.Default()
	cfg.Runtime.Loops = 1
	b, err := broker.Simulate(cfg, zerolog.Nop(), broker.Surroundings{Engine: memory.New(), Clock: p})
	require.NoError(t, err)
	t.Cleanup(b.Abandon)
	p.b = b
	return p
}

// farEnd is the far end of a connection: it answers what a client answers, and else
// only counts.
type farEnd struct {
	in        *listeners.Socket
	more      parser.Parser
	slab      parser.Slab
	delivered int
	replies   []byte
	bytes     int
	quiet     bool // it only counts bytes
}

// Write implements listeners.Wire.
func (w *farEnd) Write(b []byte) (int, error) {
	w.bytes += len(b)
	if !w.quiet {
		w.parse(b)
	}
	return len(b), nil
}

func (w *farEnd) parse(b []byte) {
	for rest := b; len(rest) > 0; {
		next, p, left, err := w.more.Parse(rest, &w.slab)
		if err != nil {
			panic(err)
		}
		w.more, rest = next, left
		switch p := p.(type) {
		case *packet.Publish:
			w.delivered++
			if p.QoS == packet.QoS1 {
				w.reply(packet.PUBACK, p.ID)
			} else if p.QoS == packet.QoS2 {
				w.reply(packet.PUBREC, p.ID)
			}
		case *packet.Ack:
			if p.Kind == packet.PUBREC {
				w.reply(packet.PUBREL, p.ID)
			} else if p.Kind == packet.PUBREL {
				w.reply(packet.PUBCOMP, p.ID)
			}
		}
	}
	w.slab.Reset()
}

func (w *farEnd) reply(kind packet.Type, id packet.ID) {
	flags := byte(0)
	if kind == packet.PUBREL {
		flags = 2
	}
	w.replies = append(w.replies, byte(kind)<<4|flags, 2, byte(id>>8), byte(id))
}

// Want, Shutdown and Close implement listeners.Wire.
func (w *farEnd) Want(bool, bool) {}
func (w *farEnd) Shutdown()       {}
func (w *farEnd) Close()          {}

// client is a connection whose CONNECT and SUBSCRIBE are through.
func (p *bench) client(quiet bool, filters ...packet.Subscription) *farEnd {
	p.ends++
	w := &farEnd{more: parser.New(parser.Options{Role: parser.Client, Version: packet.V311})}
	w.in = p.b.Connect("listeners.tcp.default", 0, netip.MustParseAddrPort("127.0.0.1:1"), w)
	require.NotNil(p.t, w.in)
	p.give(w, encodeAs(p.t, packet.V311, clean(packet.V311, fmt.Sprint("c", p.ends))))
	if len(filters) > 0 {
		p.give(w, encodeAs(p.t, packet.V311, &packet.Subscribe{ID: 1, Subscriptions: filters}))
	}
	w.quiet = quiet
	return w
}

func (p *bench) give(w *farEnd, b []byte) {
	w.in.Input(b)
	p.b.Loops()[0].Turn()
}

// settle gives the broker what clients have to say until nobody says anything.
func (p *bench) settle(all ...*farEnd) {
	for busy := true; busy; {
		busy = false
		for _, w := range all {
			if said := w.replies; len(said) > 0 {
				w.replies = nil
				p.give(w, said)
				w.replies = append(said[:0], w.replies...)
				busy = true
			}
		}
	}
}

// publishes is a run of n PUBLISHes to one topic.
func (p *bench) publishes(qos packet.QoS, topic string, n, size int) (b []byte) {
	payload := make([]byte, size)
	for i := range n {
		pub := &packet.Publish{QoS: qos, Topic: []byte(topic), Payload: payload}
		if qos > 0 {
			pub.ID = packet.ID(i + 1)
		}
		b = append(b, encodeAs(p.t, packet.V311, pub)...)
	}
	return b
}

// BenchmarkPipeline passes runs of PUBLISHes of one read from a publisher to its
// subscribers and back: the time is per message delivered.
func BenchmarkPipeline(b *testing.B) {
	for _, c := range []struct {
		name             string
		qos              packet.QoS
		run, size, to    int
		filter, topic    string
		share, spreading bool
	}{
		{name: "qos=0/run=1/size=64", run: 1, size: 64},
		{name: "qos=0/run=100/size=64", run: 100, size: 64},
		{name: "qos=0/run=100/size=1024", run: 100, size: 1024},
		{name: "qos=1/run=1/size=64", qos: 1, run: 1, size: 64},
		{name: "qos=1/run=100/size=64", qos: 1, run: 100, size: 64},
		{name: "qos=2/run=100/size=64", qos: 2, run: 100, size: 64},
		{name: "qos=0/run=20/size=64/to=500", run: 20, size: 64, to: 500},
		{name: "qos=1/run=20/size=64/to=500", qos: 1, run: 20, size: 64, to: 500},
		{name: "qos=1/run=100/size=64/shared=8", qos: 1, run: 100, size: 64, to: 8, share: true},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := newBench(b)
			filter, n := "t/+/x", max(1, c.to)
			if c.share {
				filter = "$share/g/" + filter
			}
			all := make([]*farEnd, 0, n+1)
			for range n {
				all = append(all, p.client(false, packet.Subscription{Filter: filter, QoS: c.qos}))
			}
			from := p.client(false)
			all = append(all, from)
			read := p.publishes(c.qos, "t/1/x", c.run, c.size)
			p.give(from, read)
			p.settle(all...)
			deliveries := func() (sum int) {
				for _, w := range all {
					sum += w.delivered
				}
				return sum
			}
			before := deliveries()
			b.ReportAllocs()
			for b.Loop() {
				p.give(from, read)
				p.settle(all...)
			}
			each := c.run * n
			if c.share {
				each = c.run
			}
			require.Equal(b, b.N*each, deliveries()-before, "deliveries")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*each), "ns/msg")
		})
	}
}

// TestAQoS0MessageAllocatesNothing: no actor on its way, no mailbox, no effect and no
// buffer does, and the memory of the message is had back.
func TestAQoS0MessageAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates by itself, and empties pools")
	}
	p := newBench(t)
	to := p.client(true, packet.Subscription{Filter: "t/+"})
	from := p.client(true)
	for _, run := range []int{1, 100} {
		read := p.publishes(packet.QoS0, "t/1", run, 64)
		pass := func() { p.give(from, read) }
		for range 10 {
			pass()
		}
		before := to.bytes
		got := testing.AllocsPerRun(200, pass)
		require.Equal(t, 201*len(read), to.bytes-before, "everything was delivered")
		require.Zero(t, got, "a read of %d", run)
	}
}
