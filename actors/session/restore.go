// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"time"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/group"
	"emqttd/supervisor/mailbox"
)

// Restore makes a session of what the store has of it, when the broker starts:
// its routes are put into the table, and the actor, once started, goes on with
// expiry and will as if the connection had been lost when the broker was (a will
// not before grace is over, so that a restart is no storm of false deaths).
func Restore(kind *cell.Kind, pub *Publisher, in store.Stored, g *group.Group, now int64, grace time.Duration) *Session {
	s := &Session{pub: pub}
	s.init(kind, in.Record.ClientID, in.Session, g)
	r := &in.Record
	s.state = state{epoch: r.Epoch, username: r.Username, version: r.Version, expiry: r.Expiry, present: true, kept: true,
		gone: r.Disconnected}
	if s.state.gone == 0 {
		s.state.gone = now
	}
	if r.Will != nil {
		s.state.will, s.state.willDelay, s.state.grace = willOf(r.Will), r.WillDelay, now+int64(grace)
	}
	var subs []*cast.Subscription // in the order of the store, so that the same data is the same session
	for i := range in.Filters {
		subs = append(subs, s.restoreFilter(&in.Filters[i]))
	}
	s.restoreLookups(&in, subs)
	had := filing{subs: subs}
	for _, x := range in.Inflight {
		s.restoreInflight(&had, x)
	}
	var lost []*message.Message
	for _, m := range in.Queue {
		it, ok := had.item(m)
		if !ok {
			lost = append(lost, m)
			continue
		}
		if _, found := slices.BinarySearch(in.Found, m.ID.Seq); found {
			it.retain = true
		}
		// Whether it was sent is not known if the broker was killed while the client was
		// there: the mapping of QoS 1 is written lazily.
		it.again = it.qos == packet.QoS1 && r.Disconnected == 0
		s.queue.Load(it)
		s.state.queued += it.msg.Size()
		pub.Env.Metrics.QueuedBytes.Add(int64(it.msg.Size()))
	}
	s.state.backlog = restoreBacklog(in.Waiting, r.Disconnected == 0)
	for _, w := range in.Waiting {
		s.state.queued += int(w.Size)
		pub.Env.Metrics.QueuedBytes.Add(int64(w.Size))
	}
	for i := range in.Dead {
		s.state.dead = append(s.state.dead, &in.Dead[i])
		s.state.token = max(s.state.token, in.Dead[i].Serial)
	}
	if n := len(in.Dead); n > 0 {
		pub.Env.Metrics.DeadLetters.Add(int64(n))
		if pub.Dead != nil {
			pub.Dead.set(graveOf(s.self.ClientID, s.state.dead))
		}
	}
	for _, id := range in.Await {
		s.receiving().await.Load(id)
	}
	s.Cell().Push(&restored{lost: lost})
	return s
}

// restored is the first message of a session that was restored. self.
type restored struct {
	mailbox.Link
	lost []*message.Message // that no subscription has any more
}

// restored arms what the session waits for.
func (st *stage) restored(msg *restored) {
	s := st.s
	for _, m := range msg.lost {
		st.refuse(item{msg: m, qos: m.QoS}, metrics.DropUnsubscribed)
	}
	if s.conn != nil {
		return // a client was faster
	}
	if s.will != nil {
		st.x.Set(timerWill, max(s.gone+int64(s.willDelay)*int64(time.Second), s.grace))
	}
	if s.expiry != never {
		st.x.Set(timerExpiry, max(s.gone+int64(s.expiry)*int64(time.Second), s.grace))
	}
}

// willOf is the will that message.FromWill made m of.
func willOf(m *message.Message) *packet.Will {
	return &packet.Will{QoS: m.QoS, Retain: m.Retain, Topic: m.Topic, Payload: m.Payload, Properties: m.Properties}
}

func (s *Session) restoreFilter(f *store.Filter) *cast.Subscription {
	sub := &cast.Subscription{Subscriber: &s.self, Filter: f.Text, QoS: f.QoS, NoLocal: f.NoLocal, AsPub: f.AsPub, Durable: true}
	if f.SubID != 0 {
		sub.IDs = &cast.SubIDs{f.SubID}
	}
	if f.Owed != nil {
		sub.Lookup = true
		sub.Start.Store(f.Owed.Start)
	}
	s.subs.Load(f.Text, sub)
	if _, group := sub.Share(); group != "" {
		s.state.groups++
	}
	s.pub.Table.Accept(&cast.Route{Changes: []cast.Change{{New: sub}}})
	return sub
}

// restoreLookups takes up the lookups that the kill has cut off. What they have
// found and the session still has was found before their place was written. What
// it has otherwise came by a subscription before theirs: they owe it again.
func (s *Session) restoreLookups(in *store.Stored, subs []*cast.Subscription) {
	rest := &lookup{again: in.Record.Disconnected == 0}
	for i := range in.Filters {
		f := &in.Filters[i]
		switch {
		case f.Owed == nil:
		case f.Owed.After != "": // a cursor is of one filter
			s.searching().lookups.Load(&lookup{subs: subs[i : i+1], kept: []*store.Filter{f}, cursor: topic.Behind(f.Owed.After), again: rest.again})
			s.state.owing = true
		default:
			rest.subs, rest.kept = append(rest.subs, subs[i]), append(rest.kept, f)
		}
	}
	if len(rest.subs) > 0 {
		s.searching().lookups.Load(rest)
		s.state.owing = true
	}
	if !s.state.owing {
		return
	}
	early := &s.search.early
	for _, seq := range in.Found {
		early.Load(seq, 0)
	}
	for _, w := range in.Waiting {
		early.Load(w.Seq, 0)
	}
	for i := range in.Inflight {
		if x := &in.Inflight[i]; x.Retain {
			early.Load(x.Message.ID.Seq, 0)
		}
	}
}

func (s *Session) restoreInflight(had *filing, x store.Inflight) {
	it, ok := had.item(x.Message)
	if !ok {
		it = item{msg: x.Message} // its subscription is gone: it is finished all the same
	}
	it.qos, it.retain = x.QoS, x.Retain
	s.state.sent++
	s.inflight.Load(x.ID, flight{item: it, order: s.state.sent, released: x.Phase == store.Released})
	s.state.nextID = max(s.state.nextID, x.ID)
}

// filing is what the messages of a session are restored by. A message that came
// as a member's of a shared group and by a subscription that is gone is there
// twice, but was the group's once: only one may go to another member.
type filing struct {
	subs   []*cast.Subscription
	shared map[uint64]bool // positions of messages that are a group's; nil: none yet
}

func (f *filing) item(m *message.Message) (item, bool) {
	it, ok := itemOf(f.subs, m)
	switch {
	case it.share == nil:
	case f.shared[m.ID.Seq]:
		it.share = nil
	case f.shared == nil:
		f.shared = map[uint64]bool{m.ID.Seq: true}
	default:
		f.shared[m.ID.Seq] = true
	}
	return it, ok
}

// itemOf is how the session's subscriptions have the message; false when none
// has it any more. What a subscription of the session's own explains is taken for
// that one's: if it ended with the session as a member's of a shared group, one
// that has it might be given it again.
func itemOf(subs []*cast.Subscription, m *message.Message) (item, bool) {
	it, found, own := item{msg: m}, false, false
	var ids cast.SubIDs
	for _, sub := range subs {
		match, group := sub.Share()
		if !topic.Match(match, m.Topic) {
			continue
		}
		found = true
		it.qos = max(it.qos, min(m.QoS, sub.QoS))
		it.retain = it.retain || m.Retain && sub.AsPub
		ids = append(ids, sub.IDs.All()...)
		own = own || group == ""
		if group != "" {
			it.share = &cast.ShareRef{Group: group, Filter: match}
		}
	}
	if own {
		it.share = nil
	}
	it.ids = ids.Shared()
	return it, found
}
