// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"context"
	"time"
)

// batch is how many events Follow hands over at once, and pulse how often it
// hands over none, so that a peer that is gone is noticed.
const (
	batch = 256
	pulse = 15 * time.Second
)

// Follow hands the events of a tab behind seq to yield, as they happen, until ctx
// ends or yield fails. Dropped is how many of the tab's events are gone to make
// room. While somebody follows, the tab is not deserted.
func (m *Microscope) Follow(ctx context.Context, v *Viewer, tabName string, seq uint64, yield func(events []*Event, dropped uint64) error) error {
	t, err := m.tab(v, tabName)
	if err != nil {
		return err
	}
	defer t.watch()()
	beat := time.NewTicker(pulse)
	defer beat.Stop()
	for {
		events, dropped, changed := t.after(seq, batch)
		if err := yield(events, dropped); err != nil {
			return err
		}
		if len(events) > 0 {
			seq = events[len(events)-1].Seq
			continue
		}
		select {
		case <-changed:
		case <-beat.C:
		case <-ctx.Done():
			return nil
		case <-m.ctx.Done():
			return nil
		}
	}
}
