// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"sync"

	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// special are the messages that a * does not mean: poison is the end of what
// may be tried, the others belong to the lifecycle.
var special = map[string]bool{"poison": true, "skip": true, "started": true, "stopped": true}

func (p place) meant(kind, message string) bool {
	if p.kind != kind && (kind == "supervisor" || !like(p.kind, kind)) {
		return false
	}
	return p.message == message || !special[message] && like(p.message, message)
}

// within reports whether the message is in the fault's scope, and whose it is.
func (a *armed) within(c *cell.Cell, m cell.Message) (Scope, bool) {
	var s Scope
	if sc, ok := m.(Scoped); ok {
		s = sc.ChaosScope()
	}
	if sc, ok := c.Owner().(Scoped); ok {
		o := sc.ChaosScope()
		s = Scope{cmp.Or(s.Client, o.Client), cmp.Or(s.Topic, o.Topic), cmp.Or(s.Listener, o.Listener)}
	}
	want := a.Fault.Scope
	if want.Client != "" && s.Client == "" || want.Topic != "" && s.Topic == "" || want.Listener != "" && s.Listener == "" {
		a.Blind++
		return s, false
	}
	return s, (want.Client == "" || like(want.Client, s.Client)) &&
		(want.Topic == "" || topic.Match(want.Topic, s.Topic)) &&
		(want.Listener == "" || like(want.Listener, s.Listener))
}

// due reports whether this occurrence is hit. Second attempts are hit by what
// hit the first and asks for it, and are counted for nobody.
func (a *armed) due(l *life) bool {
	w := a.Fault.When
	spent := a.Fault.Hits != 0 && a.Hits >= int64(a.Fault.Hits)
	if l.attempt > 1 {
		return !spent && (w.Sticky || l.attempt <= w.RecoverAfter) && slices.Contains(l.hit, a.ID)
	}
	a.Seen++
	switch {
	case spent:
		return false
	case w.Nth != 0:
		return a.Seen == int64(w.Nth)
	case w.Every != 0:
		return a.Seen%int64(w.Every) == 0
	case w.P != 0:
		return a.rand.Float64() < w.P
	}
	return true
}

// nameOf is the message's type name in lower case.
func nameOf(m cell.Message) string {
	t := reflect.TypeOf(m)
	if n, ok := names.Load(t); ok {
		return n.(string)
	}
	n := strings.ToLower(t.String()) // "*cast.received"
	n = n[strings.LastIndexByte(n, '.')+1:]
	names.Store(t, n)
	return n
}

var names sync.Map // reflect.Type -> string; as many as there are message types
