// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"slices"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/actors/trace"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

// A session that the store keeps has no more of its queue in memory than
// Limits.QueueWindow messages, and of what arrives while its client is away
// nothing: what is behind them, the backlog, lies in the store only, and here are
// the positions, 16 bytes for each. When the client has taken half of the window
// the next ones are fetched, in their order. QoS 0, and what the store does not have
// under its position, waits in memory among them, and so does what comes by a shared
// group: the store has a message once, whichever of its subscriptions it came by. A
// session that is a member of one has all of its queue in memory, but for a backlog
// that it had before.
//
// 2026-11: a million waiting messages cost 600 MB and 5 s of a start when they were
// read with their sessions.

// backlog is the positions, in the order of arrival, and the messages of those that
// have none.
type backlog struct {
	places cell.Queue[place]
	aside  cell.Queue[item] // without a message: it was passed on
	noted  cell.Queue[noted]
}

// noted is what a trace is told of a message whose place it is when that is dropped:
// nothing is kept of one that nobody traced when it came.
type noted struct {
	seq   uint64
	event trace.Event
}

// place is a message in the backlog.
type place struct {
	seq    uint64     // 0: it is aside
	size   uint32     // message.Message.Size
	qos    packet.QoS // as it is delivered; 0: as the subscriptions say
	retain bool       // as it is delivered; false: as the subscriptions say
	again  bool       // see item
}

// What is fetched at a time is bounded, since it is taken up in one decision; one
// message may exceed the bytes.
const (
	maxFetch   = 1024
	fetchBytes = 1 << 20
)

// restoreBacklog makes a backlog of what waits, nil of nothing.
func restoreBacklog(in []store.Waiting, again bool) *backlog {
	if len(in) == 0 {
		return nil
	}
	b := new(backlog)
	for _, w := range in {
		b.places.Load(place{seq: w.Seq, size: w.Size, retain: w.Found, again: again})
	}
	return b
}

// size is how many there are as committed.
func (b *backlog) size() int {
	if b == nil {
		return 0
	}
	return b.places.Size()
}

// left is how many messages the backlog has.
func (st *stage) left() int {
	if b := st.s.backlog; b != nil {
		return b.places.Len(st.x)
	}
	return 0
}

// inLine is how many messages wait, in memory and in the store.
func (st *stage) inLine() int { return st.queue.Len(st.x) + st.left() }

// stays reports whether a message waits in the store only.
func (st *stage) stays(it *item, lim *cast.Limits) bool {
	if it.known != isStored || st.pub.Reader == nil || !st.durable() {
		return false
	}
	if st.left() > 0 {
		return true // it is behind them
	}
	return st.s.groups == 0 && (st.s.conn == nil || st.queue.Len(st.x) >= lim.QueueWindow)
}

// shelve leaves a message to the store.
func (st *stage) shelve(it *item) {
	st.append(it, place{seq: it.msg.ID.Seq, qos: it.qos, retain: it.retain, again: it.again})
	if st.env.Trace.On() && st.traced(it.msg) {
		st.s.backlog.noted.Push(st.x, noted{seq: it.msg.ID.Seq, event: eventOf(it.msg)})
	}
}

// setAside keeps a message in memory that is behind some in the store.
func (st *stage) setAside(it *item) {
	st.append(it, place{})
	st.s.backlog.aside.Push(st.x, *it)
	st.busy(*it, 1)
}

func (st *stage) append(it *item, p place) {
	st.traceItem(trace.Queued, st.waits(), it, 0)
	if st.s.backlog == nil {
		st.s.backlog = new(backlog)
	}
	p.size = uint32(it.msg.Size())
	st.s.backlog.places.Push(st.x, p)
	st.charge(int(p.size))
}

// unshelve takes the oldest out of the backlog, a place with what was noted of it, or
// the item that was aside, if it still is; the backlog is not empty.
func (st *stage) unshelve() (p place, of trace.Event, it item) {
	b := st.s.backlog
	p, _ = b.places.Peek(st.x)
	b.places.Pop(st.x)
	if p.seq != 0 {
		st.charge(-int(p.size))
		if n, ok := b.noted.Peek(st.x); ok && n.seq == p.seq {
			b.noted.Pop(st.x)
			of = n.event
		}
	} else {
		it = st.popAside(b)
	}
	if b.places.Len(st.x) == 0 {
		st.s.backlog = nil
	}
	return p, of, it
}

func (st *stage) popAside(b *backlog) item {
	it, _ := b.aside.Peek(st.x)
	b.aside.Pop(st.x)
	if it.msg != nil {
		st.charge(-it.msg.Size())
		st.busy(it, -1)
	}
	return it
}

// shedBacklog drops the oldest message of the backlog.
func (st *stage) shedBacklog(why metrics.Drop) {
	if st.s.backlog == nil {
		return
	}
	p, of, it := st.unshelve()
	switch {
	case p.seq != 0:
		st.gone(p, of, why)
		st.lazily(store.Op{Kind: store.Discard, Message: &message.Message{ID: message.ID{Seq: p.seq}}})
	case it.msg != nil:
		st.refuse(it, why)
	}
}

// gone counts a message of the backlog that nobody gets; what it was about is known
// if it was traced when it came.
func (st *stage) gone(p place, of trace.Event, why metrics.Drop) {
	of.Step, of.Packet, of.QoS, of.Reason = trace.Dropped, packet.PUBLISH.String(), int(p.qos), why.String()
	st.trace(of)
	st.drop(why, 1)
}

// passAside passes on what waits aside and may go to other members of its group.
func (st *stage) passAside(o *owning) {
	b := st.s.backlog
	if b == nil {
		return
	}
	for range b.aside.Len(st.x) {
		if it := st.popAside(b); it.msg == nil || o.mayGo(&it) {
			if it.msg != nil {
				st.pass(it, passing{number: st.recorded(it.msg, it.qos)})
			}
			b.aside.Push(st.x, item{})
		} else {
			b.aside.Push(st.x, it)
			st.charge(it.msg.Size())
			st.busy(it, 1)
		}
	}
}

// dropBacklog forgets the backlog: the session ends, and the store with all it has.
func (st *stage) dropBacklog() {
	if b := st.s.backlog; b != nil {
		aside := b.aside.Len(st.x)
		st.drop(metrics.DropSessionEnded, b.places.Len(st.x)-aside)
		for range aside {
			if it := st.popAside(b); it.msg != nil {
				st.pass(it, passing{hold: st.s.kept})
			}
		}
		st.charge(-st.s.queued) // the rest of the queue has gone
	}
	st.s.backlog, st.s.fetching, st.s.sure = nil, 0, 0
}

// refill asks for what is next of the backlog when half of the window is free. Each
// message that comes is matched with the subscriptions, whose number bounds how
// many are asked for.
func (st *stage) refill() {
	s := st.s
	if s.backlog == nil || s.fetching != 0 || s.congested {
		return
	}
	st.takeAside()
	window := max(1, st.env.Limits().QueueWindow)
	room := window - st.queue.Len(st.x)
	if s.backlog == nil || 2*room < window {
		return
	}
	n := min(room, st.left(), maxFetch)
	f := &store.Fetch{Session: st.self.Number, Positions: make([]uint64, 0, n), Reply: st.Cell()}
	for bytes := 0; len(f.Positions) < n && bytes < fetchBytes; {
		p, _ := s.backlog.places.At(st.x, len(f.Positions))
		if p.seq == 0 {
			break
		}
		f.Positions = append(f.Positions, p.seq)
		bytes += int(p.size)
	}
	s.fetching = st.tag()
	f.Token = s.fetching
	st.x.Submit(st.pub.Reader, f)
}

// fetched takes the next messages of the backlog into the queue. What the store
// does not have yet it has behind a commit; what it does not have then has expired.
func (st *stage) fetched(msg *store.Fetched) {
	s := st.s
	if msg.Token != s.fetching || msg.Token == 0 {
		return
	}
	failed := msg.Err != nil && !errors.Is(msg.Err, store.ErrBusy)
	if !failed { // else the next connection asks again
		s.fetching = 0
	}
	switch {
	case !st.live():
	case !failed && msg.Err != nil:
		st.fetchLater()
	case failed:
		st.log.Error().Err(msg.Err).Str("client_id", st.self.ClientID).Msg("what waits cannot be read from the store")
		st.kick(packet.ServerUnavailable, metrics.CloseInternal)
	default:
		st.takeUp(msg, len(msg.Positions))
	}
	st.x.Blame(nil)
}

// takeUp takes the first n that were fetched; some may have been dropped since they
// were asked for.
func (st *stage) takeUp(msg *store.Fetched, n int) {
	for i, m := range msg.Messages[:n] {
		p := st.nextPlace()
		if p.seq != msg.Positions[i] {
			continue
		}
		if m == nil && p.seq > st.s.sure {
			st.fetchLater()
			return
		}
		_, of, _ := st.unshelve()
		if m == nil {
			st.gone(p, of, metrics.DropExpired)
			continue
		}
		st.x.Blame(m)
		st.takeOne(p, m)
	}
}

// takeAside takes what is next and needs no fetching; it reports whether there was
// any.
func (st *stage) takeAside() (some bool) {
	for st.s.backlog != nil {
		if p, _ := st.s.backlog.places.Peek(st.x); p.seq != 0 {
			break
		}
		if _, _, it := st.unshelve(); it.msg != nil {
			st.line(it)
			some = true
		}
	}
	return some
}

// nextPlace is the next place that is fetched, none when there is none.
func (st *stage) nextPlace() (p place) {
	st.takeAside()
	if st.s.backlog != nil {
		p, _ = st.s.backlog.places.Peek(st.x)
	}
	return p
}

// takeOne puts a message of the backlog behind the queue. One that no subscription
// has any more is dropped [v3.1.1 3.10.4, v5 3.10.4].
func (st *stage) takeOne(p place, m *message.Message) {
	it, ok := itemOf(st.matching(m), m)
	it.share = nil
	if p.qos > packet.QoS0 {
		it.qos = p.qos
	}
	if !ok {
		it.qos = m.QoS
		st.refuse(it, metrics.DropUnsubscribed)
		return
	}
	if it.qos == packet.QoS0 { // the subscription has become one for QoS 0
		st.lazily(store.Op{Kind: store.Discard, Message: m})
	}
	it.retain = it.retain || p.retain
	it.again = p.again && it.qos == packet.QoS1
	st.line(it)
}

// matching are the session's subscriptions that match a message, in an order that is
// the same each time. The routing table finds them, since a session may have very many;
// one whose route is not effective yet is none of them.
func (st *stage) matching(m *message.Message) (subs []*cast.Subscription) {
	filters, complete := st.pub.Table.MatchFilters(m.Topic, st.env.Limits().MatchSteps)
	if !complete { // the filters of all sessions branch too much
		filters = st.filtersOf(m.Topic)
	}
	slices.Sort(filters)
	for _, filter := range filters {
		if sub, still := st.subs.Get(st.x, filter); still {
			subs = append(subs, sub)
		}
	}
	return subs
}

// filtersOf are the filters of the session that match a topic.
func (st *stage) filtersOf(name string) (filters []string) {
	for filter, sub := range st.subs.All {
		if match, _ := sub.Share(); topic.Match(match, name) {
			filters = append(filters, filter)
		}
	}
	return filters
}

// fetchLater fetches again behind a commit that waits for the disk, whatever the level
// of the client, and so when what was accepted before can be read.
func (st *stage) fetchLater() {
	s := st.s
	s.sure, s.fetching = st.pub.Log.Position(), st.tag()
	st.x.Submit(st.pub.Log, &store.Commit{Reply: st.Cell(), Tag: s.fetching})
	st.follow(s.fetching, committing{kind: thenFetch}, false)
}

// reached goes on when the commit of fetchLater is durable.
func (st *stage) reached(tag uint64) {
	if st.s.fetching == tag {
		st.s.fetching = 0
	}
}

// poisonFetched buries the message of a fetch that crashed the session, or all of
// them when it is not known which.
func (st *stage) poisonFetched(msg *store.Fetched, culprit *message.Message, crash *cell.Crash) {
	i := -1
	if culprit != nil {
		if i = slices.Index(msg.Messages, culprit); i < 0 && st.unearth(culprit, crash) {
			st.x.Return(msg) // it was not the message: once more without the culprit
			return
		}
	}
	if msg.Token != st.s.fetching {
		return
	}
	st.s.fetching = 0
	end := len(msg.Messages)
	if i >= 0 {
		st.takeUp(msg, i)
		st.x.Blame(nil)
		end = i + 1
	}
	for k := max(i, 0); k < end && st.s.fetching == 0; k++ {
		if p := st.nextPlace(); p.seq == msg.Positions[k] && msg.Messages[k] != nil {
			st.unshelve()
			st.bury(item{msg: msg.Messages[k], qos: max(p.qos, packet.QoS1), retain: p.retain}, crash)
		}
	}
	st.x.Return(&store.Fetched{}) // to go on with the rest
}
