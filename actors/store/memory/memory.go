// SPDX-License-Identifier: Apache-2.0

// Package memory is the store engine that keeps everything in memory: for
// durability "memory", for tests, and as the reference that durable engines are
// compared with. What it holds is gone with the process.
package memory

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// Engine implements store.Engine.
type Engine struct {
	mu       sync.Mutex
	sessions map[uint64]*session
	retained map[string]*message.Message
	last     uint64
	order    uint64
}

type session struct {
	record   store.Record
	filters  map[string]store.Filter
	queue    map[uint64]*message.Message // by position
	found    map[uint64]bool             // of them, those that are delivered as retained
	inflight map[packet.ID]inflight
	sent     uint64
	await    map[packet.ID]bool
	dead     map[uint64]store.Dead
}

type inflight struct {
	store.Inflight
	order uint64
}

var (
	_ store.Engine  = (*Engine)(nil)
	_ store.Fetcher = (*Engine)(nil)
)

// New is an empty engine.
func New() *Engine {
	return &Engine{sessions: map[uint64]*session{}, retained: map[string]*message.Message{}, order: rand.Uint64()}
}

// Write implements store.Engine.
func (e *Engine) Write(group []*store.Commit, done func(error)) {
	e.mu.Lock()
	for _, c := range group {
		for i := range c.Ops {
			e.apply(&c.Ops[i])
		}
	}
	e.mu.Unlock()
	done(nil)
}

func (e *Engine) apply(op *store.Op) {
	if op.Message != nil {
		e.last = max(e.last, op.Message.ID.Seq)
	}
	switch op.Kind {
	case store.Append:
		for _, id := range op.Sessions {
			if s := e.sessions[id]; s != nil {
				if _, had := s.queue[op.Message.ID.Seq]; op.Retain && !had {
					s.found[op.Message.ID.Seq] = true
				}
				s.queue[op.Message.ID.Seq] = op.Message
			}
		}
		return
	case store.Retain:
		if len(op.Message.Payload) == 0 {
			delete(e.retained, op.Message.Topic)
		} else {
			e.retained[op.Message.Topic] = op.Message
		}
		return
	case store.EndSession:
		delete(e.sessions, op.Session)
		return
	case store.PutSession:
		s := e.sessions[op.Session]
		if s == nil {
			s = &session{filters: map[string]store.Filter{}, queue: map[uint64]*message.Message{}, found: map[uint64]bool{},
				inflight: map[packet.ID]inflight{}, await: map[packet.ID]bool{}, dead: map[uint64]store.Dead{}}
			e.sessions[op.Session] = s
		}
		s.record = *op.Record
		return
	}
	if s := e.sessions[op.Session]; s != nil {
		s.apply(op)
	}
}

func (s *session) apply(op *store.Op) {
	switch op.Kind {
	case store.AddAwait:
		s.await[op.ID] = true
	case store.DelAwait:
		delete(s.await, op.ID)
	case store.PutInflight:
		x, had := s.inflight[op.ID]
		if !had {
			s.sent++
			x.order = s.sent
		}
		x.Inflight = store.Inflight{ID: op.ID, Message: op.Message, Phase: op.Phase, QoS: op.QoS, Retain: op.Retain}
		s.inflight[op.ID] = x
		s.dequeue(op.Message.ID.Seq)
	case store.DelInflight:
		delete(s.inflight, op.ID)
	case store.Discard:
		s.dequeue(op.Message.ID.Seq)
	case store.PutFilter:
		s.filters[op.Filter.Text] = *op.Filter
	case store.DelFilter:
		delete(s.filters, op.Filter.Text)
	case store.PutDead:
		s.dead[op.Dead.Serial] = *op.Dead
	case store.DelDead:
		delete(s.dead, op.Dead.Serial)
	}
}

func (s *session) dequeue(seq uint64) {
	delete(s.queue, seq)
	delete(s.found, seq)
}

// Sessions implements store.Engine.
func (e *Engine) Sessions(yield func(store.Stored) bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(e.sessions)) {
		if !yield(e.sessions[id].stored(id)) {
			break
		}
	}
	return nil
}

func (s *session) stored(id uint64) store.Stored {
	out := store.Stored{Session: id, Record: s.record}
	for _, text := range slices.Sorted(maps.Keys(s.filters)) {
		out.Filters = append(out.Filters, s.filters[text])
	}
	for _, seq := range slices.Sorted(maps.Keys(s.queue)) {
		out.Queue = append(out.Queue, s.queue[seq])
		if s.found[seq] {
			out.Found = append(out.Found, seq)
		}
	}
	flying := slices.SortedFunc(maps.Values(s.inflight), func(a, b inflight) int { return cmp.Compare(a.order, b.order) })
	for _, x := range flying {
		out.Inflight = append(out.Inflight, x.Inflight)
	}
	out.Await = slices.Sorted(maps.Keys(s.await))
	for _, serial := range slices.Sorted(maps.Keys(s.dead)) {
		out.Dead = append(out.Dead, s.dead[serial])
	}
	return out
}

// Resume implements store.Fetcher.
func (e *Engine) Resume(yield func(store.Stored) bool) error {
	return e.Sessions(func(s store.Stored) bool {
		if s.Shares() {
			return yield(s)
		}
		for _, m := range s.Queue {
			_, found := slices.BinarySearch(s.Found, m.ID.Seq)
			s.Waiting = append(s.Waiting, store.Waiting{Seq: m.ID.Seq, Size: uint32(m.Size()), Found: found})
		}
		s.Queue, s.Found = nil, nil
		return yield(s)
	})
}

// Fetch implements store.Fetcher.
func (e *Engine) Fetch(session uint64, positions []uint64) ([]*message.Message, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*message.Message, len(positions))
	if s := e.sessions[session]; s != nil {
		for i, seq := range positions {
			out[i] = s.queue[seq]
		}
	}
	return out, nil
}

// Retained implements store.Engine.
func (e *Engine) Retained(yield func(*message.Message) bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(e.retained)) {
		if !yield(e.retained[name]) {
			break
		}
	}
	return nil
}

// Last implements store.Engine.
func (e *Engine) Last() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

// Order implements store.Engine.
func (e *Engine) Order() uint64 { return e.order }

// Close implements store.Engine.
func (e *Engine) Close() error { return nil }
