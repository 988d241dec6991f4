// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"time"

	"emqttd/actors/alarm"
	"emqttd/actors/metrics"
	"emqttd/actors/sys"
	"emqttd/actors/trace"
	"emqttd/listeners/api"
	"emqttd/listeners/openmetrics"
	"emqttd/supervisor/broker/config"
	"emqttd/supervisor/cell"
)

// Figures are what the broker holds at the moment. They may be read from any
// goroutine.
func (b *Broker) Figures() sys.Figures { return sys.FiguresOf(b.pub) }

// Sources are what /metrics is made of.
func (b *Broker) Sources() openmetrics.Sources {
	return openmetrics.Sources{Node: b.env.Node, Version: Version(), Started: b.started, Metrics: b.env.Metrics,
		Figures: b.Figures(), Kinds: b.kinds.all, Services: b.serviceCells, Listeners: b.listenerFigures,
		Certificates: b.certificateEnds, Alarms: b.env.Alarms}
}

// serviceCells calls yield for the actors that all connections share.
func (b *Broker) serviceCells(yield func(*cell.Cell) bool) {
	all := append([]*cell.Cell{b.env.Store, b.env.Retainer, b.env.Sys}, b.env.Router...)
	for _, c := range append(all, b.env.SM...) {
		if !yield(c) {
			return
		}
	}
}

func (b *Broker) listenerFigures(yield func(openmetrics.Listener) bool) {
	for _, p := range b.ports {
		l := openmetrics.Listener{Name: p.core.Base.Name, Connections: p.core.Len(), Max: int64(p.door.Rules().MaxConnections)}
		if !yield(l) {
			return
		}
	}
}

// Trace is the tracer of the broker.
func (b *Broker) Trace() *trace.Tracer { return b.env.Trace }

// traceBounds hold the traces; dir is where their files go.
func traceBounds(c *config.Config, dir string) trace.Bounds {
	t := c.Trace
	return trace.Bounds{Traces: t.MaxTraces, Events: t.MaxEvents, Longest: t.MaxDuration, FileSize: int64(t.FileSize), Files: t.Files,
		Dir: dir}
}

// Alarms are the alarms of the broker: whoever embeds it may raise its own.
func (b *Broker) Alarms() *alarm.Table { return b.env.Alarms }

// SlowSubscribers are those that got messages late, the slowest first.
func (b *Broker) SlowSubscribers() []metrics.SlowEntry { return b.env.Slow.List(time.Now()) }

// alarmed tells of an alarm that came or went: in the log, under $SYS, and to the
// streams of the dashboard. It runs on whatever goroutine changed the alarm.
func (b *Broker) alarmed(a alarm.Alarm) {
	kind, e := "alarm.raised", b.log.Warn()
	if a.Cleared != nil {
		kind, e = "alarm.cleared", b.log.Info()
	}
	e.Str("alarm", a.ID).Str("severity", string(a.Severity)).Str("summary", a.Summary).Str("title", a.Title).Msg(kind)
	if b.env.Sys != nil {
		sys.Announce(b.env.Sys, a)
	}
	if s := b.api.Load(); s != nil && s.Listening() {
		s.Publish(api.Event{Type: kind, At: time.Now(), Data: a})
	}
}
