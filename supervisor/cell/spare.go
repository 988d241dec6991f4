// SPDX-License-Identifier: Apache-2.0

package cell

import "emqttd/supervisor/group"

// A connection that comes and goes brings four actors and takes them away. Most of
// what that costs is protoactor's: a name, a PID, a context, a place in the registry
// and one among the supervisor's children, each made, found and removed again. None
// of it knows anything of the actor, whose stage is made for each incarnation and
// whose state is the cell's. So the actor of a cell that has come to its orderly end
// is spare, and its supervisor gives it to the next cell that it starts.
//
// What has crashed, or was restarted, stopped or moved to another group is not
// given to anybody: it stops, as all would do otherwise. A spare actor still is its
// supervisor's child, and stops with it: until it has a cell again it has a host,
// that does for it what little an actor without a cell may have to do.

// spares is the kind of the hosts.
var spares = &Kind{Name: "spare"}

// Keep sets how many spare actors the nursery may have at a time; 0, which is what a
// new one has: none.
func (n *Nursery) Keep(max int) *Nursery {
	n.keep = max
	return n
}

// Spare is the number of spare actors. It belongs to the supervisor's group.
func (n *Nursery) Spare() int { return len(n.spare) }

// retire makes the incarnation of a cell that has come to its end spare; it reports
// false when it has to be stopped instead.
func (r *run) retire(i *incarnation) bool {
	n, g := i.nursery, r.x.group
	if n == nil || n.parent == nil || n.parent.group.Load() != g { // whose thread the spare ones are
		return false
	}
	if len(n.spare) >= n.keep || i.spoilt || i.stopping || i.suspend || !i.sys.empty() || !r.goesOn() {
		return false
	}
	r.c.stopped()
	if i.host == nil {
		i.host = newHost(g)
	}
	i.stage, i.nap = nil, false
	i.c = i.host
	i.host.inc.Store(i)
	n.spare = append(n.spare, i)
	return true
}

func newHost(g *group.Group) *Cell {
	h := New(spares, "", g, nil)
	h.orders.Store(ended)
	h.life.Store(uint32(Ended))
	return h
}

// Adopt gives c a spare actor as its next incarnation. It reports false when there
// is none for it: then c has to be given one by Spawn. It is called on the
// supervisor's group.
func (n *Nursery) Adopt(c *Cell) bool {
	for last := len(n.spare) - 1; last >= 0 && c.group.Load() == n.parent.group.Load(); last-- {
		i := n.spare[last]
		n.spare[last] = nil
		n.spare = n.spare[:last]
		if i.stopping || !i.sys.empty() {
			continue // it stops with the supervisor's incarnation of before
		}
		i.host.inc.Store(nil)
		i.c, i.used, i.busy = c, true, 0
		if !i.listed {
			i.in = nil
		}
		c.inc.Store(i)
		i.sys.push(adopted{})
		c.schedule()
		return true
	}
	return false
}

// adopted is the first lifecycle message of an incarnation that was spare. It stands
// for the hello and the Started of one that protoactor has just spawned.
type adopted struct{}
