// SPDX-License-Identifier: Apache-2.0

package openmetrics

import (
	"iter"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"emqttd/actors/alarm"
	"emqttd/actors/metrics"
	"emqttd/actors/sys"
	"emqttd/supervisor/cell"
)

// Sources are what a scrape reads. Each function may be called from any goroutine
// at any time and does not wait.
type Sources struct {
	Node, Version string
	Started       time.Time
	Metrics       *metrics.Metrics
	Figures       sys.Figures
	Kinds         iter.Seq[*cell.Kind]
	Services      iter.Seq[*cell.Cell] // the actors whose mailboxes all connections share
	Listeners     iter.Seq[Listener]
	Certificates  iter.Seq2[string, time.Time] // when they expire, by listener; nil: there are none
	Alarms        *alarm.Table
}

// Listener is one listener.
type Listener struct {
	Name        string // "tcp:default"
	Connections int64
	Max         int64 // 0: no limit
}

// collector is Sources as a prometheus.Collector.
type collector struct {
	Sources
	baseline uint64 // bytes that the process held before the first connection
}

func newCollector(s Sources) *collector { return &collector{Sources: s, baseline: held()} }

// Describe implements prometheus.Collector: it describes nothing, since some
// series appear with their first occurrence (an unchecked collector).
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	out := &writer{ch: ch}
	c.about(out)
	c.traffic(out)
	c.connections(out)
	c.store(out)
	c.actors(out)
	c.memory(out)
	c.alarms(out)
}

func (c *collector) alarms(out *writer) {
	n := map[alarm.Severity]int{alarm.Warning: 0, alarm.Error: 0, alarm.Critical: 0}
	for _, a := range c.Alarms.Active() {
		n[a.Severity]++
	}
	for severity, n := range n {
		out.gauge("emqttd_alarms", "Alarms that are raised.", float64(n), "severity", string(severity))
	}
}

func (c *collector) about(out *writer) {
	out.gauge("emqttd_build_info", "What runs here; the value is always 1.", 1, "node", c.Node, "version", c.Version, "go", runtime.Version())
	out.gauge("emqttd_start_time_seconds", "When the broker started, in seconds since the Unix epoch.",
		float64(c.Started.UnixNano())/float64(time.Second))
}

func (c *collector) actors(out *writer) {
	for k := range c.Kinds {
		by := []string{"kind", k.Name}
		out.gauge("emqttd_actors", "Actors that are alive.", float64(k.Cells.Load()), "kind", k.Name, "module", k.Module)
		for reason, n := range k.RestartsBy {
			out.counter("emqttd_actor_restarts_total", "Incarnations of actors after their first, by what ended the one before.", n,
				"kind", k.Name, "reason", reason.String())
		}
		out.distribution("emqttd_actor_recovery_seconds", "From the crash of an actor to the end of the message that was tried again.",
			recovery(&k.Recovery), by)
		out.counter("emqttd_actor_crashes_total", "Panics and Goexits in the code of actors.", k.Crashes.Load(), by...)
		out.counter("emqttd_poison_messages_total", "Messages that crashed their actor twice.", k.Poisoned.Load(), by...)
		out.counter("emqttd_undeliverable_messages_total", "Messages to actors that had ended.", k.Dropped.Load(), by...)
	}
	for s := range c.Services {
		out.gauge("emqttd_mailbox_messages", "Messages that wait in the mailbox of a service.", float64(s.Pending()), "actor", s.Name())
	}
}

// recovery reads the histogram of a kind. What is observed meanwhile may be in
// the sum and not yet in the count.
func recovery(h *cell.Histogram) metrics.Distribution {
	d := metrics.Distribution{Sum: h.Sum().Seconds(), Buckets: map[float64]uint64{}}
	for upTo, n := range h.Buckets {
		d.Count += uint64(n)
		if upTo > 0 { // the last has no bound
			d.Buckets[upTo.Seconds()] = d.Count
		}
	}
	return d
}

func (c *collector) memory(out *writer) {
	now := held()
	out.gauge("emqttd_goroutines", "Goroutines of the process.", float64(runtime.NumGoroutine()))
	out.gauge("emqttd_heap_bytes", "Live and not yet collected objects.", float64(c.Figures.Heap()))
	if n := c.Metrics.Connections.Load(); n > 0 {
		out.gauge("emqttd_connection_memory_bytes", "What the process holds more than at its start, for each open connection.",
			float64(max(now, c.baseline)-c.baseline)/float64(n)) // a collection since then may have left less
	}
}

// held is what the Go runtime has in use: heap objects and stacks. It does not
// stop the world.
func held() uint64 {
	sample := []runtimeSample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	readRuntime(sample)
	return sample[0].Value.Uint64() + sample[1].Value.Uint64()
}
