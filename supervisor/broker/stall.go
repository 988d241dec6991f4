// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"emqttd/supervisor"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

// newWatch makes the watch over the event loops: an actor that does not return
// costs its connection, and those beside it runtime.stall_after.
func (b *Broker) newWatch() *group.Watch {
	var groups []*group.Group
	for _, l := range b.loops {
		groups = append(groups, l.Group())
	}
	return group.NewWatch(b.cfg.Runtime.StallAfter, b.clock, func(report any) {
		if crash, ok := report.(*cell.Crash); ok {
			supervisor.Report(crash, b.log)
		}
	}, groups...)
}
