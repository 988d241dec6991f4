// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Hook sees every message of every cell at its phases. It may panic, Goexit or
// stop the actor in the phases Before, Decide and Between: that is how faults are
// injected.
type Hook interface {
	At(c *Cell, phase Phase, m Message)
}

// hook is what at calls: nil, the only hook there is, or all of them. Nothing
// else is looked at while there is none.
var hook atomic.Pointer[Hook]

// installed are the hooks of the process.
var installed struct {
	sync.Mutex
	set   Hook // by SetHook
	added []*Hook
}

// SetHook installs h for the whole process; nil takes it away.
func SetHook(h Hook) {
	installed.Lock()
	defer installed.Unlock()
	installed.set = h
	combine()
}

// AddHook installs h beside the others until remove is called. It is for those
// that look and harm nothing: they see a phase before SetHook's, which may end it.
func AddHook(h Hook) (remove func()) {
	installed.Lock()
	defer installed.Unlock()
	own := &h
	installed.added = append(slices.Clone(installed.added), own)
	combine()
	return func() {
		installed.Lock()
		defer installed.Unlock()
		installed.added = slices.DeleteFunc(slices.Clone(installed.added), func(other *Hook) bool { return other == own })
		combine()
	}
}

// combine makes hook of what is installed.
func combine() {
	var all hooks
	for _, h := range installed.added {
		all = append(all, *h)
	}
	if installed.set != nil {
		all = append(all, installed.set)
	}
	switch len(all) {
	case 0:
		hook.Store(nil)
	case 1:
		hook.Store(&all[0])
	default:
		var h Hook = all
		hook.Store(&h)
	}
}

// hooks are several at once, in order.
type hooks []Hook

// At implements Hook.
func (hs hooks) At(c *Cell, phase Phase, m Message) {
	for _, h := range hs {
		h.At(c, phase, m)
	}
}

// at is a place where a hook may do what it likes to the decision.
func (x *Context) at(phase Phase) {
	x.check()
	if h := hook.Load(); h != nil {
		(*h).At(x.cell, phase, x.msg)
		x.check()
	}
}

// between is a place between two effects: what waits there may be fenced.
func (x *Context) between() {
	c := x.cell
	x.enter(c, Between)
	x.at(Between)
	x.leave()
}
