// SPDX-License-Identifier: Apache-2.0

package pebble

import (
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// apply puts an operation into the batch and the index. What belongs to a
// session that is not there does nothing: its end came first.
func (e *Engine) apply(op *store.Op) {
	if op.Message != nil {
		e.index.last = max(e.index.last, op.Message.ID.Seq)
	}
	switch op.Kind {
	case store.Append:
		e.append(op)
		return
	case store.Retain:
		e.retain(op.Message)
		return
	case store.EndSession:
		e.endSession(op.Session)
		return
	case store.PutSession:
		if e.index.sessions[op.Session] == nil {
			e.index.sessions[op.Session] = new(session)
		}
		e.set(appendSessionKey(e.key[:0], op.Session, kindRecord), appendRecord(e.value[:0], op.Record))
		return
	}
	if s := e.index.sessions[op.Session]; s != nil {
		e.applyTo(s, op)
	}
}

func (e *Engine) applyTo(s *session, op *store.Op) {
	switch op.Kind {
	case store.AddAwait:
		e.set(appendIDKey(e.key[:0], op.Session, kindAwait, op.ID), nil)
	case store.DelAwait:
		e.delete(appendIDKey(e.key[:0], op.Session, kindAwait, op.ID))
	case store.PutInflight:
		e.putInflight(s, op)
	case store.DelInflight:
		if f, had := s.flights[op.ID]; had {
			delete(s.flights, op.ID)
			e.delete(appendIDKey(e.key[:0], op.Session, kindFlight, op.ID))
			e.drop(op.Session, f.hold)
		}
	case store.Discard:
		e.drop(op.Session, s.queue.remove(op.Message.ID.Seq))
	case store.PutFilter:
		e.set(appendFilterKey(e.key[:0], op.Session, op.Filter.Text), appendFilter(e.value[:0], op.Filter))
	case store.DelFilter:
		e.delete(appendFilterKey(e.key[:0], op.Session, op.Filter.Text))
	case store.PutDead:
		e.set(appendDeadKey(e.key[:0], op.Session, op.Dead.Serial), appendDead(e.value[:0], op.Dead))
	case store.DelDead:
		e.delete(appendDeadKey(e.key[:0], op.Session, op.Dead.Serial))
	}
}

// set and delete take the scratch buffers back, which may have grown.
func (e *Engine) set(key, value []byte) {
	e.must(e.batch.Set(key, value, nil))
	e.key, e.value = key, value
}

func (e *Engine) delete(key []byte) {
	e.must(e.batch.Delete(key, nil))
	e.key = key
}

// must is for what Pebble fails at only when it is used wrongly.
func (e *Engine) must(err error) {
	if err != nil {
		panic(err)
	}
}

// append gives a message to its sessions: itself to one, a reference to several.
func (e *Engine) append(op *store.Op) {
	m, targets := op.Message, e.targets[:0]
	for _, number := range op.Sessions {
		if s := e.index.sessions[number]; s != nil && e.enqueue(s, number, m) {
			targets = append(targets, number)
		}
	}
	e.targets = targets
	if len(targets) == 0 {
		return
	}
	e.expires(m.Expiry)
	holders := e.index.shared[m.ID.Seq]
	if len(targets) == 1 && (holders == 0 || op.Retain) {
		form := byte(holdOwn)
		if op.Retain {
			form = holdFound
		}
		value := appendMessage(append(e.value[:0], form), m, true)
		e.set(appendHoldKey(e.key[:0], targets[0], m.ID.Seq), value)
		return
	}
	if holders == 0 {
		e.set(appendMessageKey(e.key[:0], m.ID.Seq), appendMessage(e.value[:0], m, true))
	}
	e.index.shared[m.ID.Seq] = holders + uint32(len(targets))
	value := appendSharedHold(e.value[:0], m.Expiry)
	for _, number := range targets {
		e.index.sessions[number].queue.set(newHold(m.ID.Seq, true))
		e.set(appendHoldKey(e.key[:0], number, m.ID.Seq), value)
	}
}

// enqueue notes that m waits for s, and reports whether that needs a new hold. A
// message that is in flight may come again, for another member of a shared group
// has gone: then the flight gets a copy and the queue its hold.
func (e *Engine) enqueue(s *session, number uint64, m *message.Message) bool {
	seq := m.ID.Seq
	for id, f := range s.flights {
		if f.hold == 0 || f.seq != seq {
			continue
		}
		s.queue.add(f.hold)
		f.hold = 0
		s.flights[id] = f
		e.set(appendIDKey(e.key[:0], number, kindFlight, id), appendFlight(e.value[:0], &f, m))
		return false
	}
	return s.queue.add(newHold(seq, false))
}

// retain keeps m under its topic, or clears the topic
// [v3.1.1 MQTT-3.3.1-5 -10, v5 MQTT-3.3.1-5 -6].
func (e *Engine) retain(m *message.Message) {
	key := appendRetainedKey(e.key[:0], m.Topic)
	if len(m.Payload) == 0 {
		e.delete(key)
		return
	}
	e.expires(m.Expiry)
	e.set(key, appendMessage(e.value[:0], m, false))
	if e.opts.Kept != nil {
		e.kept = append(e.kept, m)
	}
}

// putInflight notes that a message was sent, or how far it has come. What waited
// in the queue stays where it lies. What did not, such as a retained message
// that was looked up, or one the sweeper took, comes with its value.
func (e *Engine) putInflight(s *session, op *store.Op) {
	old, had := s.flights[op.ID]
	f := flight{seq: op.Message.ID.Seq, order: old.order, phase: op.Phase, qos: op.QoS, retain: op.Retain}
	f.hold = s.queue.remove(f.seq)
	if !had {
		s.order++
		f.order = s.order
	}
	if f.hold == 0 && old.seq == f.seq {
		f.hold = old.hold
	} else {
		e.drop(op.Session, old.hold)
	}
	own := op.Message
	if f.hold != 0 {
		own = nil
	}
	if s.flights == nil {
		s.flights = map[packet.ID]flight{}
	}
	s.flights[op.ID] = f
	e.set(appendIDKey(e.key[:0], op.Session, kindFlight, op.ID), appendFlight(e.value[:0], &f, own))
}

// drop lets go of a hold; of a shared message, the last holder takes it along.
func (e *Engine) drop(number uint64, h hold) {
	if h == 0 {
		return
	}
	e.delete(appendHoldKey(e.key[:0], number, h.seq()))
	if h.shared() && e.release(h.seq()) {
		e.delete(appendMessageKey(e.key[:0], h.seq()))
	}
}

// release reports whether nobody holds the shared message any more.
func (e *Engine) release(seq uint64) bool {
	if n := e.index.shared[seq]; n > 1 {
		e.index.shared[seq] = n - 1
		return false
	}
	delete(e.index.shared, seq)
	return true
}

// endSession erases all a session has in one deletion. Shared messages that
// nobody else holds go with it up to a bound, the others one slice at a time
// with the sweeper, or, after a crash, with its search for what nobody holds.
func (e *Engine) endSession(number uint64) {
	s := e.index.sessions[number]
	if s == nil {
		return
	}
	delete(e.index.sessions, number)
	e.key = appendSessionKey(e.key[:0], number, 0)
	e.value = appendSessionEnd(e.value[:0], number)
	e.must(e.batch.DeleteRange(e.key, e.value, nil))
	left := sliceKeys
	let := func(h hold) {
		switch {
		case !h.shared() || !e.release(h.seq()):
		case left > 0:
			left--
			e.delete(appendMessageKey(e.key[:0], h.seq()))
		default:
			e.rubbish = append(e.rubbish, h.seq())
		}
	}
	for _, h := range s.queue.all() {
		let(h)
	}
	for _, f := range s.flights {
		let(f.hold)
	}
}
