// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"

	"emqttd/actors/cast"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
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
	return store.Op{Kind: store.PutFilter, Session: st.self.Number, Filter: &now}, true
}

// behind is what is owed behind a message that the lookup has found.
func (l *lookup) behind(m *message.Message) *store.Owed {
	return &store.Owed{Start: l.subs[0].Start.Load(), After: m.Topic}
}

// search is what a session remembers while retained messages are owed to it.
type search struct {
	lookups cell.Queue[*lookup]
	early   cell.Map[uint64, uint64] // positions that came live before their lookup's bound was known, and the token of then
	round   round
}

// round is one Match and its answer.
type round struct {
	walking *lookup            // the filters whose retained messages are asked for
	batch   []*message.Message // of them, those that were found and not delivered yet
	of      *lookup            // its first filter is the one that batch matches
	token   uint64             // of the Match that is under way
	looking bool               // one is
	last    bool               // there are no more than batch of of's first filter
}

var roundSlot = cell.NewSlot[round]()

// searching is the session's search, made if it has none. An empty one says no more
// than none: it is no part of the decision.
func (s *Session) searching() *search {
	if s.search == nil {
		s.search = new(search)
	}
	return s.search
}

// round is the session's round to be read, editRound to be written to.
func (st *stage) round() *round {
	if st.search == nil {
		return new(round)
	}
	return roundSlot.See(st.x, &st.search.round)
}

func (st *stage) editRound() *round { return roundSlot.Edit(st.x, &st.searching().round) }

// unlook no longer waits for the answer to a Match.
func (st *stage) unlook() {
	if st.search != nil {
		st.editRound().looking = false
	}
}

// dropSearch is the end of all that is owed.
func (st *stage) dropSearch() {
	if st.search == nil {
		return
	}
	for range st.search.lookups.Len(st.x) {
		st.search.lookups.Pop(st.x)
	}
	r := st.editRound()
	r.walking, r.batch, r.of = nil, nil, nil
}

// owe notes that retained messages are owed to the client.
func (st *stage) owe(l *lookup) {
	if l != nil {
		st.searching().lookups.Push(st.x, l)
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
	r := st.editRound()
	st.walk(r)
	if r.looking || s.congested || len(r.batch) > 0 || st.inLine() > 0 {
		return
	}
	for r.walking == nil || !st.stands(r.walking) {
		if r.walking != nil {
			r.walking = r.walking.past(1)
			continue
		}
		l, more := st.search.lookups.Peek(st.x)
		if !more {
			st.forget()
			return
		}
		st.search.lookups.Pop(st.x)
		r.walking = l
	}
	// A token of its own: after a lost connection the answer to an earlier Match may
	// still be on its way.
	r.looking, r.token = true, st.tag()
	st.x.Cast(st.env.Retainer, &cast.Match{Subs: r.walking.subs, Cursor: r.walking.cursor,
		Max: st.env.Limits().RetainedBatch, Reply: st.Cell(), Token: r.token})
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
	for seq := range st.search.early.All {
		st.search.early.Delete(st.x, seq)
	}
	st.s.owing = false
}

// matched takes a batch of retained messages.
func (st *stage) matched(msg *cast.Matched) {
	if r := st.round(); r.walking == nil || !r.looking || r.token != msg.Token {
		return
	}
	r := st.editRound()
	for n := range msg.Passed {
		st.come(r.walking.past(n), nil)
	}
	at := r.walking.past(msg.Passed)
	r.looking, r.batch, r.of, r.last = false, msg.Messages, at, msg.Done
	if msg.Done {
		r.walking = at.past(1)
		return
	}
	next := *at
	next.cursor = msg.Cursor
	r.walking = &next
}

// walk delivers what the batch has, with the retain flag set
// [v3.1.1 MQTT-3.3.1-8, v5 MQTT-3.3.1-8].
func (st *stage) walk(r *round) {
	l := r.of
	if l == nil {
		return
	}
	if !st.stands(l) {
		r.batch = nil
	}
	var last *message.Message
	for len(r.batch) > 0 && !st.s.congested && st.inLine() == 0 {
		m := r.batch[0]
		r.batch, last = r.batch[1:], m
		if st.owed(m, l) {
			sub := l.subs[0]
			qos := min(m.QoS, sub.QoS)
			st.x.Blame(m)
			st.offer(item{msg: m, qos: qos, retain: true, again: l.again && qos == packet.QoS1, ids: sub.IDs, known: isFound})
		}
	}
	st.x.Blame(nil)
	over := len(r.batch) == 0
	if over {
		r.batch, r.of = nil, nil
	}
	switch {
	case over && r.last:
		st.come(l, nil)
	case last != nil:
		st.come(l, l.behind(last))
	}
}

// owed reports whether a retained message that was found is the lookup's to
// deliver.
func (st *stage) owed(m *message.Message, l *lookup) bool {
	sub := l.subs[0]
	if m.ID.Seq > sub.Start.Load() || sub.NoLocal && m.From == st.self.ClientID {
		return false // published after the subscription: it came live
	}
	at, live := st.search.early.Get(st.x, m.ID.Seq)
	return !live || at < l.token
}
