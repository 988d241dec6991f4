// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"emqttd/actors/cast"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
)

// lookup is a SUBSCRIBE whose retained messages are owed to the client: of the
// filters that are not through yet, those up to the position at which they became
// effective (Start). Later ones arrive live. It is immutable: each step makes a
// new one.
//
// The store knows of a durable session's, so that it outlives the process: what is
// owed is written with the subscription, how far it has come behind what it has
// delivered, and for QoS 2 in the same commit: after a kill the client may be done
// with a message before its turn comes in the lookup. So none is missing, and what
// comes twice is of QoS 0 or 1.
type lookup struct {
	subs   []*cast.Subscription
	kept   []*store.Filter // of subs, as the store has them; nil: it has not
	cursor topic.Cursor    // in the first of them
	token  uint64          // of the SUBSCRIBE: what came live before it is owed again
	again  bool            // its next messages may have been sent before the broker was killed
}

// past is what is left behind the first n filters, nil when that is nothing.
func (l *lookup) past(n int) *lookup {
	switch {
	case n == 0:
		return l
	case n >= len(l.subs):
		return nil
	}
	return &lookup{subs: l.subs[n:], kept: l.kept[min(n, len(l.kept)):], token: l.token, again: l.again}
}

// record is the first of the subscriptions as the store has it, nil when the store
// does not know that it is owed something.
func (l *lookup) record() *store.Filter {
	if len(l.kept) == 0 || l.kept[0].Owed == nil {
		return nil
	}
	return l.kept[0]
}

// owedIn notes in the operations of a SUBSCRIBE what is owed, now that the
// positions are known. Most filters have nothing retained, now or, up to that
// position, later.
func (st *stage) owedIn(l *lookup, ops []store.Op) (*lookup, []store.Op) {
	with := *l
	with.kept, ops = slices.Clone(l.kept), slices.Clone(ops)
	n := 0 // of the records, which are in the order of the operations
	for i := range ops {
		if n == len(l.kept) || ops[i].Filter != l.kept[n] {
			continue
		}
		if match, _ := l.subs[n].Share(); st.pub.Retained.Reaches(match) {
			f := *l.kept[n]
			f.Owed = &store.Owed{Start: l.subs[n].Start.Load()}
			ops[i].Filter, with.kept[n] = &f, &f
		}
		n++
	}
	return &with, ops
}

// come writes how far the first subscription of a lookup has come, nil: to its
// end. Behind what was delivered before: see lookup.
func (st *stage) come(l *lookup, to *store.Owed) {
	if op, ok := st.progress(l, to); ok {
		st.lazily(op)
	}
}

// progress is the operation that writes how far the first subscription of a lookup
// has come; false: the store does not know that it is owed something.
func (st *stage) progress(l *lookup, to *store.Owed) (store.Op, bool) {
	f := l.record()
	if f == nil || !st.stands(l) {
		return store.Op{}, false
	}
	now := *f
	now.Owed = to
	return store.Op{Kind: store.PutFilter, Session: st.number, Filter: &now}, true
}

// behind is what is owed behind a message that the lookup has found.
func (l *lookup) behind(m *message.Message) *store.Owed {
	return &store.Owed{Start: l.subs[0].Start.Load(), After: m.Topic}
}

// owe notes that retained messages are owed to the client.
func (st *stage) owe(l *lookup) {
	if l != nil {
		st.lookups.Push(st.x, l)
		st.s.owing = true
	}
}

// lookup delivers retained messages as long as client and window take them, and
// asks for the next batch when the last is through: a slow reader gets all of
// them, and none of them waits in the session's bounded queue but the next.
func (st *stage) lookup() {
	s := st.s
	if !s.owing { // as with nearly every message
		return
	}
	st.walk()
	if s.looking || s.congested || len(s.batch) > 0 || st.inLine() > 0 {
		return
	}
	for s.walking == nil || !st.stands(s.walking) {
		if s.walking != nil {
			s.walking = s.walking.past(1)
			continue
		}
		l, more := st.lookups.Peek(st.x)
		if !more {
			st.forget()
			return
		}
		st.lookups.Pop(st.x)
		s.walking = l
	}
	// A token of its own: after a lost connection the answer to an earlier Match may
	// still be on its way.
	s.looking, s.lookToken = true, st.tag()
	st.x.Cast(st.env.Retainer, &cast.Match{Subs: s.walking.subs, Cursor: s.walking.cursor,
		Max: st.env.Limits().RetainedBatch, Reply: st.cell, Token: s.lookToken})
}

// stands reports whether the subscription whose turn it is is neither gone nor
// replaced.
func (st *stage) stands(l *lookup) bool {
	now, still := st.subs.Get(st.x, l.subs[0].Filter)
	return still && now == l.subs[0]
}

// forget lets go what came live before its lookup began, once none is to come.
func (st *stage) forget() {
	if st.asked.Seen(st.x) > 0 {
		return
	}
	for seq := range st.early.All {
		st.early.Delete(st.x, seq)
	}
	st.s.owing = false
}

// matched takes a batch of retained messages.
func (st *stage) matched(msg *cast.Matched) {
	s := st.s
	if s.walking == nil || !s.looking || s.lookToken != msg.Token {
		return
	}
	for n := range msg.Passed {
		st.come(s.walking.past(n), nil)
	}
	at := s.walking.past(msg.Passed)
	s.looking, s.batch, s.batchOf, s.batchLast = false, msg.Messages, at, msg.Done
	if msg.Done {
		s.walking = at.past(1)
		return
	}
	next := *at
	next.cursor = msg.Cursor
	s.walking = &next
}

// walk delivers what the batch has, with the retain flag set
// [v3.1.1 MQTT-3.3.1-8, v5 MQTT-3.3.1-8].
func (st *stage) walk() {
	s, l := st.s, st.s.batchOf
	if l == nil {
		return
	}
	if !st.stands(l) {
		s.batch = nil
	}
	var last *message.Message
	for len(s.batch) > 0 && !s.congested && st.inLine() == 0 {
		m := s.batch[0]
		s.batch, last = s.batch[1:], m
		if st.owed(m, l) {
			sub := l.subs[0]
			qos := min(m.QoS, sub.QoS)
			st.x.Blame(m)
			st.offer(item{msg: m, qos: qos, retain: true, again: l.again && qos == packet.QoS1, ids: sub.IDs, known: isFound})
		}
	}
	st.x.Blame(nil)
	over := len(s.batch) == 0
	if over {
		s.batch, s.batchOf = nil, nil
	}
	switch {
	case over && s.batchLast:
		st.come(l, nil)
	case last != nil:
		st.come(l, l.behind(last))
	}
}

// owed reports whether a retained message that was found is the lookup's to
// deliver.
func (st *stage) owed(m *message.Message, l *lookup) bool {
	sub := l.subs[0]
	if m.ID.Seq > sub.Start.Load() || sub.NoLocal && m.From == st.clientID {
		return false // published after the subscription: it came live
	}
	at, live := st.early.Get(st.x, m.ID.Seq)
	return !live || at < l.token
}
