// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"runtime"
	"sync"
	"time"

	"emqttd/listeners/api"
	"emqttd/protocol/packet"
)

// sampler remembers what the counters were, for rates, and the highest figures.
type sampler struct {
	mu    sync.Mutex
	at    time.Time
	last  [8]int64
	rates api.Rates
	stats api.Stats
}

// sampleEvery is the least time that a rate is taken over.
const sampleEvery = 900 * time.Millisecond

// Stats implements api.Broker. Whoever asks takes the sample; the dashboard's
// stream of events asks every second.
func (b inspector) Stats() api.Stats {
	m, s := b.env.Metrics, &b.sampler
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rate(now, b.counters())
	mem := processMemory()
	st := &s.stats
	st.At, st.Rates = now.UTC(), s.rates
	for _, g := range []struct {
		gauge *api.Gauge
		now   int64
	}{
		{&st.Connections, m.Connections.Load()}, {&st.Clients, m.Connected.Load()}, {&st.Sessions, m.Sessions.Load()},
		{&st.Subscriptions, b.pub.Table.Subscriptions()}, {&st.Routes, int64(b.pub.Table.Filters())},
		{&st.Retained, int64(b.pub.Retained.Len())}, {&st.QueuedBytes, m.QueuedBytes.Load()},
		{&st.RetainedBytes, b.pub.Retained.Bytes()}, {&st.Heap, mem[0]}, {&st.Goroutines, int64(runtime.NumGoroutine())},
	} {
		g.gauge.Now, g.gauge.Max = g.now, max(g.gauge.Max, g.now)
	}
	return *st
}

// counters are in the order of api.Rates.
func (b inspector) counters() (c [8]int64) {
	m := b.env.Metrics
	c[0], c[1] = m.BytesReceived.Load(), m.BytesSent.Load()
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		c[2] += m.PacketsReceived[t].Load()
		c[3] += m.PacketsSent[t].Load()
	}
	for q := range m.MessagesReceived {
		c[4] += m.MessagesReceived[q].Load()
		c[5] += m.MessagesSent[q].Load()
	}
	for d := range m.Dropped {
		c[6] += m.Dropped[d].Load()
	}
	c[7] = m.Accepted.Load()
	return c
}

// rate needs mu.
func (s *sampler) rate(now time.Time, c [8]int64) {
	d := now.Sub(s.at)
	if d < sampleEvery {
		return
	}
	if !s.at.IsZero() {
		var r [8]float64
		for i := range c {
			r[i] = float64(c[i]-s.last[i]) / d.Seconds()
		}
		s.rates = api.Rates{BytesIn: r[0], BytesOut: r[1], PacketsIn: r[2], PacketsOut: r[3], MessagesIn: r[4], MessagesOut: r[5],
			Dropped: r[6], Connects: r[7]}
	}
	s.at, s.last = now, c
}
