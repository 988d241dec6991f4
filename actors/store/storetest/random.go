// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// naive is what the operations mean, said as plainly as possible.
type naive struct {
	sessions map[uint64]*naiveSession
	retained map[string]*message.Message
	last     uint64
}

type naiveSession struct {
	epoch   uint64
	queue   []*message.Message
	flying  []store.Inflight
	await   map[packet.ID]bool
	filters map[string]store.Filter
}

func (n *naive) apply(op store.Op) {
	if op.Message != nil {
		n.last = max(n.last, op.Message.ID.Seq)
	}
	s := n.sessions[op.Session]
	switch op.Kind {
	case store.Append:
		for _, id := range op.Sessions {
			if s := n.sessions[id]; s != nil {
				s.queue = append(s.queue, op.Message)
			}
		}
		return
	case store.Retain:
		delete(n.retained, op.Message.Topic)
		if len(op.Message.Payload) > 0 {
			n.retained[op.Message.Topic] = op.Message
		}
		return
	case store.EndSession:
		delete(n.sessions, op.Session)
		return
	case store.PutSession:
		if s == nil {
			s = &naiveSession{await: map[packet.ID]bool{}, filters: map[string]store.Filter{}}
			n.sessions[op.Session] = s
		}
		s.epoch = op.Record.Epoch
		return
	}
	if s != nil {
		s.apply(op)
	}
}

func (s *naiveSession) apply(op store.Op) {
	same := func(m *message.Message) bool { return m.ID.Seq == op.Message.ID.Seq }
	byID := func(f store.Inflight) bool { return f.ID == op.ID }
	switch op.Kind {
	case store.PutInflight:
		s.queue = slices.DeleteFunc(s.queue, same)
		f := store.Inflight{ID: op.ID, Message: op.Message, Phase: op.Phase, QoS: op.QoS, Retain: op.Retain}
		if i := slices.IndexFunc(s.flying, byID); i >= 0 {
			s.flying[i] = f
		} else {
			s.flying = append(s.flying, f)
		}
	case store.DelInflight:
		s.flying = slices.DeleteFunc(s.flying, byID)
	case store.Discard:
		s.queue = slices.DeleteFunc(s.queue, same)
	case store.AddAwait:
		s.await[op.ID] = true
	case store.DelAwait:
		delete(s.await, op.ID)
	case store.PutFilter:
		s.filters[op.Filter.Text] = *op.Filter
	case store.DelFilter:
		delete(s.filters, op.Filter.Text)
	}
}

// draw makes an operation that a session could ask for: it sends what is in its
// queue, releases and ends what is in flight, and never uses an id twice at a
// time.
func (n *naive) draw(t *rapid.T) store.Op {
	number := rapid.Uint64Range(1, 4).Draw(t, "session")
	id := packet.ID(rapid.Uint16Range(1, 4).Draw(t, "id"))
	s := n.sessions[number]
	op := store.Op{Kind: store.OpKind(rapid.IntRange(0, int(store.DelFilter)).Draw(t, "kind")), Session: number, ID: id}
	switch op.Kind {
	case store.PutSession:
		op.Record = &store.Record{ClientID: fmt.Sprint(number), Epoch: n.last}
	case store.Append:
		op.Message = at(n.last+rapid.Uint64Range(1, 3).Draw(t, "gap"), "t")
		op.Sessions = rapid.SliceOfNDistinct(rapid.Uint64Range(1, 4), 1, 3, rapid.ID).Draw(t, "sessions")
	case store.Retain:
		op.Message = at(n.last+1, rapid.SampledFrom([]string{"a", "a/b", "c"}).Draw(t, "topic"))
		if rapid.IntRange(0, 3).Draw(t, "clears") == 0 {
			op.Message.Payload = nil
		}
	case store.PutInflight:
		op.Message, op.Retain = at(n.last, "t"), rapid.Bool().Draw(t, "retain")
		op.QoS = packet.QoS(rapid.IntRange(1, 2).Draw(t, "qos"))
		if s != nil {
			if i := slices.IndexFunc(s.flying, func(f store.Inflight) bool { return f.ID == id }); i >= 0 {
				op.Message, op.Phase = s.flying[i].Message, store.Released
			} else if len(s.queue) > 0 {
				op.Message = s.queue[0]
			} else {
				op.Kind = store.AddAwait
			}
		}
	case store.DelInflight, store.Discard:
		op.Message = at(n.last, "t")
		if s != nil && len(s.queue) > 0 && op.Kind == store.Discard {
			op.Message = rapid.SampledFrom(s.queue).Draw(t, "discarded")
		}
	case store.PutFilter, store.DelFilter:
		op.Filter = &store.Filter{Text: rapid.SampledFrom([]string{"x", "y/#", "$share/g/+"}).Draw(t, "filter"), SubID: uint32(n.last)}
	}
	return op
}

// equal compares everything that e gives back.
func (n *naive) equal(t require.TestingT, e store.Engine) {
	got := all(t, e)
	resumes(t, e, got)
	numbers := slices.Sorted(maps.Keys(n.sessions))
	require.Len(t, got, len(numbers))
	for i, number := range numbers {
		s, g := n.sessions[number], got[i]
		require.Equal(t, number, g.Session)
		require.Equal(t, s.epoch, g.Record.Epoch)
		require.Equal(t, seqs(s.queue), seqs(g.Queue))
		require.Equal(t, flying(s.flying), flying(g.Inflight))
		for i, f := range s.flying {
			require.Equal(t, f.QoS, g.Inflight[i].QoS)
			require.Equal(t, f.Retain, g.Inflight[i].Retain)
		}
		require.Equal(t, slices.Sorted(maps.Keys(s.await)), g.Await)
		require.ElementsMatch(t, slices.Collect(maps.Values(s.filters)), g.Filters)
	}
	var want []string
	for _, name := range slices.Sorted(maps.Keys(n.retained)) {
		want = append(want, name+" "+string(n.retained[name].Payload))
	}
	require.Equal(t, want, kept(t, e))
	require.Equal(t, n.last, e.Last())
}

func random(t *testing.T, open func() store.Engine) {
	rapid.Check(t, func(t *rapid.T) {
		e := open()
		n := &naive{sessions: map[uint64]*naiveSession{}, retained: map[string]*message.Message{}}
		for range rapid.IntRange(1, 20).Draw(t, "groups") {
			var group []*store.Commit
			for range rapid.IntRange(1, 4).Draw(t, "commits") {
				c := new(store.Commit)
				for range rapid.IntRange(0, 4).Draw(t, "ops") {
					op := n.draw(t)
					n.apply(op)
					c.Ops = append(c.Ops, op)
				}
				group = append(group, c)
			}
			require.NoError(t, writeGroup(e, group...))
			n.equal(t, e)
		}
		require.NoError(t, e.Close())
	})
}
