// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"fmt"
	"time"

	"emqttd/actors/alarm"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/mailbox"
)

// A broker that breaks its own actors on purpose says so wherever somebody may
// wonder why: two alarms, and a retained topic as long as it may. The alarms are
// probes of the monitor, which sees faults expire; what an operator does is told at
// once.

const (
	alarmChaos  = "chaos"        // faults may be armed
	alarmFaults = "chaos_faults" // some are
)

// broken tells the actor that faults were armed or disarmed.
type broken struct{ mailbox.Link }

// Broken tells the actor c that faults were armed or disarmed: it looks itself.
func Broken(c *cell.Cell) { c.Push(new(broken)) }

func (s *Memory) chaos() Chaos {
	if s.figures.Chaos == nil {
		return Chaos{}
	}
	return s.figures.Chaos()
}

func (s *Memory) chaosAllowed(any) (float64, string, any) {
	if s.chaos().Enabled {
		return 1, "chaos.enabled is true: not for production", nil
	}
	return 0, "chaos.enabled is false", nil
}

func (s *Memory) faultsArmed(any) (float64, string, any) {
	c := s.chaos()
	return float64(c.Faults), fmt.Sprintf("%d armed, %d hits", c.Faults, c.Hits), nil
}

// broken raises or clears the alarms without waiting for the monitor's next look,
// and publishes the topic.
func (s *service) broken(ctx *cell.Context) {
	for i := range s.probe {
		p := &s.probe[i]
		if p.ID != alarmChaos && p.ID != alarmFaults {
			continue
		}
		value, summary, _ := p.Value(nil)
		ctx.Submit(s.env.Alarms, &alarm.Change{Clear: value == 0, Alarm: alarm.Alarm{ID: p.ID, Severity: p.Severity, Title: p.Title,
			Summary: summary, RaisedAt: time.Unix(0, ctx.Now())}})
	}
	s.publishChaos(&outlet{ctx: ctx, pub: s.pub}, slot.See(ctx, &s.state).set.Interval > 0)
}

// publishChaos keeps $SYS/brokers/NODE/chaos while faults may be armed.
func (s *service) publishChaos(o *outlet, on bool) {
	c := s.chaos()
	o.keep(on && c.Enabled, "$SYS/brokers/"+s.env.Node+"/chaos", encoded(c))
}
