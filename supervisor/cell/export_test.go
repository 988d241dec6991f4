// SPDX-License-Identifier: Apache-2.0

package cell

import "github.com/asynkron/protoactor-go/actor"

// Pages is the number of pages that the set holds.
func (s *IDs[K]) Pages() int { return s.held }

// Timers are the deadlines of the cell's timers by key; those that only have a key
// are there while they are set.
func (c *Cell) Timers() map[uint8]int64 {
	all := map[uint8]int64{}
	for t := c.timers; t != nil; t = t.next {
		all[t.Key] = t.timer.Deadline()
	}
	return all
}

// Hello gives c an incarnation that protoactor has not started yet.
func (c *Cell) Hello(by actor.MessageInvoker) { c.inc.Store(&incarnation{c: c, invoker: by}) }
