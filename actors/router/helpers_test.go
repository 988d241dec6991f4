// SPDX-License-Identifier: Apache-2.0

package router_test

import (
	"fmt"
	"slices"

	"emqttd/actors/cast"
	"emqttd/actors/router"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
)

type still struct{}

func (still) Now() int64 { return 1 }

// sessions makes cells that stand for sessions.
type sessions struct {
	g     *group.Group
	kind  *cell.Kind
	cells []*cell.Cell
}

func newSessions(n int) *sessions {
	s := &sessions{g: group.New("test", still{}, nil), kind: &cell.Kind{Name: "session"}}
	for i := range n {
		s.cells = append(s.cells, cell.New(s.kind, fmt.Sprint("session/", i), s.g, nil))
	}
	return s
}

// sub is a subscription of session i, whose client id is "c" and i.
func (s *sessions) sub(i int, filter string, qos packet.QoS) *cast.Subscription {
	who := &cast.Subscriber{Session: s.cells[i], Number: uint64(i + 1), ClientID: fmt.Sprint("c", i)}
	return &cast.Subscription{Subscriber: who, Filter: filter, QoS: qos}
}

// member is one that can be shared: connected, with a window of ten.
func (s *sessions) member(i int, filter string) *cast.Subscription {
	m := s.sub(i, filter, 1)
	m.Online.Store(1)
	m.Window.Store(10)
	return m
}

func subscribe(t *router.Table, subs ...*cast.Subscription) {
	for _, s := range subs {
		t.Accept(route(nil, s))
	}
}

// route is a change of one subscription.
func route(before, after *cast.Subscription) *cast.Route {
	return &cast.Route{Changes: []cast.Change{{Old: before, New: after}}}
}

// join makes them members of a group.
func join(t *router.Table, name string, subs ...*cast.Subscription) {
	for _, s := range subs {
		t.Accept(route(nil, shared(name, s)))
	}
}

// shared is s as a subscription of a group.
func shared(name string, s *cast.Subscription) *cast.Subscription {
	s.Filter = "$share/" + name + "/" + s.Filter
	return s
}

// target is what one session gets.
type target struct {
	session *cell.Cell
	sub     *cast.Subscription
	share   *cast.ShareRef
}

// targets performs a match list into a slice, in the order of sessions, and
// gives it back.
func targets(f *router.Fanout) (out []target) {
	for i := range f.Len() {
		to, m := f.At(i)
		d := m.(*cast.Dispatch)
		out = append(out, target{to, d.Sub, d.Share})
		d.Release()
	}
	f.Done()
	slices.SortStableFunc(out, func(a, b target) int { return int(a.session.Serial()) - int(b.session.Serial()) })
	return out
}

// match is who gets a message on a topic, in the order of sessions.
func match(t *router.Table, name, from string) []target {
	return targets(t.Match(name, router.Options{From: from, Strategy: "round_robin"}).First(&message.Message{Topic: name}))
}

// clients are the client ids of targets.
func clients(ts []target) (out []string) {
	for _, t := range ts {
		out = append(out, t.sub.ClientID)
	}
	return out
}
