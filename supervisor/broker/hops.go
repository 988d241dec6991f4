// SPDX-License-Identifier: Apache-2.0

package broker

import (
	"fmt"
	"reflect"
	"sync"

	"emqttd/actors/cast"
	"emqttd/supervisor/cell"
)

// Hops writes down the way of packets through the actors: one line for each
// message that an actor has handled. It is for people and documentation; it sees
// every broker of the process, and while it records each message costs a lock.
type Hops struct {
	stop  func()
	mu    sync.Mutex
	lines []string
}

// Record begins; Stop ends it and returns the lines.
func (h *Hops) Record() { h.stop = cell.AddHook(h) }

// Stop ends the recording and returns what was recorded.
func (h *Hops) Stop() []string {
	h.stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lines
}

// At implements cell.Hook.
func (h *Hops) At(c *cell.Cell, phase cell.Phase, m cell.Message) {
	if phase != cell.Done {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, fmt.Sprintf("%-10s %-10s %s", c.Kind().Name, reflect.TypeOf(m).Elem().Name(), what(m)))
}

// what is in a message, in a few words.
func what(m cell.Message) string {
	switch m := m.(type) {
	case *cast.Data:
		return fmt.Sprintf("%d bytes from the socket", len(m.Bytes))
	case *cast.Received:
		return fmt.Sprintf("%d packet(s)", len(m.Packets))
	case *cast.Dispatch:
		return fmt.Sprintf("%d message(s) for %s", len(m.Messages), m.Sub.Filter)
	case *cast.Deliver:
		return fmt.Sprintf("%d PUBLISH to the socket", len(m.Deliveries))
	case *cast.Send:
		for p := range m.All {
			return fmt.Sprintf("%s to the socket", p.Type())
		}
	}
	return ""
}
