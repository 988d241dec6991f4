// SPDX-License-Identifier: Apache-2.0

package client

// gate hands out a number of slots, first come first served. The Client's mutex
// guards it; waiting is done outside.
type gate struct {
	free    int
	waiting []chan struct{} // each gets its slot by being closed
}

// enter takes a slot, or returns a channel that is closed when it has one.
func (g *gate) enter() (wait chan struct{}) {
	if g.free > 0 && len(g.waiting) == 0 {
		g.free--
		return nil
	}
	wait = make(chan struct{})
	g.waiting = append(g.waiting, wait)
	return wait
}

// leave gives a slot back, to the longest waiting.
func (g *gate) leave() {
	if g.free++; g.free > 0 && len(g.waiting) > 0 {
		g.free--
		close(g.waiting[0])
		g.waiting = g.waiting[1:]
	}
}

// giveUp ends the waiting of wait, also when it has got its slot meanwhile.
func (g *gate) giveUp(wait chan struct{}) {
	for i, w := range g.waiting {
		if w == wait {
			g.waiting = append(g.waiting[:i], g.waiting[i+1:]...)
			return
		}
	}
	g.leave()
}
