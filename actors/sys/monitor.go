// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"fmt"
	"math"
	"runtime/metrics"
	"time"

	"emqttd/actors/alarm"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// Monitor is what emqttd_sysmon watched (long_gc, long_schedule, large_heap), and
// what was left to the log there. A mark of 0 watches nothing; an alarm is
// cleared when the value was below four fifths of its mark, Calm times in a row.
type Monitor struct {
	Interval      time.Duration // between two looks; 0: none
	GCPause       time.Duration // the longest since the last look
	Schedule      time.Duration // the 99th percentile of what goroutines waited for a processor
	Mailbox       int           // the longest of the services'
	MemoryPercent int           // of the memory limit, where there is one
	Calm          int
}

// Probe is one thing that is watched.
type Probe struct {
	ID       string
	Severity alarm.Severity
	Title    string
	Mark     func(Monitor) float64
	// Value measures. before is what it returned the last time as after, nil at
	// first: a measurement over an interval has no memory but this.
	Value func(before any) (value float64, summary string, after any)
}

// watched is where one probe stands.
type watched struct {
	level  alarm.State
	before any
}

// Probes are the probes of a broker's actor.
func (s *Memory) probes() []Probe {
	return []Probe{
		{"long_gc", alarm.Warning, "the garbage collector stopped the process for long",
			func(m Monitor) float64 { return m.GCPause.Seconds() }, overInterval("/sched/pauses/total/gc:seconds", 1, "longest pause")},
		{"long_schedule", alarm.Warning, "goroutines wait long for a processor: the machine is overloaded",
			func(m Monitor) float64 { return m.Schedule.Seconds() }, overInterval("/sched/latencies:seconds", 0.99, "99th percentile")},
		{"large_mailbox", alarm.Error, "a service does not keep up",
			func(m Monitor) float64 { return float64(m.Mailbox) }, s.longestMailbox},
		{"large_heap", alarm.Error, "memory is close to its limit",
			func(m Monitor) float64 { return float64(m.MemoryPercent) }, memoryShare},
		{"disk_low", alarm.Critical, "the disk is nearly full: what would have to be stored is refused",
			func(Monitor) float64 { return 1 }, s.noRoom},
		{"store_full", alarm.Error, "sessions and retained messages hold as much as store.max_bytes allows",
			func(Monitor) float64 { return 1 }, s.storeFull},
		{"listener_full", alarm.Error, "a listener has as many connections as it takes: others are turned away",
			func(Monitor) float64 { return 1 }, s.listenerFull},
		{alarmChaos, alarm.Warning, "administrators may crash actors on purpose",
			func(Monitor) float64 { return 1 }, s.chaosAllowed},
		{alarmFaults, alarm.Error, "faults are armed: actors crash on purpose",
			func(Monitor) float64 { return 1 }, s.faultsArmed},
	}
}

// monitor looks at everything once, and submits the alarms that come and go.
func (s *service) monitor(ctx *cell.Context) {
	st := slot.Edit(ctx, &s.state)
	m := st.set.Monitor
	if m.Interval <= 0 {
		return
	}
	now := time.Unix(0, ctx.Now())
	next := make([]watched, len(s.probe)) // the old ones stay as they are until the commit
	copy(next, st.watched)
	for i := range s.probe {
		p, w := &s.probe[i], &next[i]
		mark := p.Mark(m)
		value, summary, after := p.Value(w.before)
		w.before = after
		was := w.level.Raised
		if mark > 0 {
			w.level = alarm.Level{High: mark, Low: 0.8 * mark, Calm: m.Calm}.Next(w.level, value)
		} else {
			w.level = alarm.State{}
		}
		if w.level.Raised || was {
			ctx.Submit(s.env.Alarms, &alarm.Change{Clear: !w.level.Raised,
				Alarm: alarm.Alarm{ID: p.ID, Severity: p.Severity, Title: p.Title, Summary: summary, RaisedAt: now}})
		}
	}
	st.watched = next
	ctx.Arm(s.look.Timer(), ctx.Now()+int64(m.Interval))
}

// overInterval measures a quantile of a histogram of the Go runtime, of what came
// since the last time.
func overInterval(name string, q float64, what string) func(any) (float64, string, any) {
	return func(before any) (float64, string, any) {
		sample := []metrics.Sample{{Name: name}}
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
			return 0, "", nil
		}
		h := sample[0].Value.Float64Histogram()
		old, _ := before.([]uint64)
		v := quantile(h, old, q)
		return v, fmt.Sprintf("%s: %s", what, time.Duration(v*float64(time.Second)).Round(time.Microsecond)), h.Counts
	}
}

// quantile is the upper bound of the bucket of h in which the q-quantile of what
// came since old lies; without old nothing has come.
func quantile(h *metrics.Float64Histogram, old []uint64, q float64) float64 {
	if len(old) != len(h.Counts) {
		return 0
	}
	total := uint64(0)
	for i, n := range h.Counts {
		total += n - old[i]
	}
	if total == 0 {
		return 0
	}
	below := uint64(0)
	for i, n := range h.Counts {
		if below += n - old[i]; float64(below) >= q*float64(total) {
			if v := h.Buckets[i+1]; !math.IsInf(v, 1) {
				return v
			}
			return h.Buckets[i]
		}
	}
	return 0
}

func (s *Memory) longestMailbox(any) (float64, string, any) {
	longest, name := 0, "-"
	all := append([]*cell.Cell{s.env.Store, s.env.Retainer, s.env.Sys}, s.env.Router...)
	for _, c := range append(all, s.env.SM...) {
		if c != nil && c.Pending() > longest {
			longest, name = c.Pending(), c.Name()
		}
	}
	return float64(longest), fmt.Sprintf("%s: %d messages wait", name, longest), nil
}

// memoryShare is how much of the memory limit is used, in percent; 0 without a
// limit.
func memoryShare(any) (float64, string, any) {
	sample := []metrics.Sample{{Name: "/gc/gomemlimit:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	limit := sample[0].Value.Uint64()
	if limit == 0 || limit == math.MaxInt64 {
		return 0, "", nil
	}
	used := sample[1].Value.Uint64() - sample[2].Value.Uint64()
	percent := 100 * float64(used) / float64(limit)
	return percent, fmt.Sprintf("%d of %d bytes, %.0f %%", used, limit, percent), nil
}

func (s *Memory) noRoom(any) (float64, string, any) {
	if s.pub.Room != nil && !s.pub.Room() {
		return 1, "less is free than store.min_free_bytes", nil
	}
	return 0, "", nil
}

func (s *Memory) storeFull(any) (float64, string, any) {
	if held, most := s.figures.StoredBytes(), s.env.Limits().StoreBytes; held > most {
		return 1, fmt.Sprintf("%d of %d bytes", held, most), nil
	}
	return 0, "", nil
}

// listenerFull stays up until the listener has a fifth of its places free.
func (s *Memory) listenerFull(any) (float64, string, any) {
	if s.figures.Listeners == nil {
		return 0, "", nil
	}
	share, summary := s.figures.Listeners()
	return share, summary, nil
}

// announce tells of an alarm under $SYS. alarms -> sys.
type announce struct {
	mailbox.Link
	alarm alarm.Alarm
}

// Announce lets the actor c publish that an alarm was raised or cleared.
func Announce(c *cell.Cell, a alarm.Alarm) { c.Push(&announce{alarm: a}) }

// alertText and clearText are emqttd's JSON.
type (
	alertText struct {
		ID       string         `json:"id"`
		Severity alarm.Severity `json:"severity"`
		Title    string         `json:"title"`
		Summary  string         `json:"summary"`
		Time     int64          `json:"ts"` // seconds since the Unix epoch
	}
	clearText struct {
		ID   string `json:"id"`
		Time int64  `json:"ts"`
	}
)

func (s *service) announce(ctx *cell.Context, a alarm.Alarm) {
	o := &outlet{ctx: ctx, pub: s.pub}
	at := "$SYS/brokers/" + s.env.Node + "/alarms/" + level(a.ID)
	if a.Cleared != nil {
		o.live(at+"/clear", encoded(clearText{a.ID, a.Cleared.Unix()}))
		return
	}
	o.live(at+"/alert", encoded(alertText{a.ID, a.Severity, a.Title, a.Summary, a.RaisedAt.Unix()}))
}
