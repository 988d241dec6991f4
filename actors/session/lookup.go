// SPDX-License-Identifier: Apache-2.0

package session

import (
	"emqttd/actors/cast"
	"emqttd/protocol/message"
	"emqttd/protocol/topic"
)

// lookup is a SUBSCRIBE whose retained messages are owed to the client: of the
// filters that are not through yet, those up to the position at which they became
// effective (Start). Later ones arrive live. It is immutable: each step makes a
// new one.
type lookup struct {
	subs   []*cast.Subscription
	cursor topic.Cursor // in the first of them
	token  uint64       // of the SUBSCRIBE: what came live before it is owed again
}

// past is what is left behind the first n filters, nil when that is nothing.
func (l *lookup) past(n int) *lookup {
	switch {
	case n == 0:
		return l
	case n >= len(l.subs):
		return nil
	}
	return &lookup{subs: l.subs[n:], token: l.token}
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
	if s.looking || s.congested || len(s.batch) > 0 || st.queue.Len(st.x) > 0 {
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
	at := s.walking.past(msg.Passed)
	s.looking, s.batch, s.batchOf = false, msg.Messages, at
	if msg.Done {
		s.walking = at.past(1)
		return
	}
	s.walking = &lookup{subs: at.subs, cursor: msg.Cursor, token: at.token}
}

// walk delivers what the batch has, with the retain flag set
// [v3.1.1 MQTT-3.3.1-8, v5 MQTT-3.3.1-8].
func (st *stage) walk() {
	s, l := st.s, st.s.batchOf
	if len(s.batch) > 0 && !st.stands(l) {
		s.batch = nil
	}
	for len(s.batch) > 0 && !s.congested && st.queue.Len(st.x) == 0 {
		m := s.batch[0]
		s.batch = s.batch[1:]
		if st.owed(m, l) {
			sub := l.subs[0]
			st.x.Blame(m)
			st.offer(item{msg: m, qos: min(m.QoS, sub.QoS), retain: true, subIDs: sub.SubIDs(), found: true})
		}
	}
	st.x.Blame(nil)
	if len(s.batch) == 0 {
		s.batch, s.batchOf = nil, nil
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
