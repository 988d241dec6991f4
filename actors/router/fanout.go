// SPDX-License-Identifier: Apache-2.0

package router

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"emqttd/actors/cast"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// Fanout is a match list with the run of messages that goes to it: one effect
// (cell.Fanout), which messages to the same topic can join before it is
// performed (cell.Joinable).
type Fanout struct {
	table    *Table
	strategy string
	steps    int
	from     string
	topic    string
	// Fresh: match again if the table has changed since, when the effect is
	// performed. A retained message is put into the retained index first and
	// matched after, so that a subscription that became effective in between gets
	// it once.
	not      *cell.Cell
	fresh    bool
	version  uint64
	found    []*entry // while it matches
	subs     []*cast.Subscription
	refs     []*cast.ShareRef // as long as subs when there is one
	deal     []*group         // groups that get the messages one by one, see dealOut
	lots     []lot            // what dealOut has made of them
	lotOf    []int32          // by member of the group that is dealt to: one more than its lot's place
	dealt    bool
	msgs     []*message.Message
	loan     *message.Loan // of messages among them; nil: none are lent
	last     int           // messages of the run that this memory was used for before
	qos0     bool          // the messages are QoS 0
	choke    bool          // leave out who is choked, see leaveOut
	only0    bool          // some were left out for whom it matters that the messages are QoS 0
	LeftOut  int           // targets that have no room for what they would get: it is dropped here
	Durable  bool          // a session that outlives its connection is among the targets
	Complete bool          // the match came to its end within its steps
}

var fanouts = sync.Pool{New: func() any { return new(Fanout) }}

// Options of a match.
type Options struct {
	From     string // client id of the publisher
	Strategy string // of shared groups
	Steps    int    // nodes visited at most
	Fresh    bool
	Not      *cell.Cell // a session that gets nothing: its routes are about to go
	QoS0     bool       // the message is QoS 0, and
	Choked   bool       // there are sessions that have no room for such
}

// Match finds who gets messages on the topic.
func (t *Table) Match(name string, o Options) *Fanout {
	f := fanouts.Get().(*Fanout)
	f.table, f.topic, f.from, f.strategy, f.steps, f.fresh = t, name, o.From, o.Strategy, o.Steps, o.Fresh
	f.not, f.qos0, f.choke = o.Not, o.QoS0, o.Choked
	f.match()
	return f
}

func (f *Fanout) match() {
	f.subs, f.refs, f.deal, f.Durable = f.subs[:0], f.refs[:0], f.deal[:0], false
	f.version = f.table.version.Load()
	found, complete := f.table.trie.Match(f.found[:0], f.topic, f.steps)
	f.found, f.Complete = found, complete
	for _, e := range found {
		e.each(f.add)
	}
	if len(found) > 1 && len(f.subs) > 1 {
		f.merge()
	}
	if f.choke {
		f.leaveOut()
	}
	for _, e := range found {
		if groups := e.groups.Load(); groups != nil {
			f.share(*groups)
		}
	}
	clear(found)
}

func (f *Fanout) add(s *cast.Subscription) {
	if s.NoLocal && s.ClientID == f.from {
		return // [v5 MQTT-3.8.3-3]
	}
	if f.not != nil && s.Session == f.not {
		return
	}
	f.subs = append(f.subs, s)
	if s.Durable {
		f.Durable = true
	}
}

// leaveOut takes from the targets those that are choked, if all that they get of
// the run is QoS 0.
func (f *Fanout) leaveOut() {
	kept := f.subs[:0]
	f.LeftOut, f.only0 = 0, false
	for _, s := range f.subs {
		if s.Choked.Load() > 0 && (f.qos0 || s.QoS == packet.QoS0) {
			f.LeftOut++
			f.only0 = f.only0 || s.QoS > packet.QoS0
			continue
		}
		kept = append(kept, s)
	}
	clear(f.subs[len(kept):])
	f.subs = kept
}

// share chooses one member of each group, now if one of them is durable: then it
// is written with the message, and no other message can join. Else the choice is
// made for each message of the run, when the effect is performed.
func (f *Fanout) share(groups []*group) {
	for _, g := range groups {
		if !g.durable {
			if g.alive(f.not) {
				f.deal = append(f.deal, g)
			}
			continue
		}
		s := g.choose(f.strategy, f.from, f.topic, f.not)
		if s == nil {
			continue
		}
		for len(f.refs) < len(f.subs) {
			f.refs = append(f.refs, nil)
		}
		f.subs = append(f.subs, s)
		f.refs = append(f.refs, g.ref)
		if s.Durable {
			f.Durable = true
		}
	}
}

// lot is what one member of a group gets of a run.
type lot struct {
	member int // its place in the group
	sub    *cast.Subscription
	ref    *cast.ShareRef
	msgs   []*message.Message
}

// dealOut gives each message to one member of each group, as if they had come one
// by one: what was dealt counts as under way to its member.
func (f *Fanout) dealOut() {
	for _, g := range f.deal {
		if len(f.lotOf) < len(g.members) {
			f.lotOf = make([]int32, len(g.members))
		}
		first := len(f.lots)
		for _, m := range f.msgs {
			i := max(0, g.pick(f.strategy, f.from, f.topic, f.not, f.dealtTo)) // none left: the first one's end counts the drop
			if f.lotOf[i] == 0 {
				f.lots = append(f.lots, lot{member: i, sub: g.members[i], ref: g.ref})
				f.lotOf[i] = int32(len(f.lots))
			}
			l := &f.lots[f.lotOf[i]-1]
			l.msgs = append(l.msgs, m)
		}
		for _, l := range f.lots[first:] {
			f.lotOf[l.member] = 0
		}
	}
}

// dealtTo is how many messages of the run member i has.
func (f *Fanout) dealtTo(i int) int64 {
	if f.lotOf[i] == 0 {
		return 0
	}
	return int64(len(f.lots[f.lotOf[i]-1].msgs))
}

// merge makes one subscription of several of the same session: the highest QoS,
// all identifiers [v3.1.1 MQTT-3.3.5-1, v5 MQTT-3.3.4-2 -4].
func (f *Fanout) merge() {
	slices.SortStableFunc(f.subs, func(a, b *cast.Subscription) int {
		switch {
		case a.Session == b.Session:
			return cmp.Compare(a.Life, b.Life)
		case a.Session.Serial() < b.Session.Serial():
			return -1
		}
		return 1
	})
	out := f.subs[:0]
	for i := 0; i < len(f.subs); {
		j := i + 1
		for j < len(f.subs) && f.subs[j].Session == f.subs[i].Session && f.subs[j].Life == f.subs[i].Life {
			j++
		}
		if j == i+1 {
			out = append(out, f.subs[i])
		} else {
			out = append(out, merged(f.subs[i:j]))
		}
		i = j
	}
	clear(f.subs[len(out):])
	f.subs = out
}

func merged(subs []*cast.Subscription) *cast.Subscription {
	first := subs[0]
	m := &cast.Subscription{Subscriber: first.Subscriber, Filter: first.Filter, Durable: first.Durable, Lookup: true, Life: first.Life}
	start := uint64(math.MaxUint64)
	var ids cast.SubIDs
	for _, s := range subs {
		m.QoS = max(m.QoS, s.QoS)
		m.AsPub = m.AsPub || s.AsPub
		m.Lookup = m.Lookup && s.Lookup // live unless every one looks it up
		start = min(start, s.Start.Load())
		ids = append(ids, s.IDs.All()...)
	}
	m.Start.Store(start)
	m.IDs = ids.Shared()
	return m
}

// Same reports whether a message of a QoS from the same publisher to topic can
// join.
func (f *Fanout) Same(name string, qos packet.QoS) bool {
	return (qos == packet.QoS0 || !f.only0) && !f.fresh && f.topic == name && len(f.refs) == 0 && f.version == f.table.version.Load()
}

// Topic is the topic of the run.
func (f *Fanout) Topic() string { return f.topic }

// Targets is the number of subscriptions found.
func (f *Fanout) Targets() int { return len(f.subs) + len(f.deal) + f.LeftOut }

// First is called by the decision that made the match, with the message, behind Lend.
func (f *Fanout) First(m *message.Message) *Fanout {
	// The last run is the best guess at this one. The slice is the receivers', so it
	// cannot be used again, but with the messages.
	n := min(max(f.last, 2), 512)
	if f.loan == nil {
		f.msgs = append(make([]*message.Message, 0, n), m)
	} else {
		f.msgs = append(f.loan.List(n), m)
	}
	return f
}

// Lend says that messages which are added may be of a loan, nil for none. It reports
// false if there are some of another already.
func (f *Fanout) Lend(loan *message.Loan) bool {
	if f.loan == nil && loan != nil {
		loan.Hold()
		f.loan = loan
	}
	return f.loan == loan || loan == nil
}

// Add puts a message behind the run, for the decision whose own the fan-out is
// (cell.Context.OwnFan).
func (f *Fanout) Add(m *message.Message) { f.msgs = append(f.msgs, m) }

// Join implements cell.Joinable.
func (f *Fanout) Join(m any) { f.Add(m.(*message.Message)) }

// Len implements cell.Fanout.
func (f *Fanout) Len() int {
	// Once: when a crash between two pushes makes the effect go on later, its
	// cursor stands in the list that it began with.
	if f.fresh && f.version != f.table.version.Load() {
		f.match()
	}
	f.fresh = false
	if !f.dealt {
		f.dealt = true
		f.dealOut()
	}
	return len(f.subs) + len(f.lots)
}

// At implements cell.Fanout.
func (f *Fanout) At(i int) (*cell.Cell, cell.Message) {
	d := cast.NewDispatch()
	if f.loan != nil {
		f.loan.Hold()
		d.Loan = f.loan
	}
	if i >= len(f.subs) {
		l := &f.lots[i-len(f.subs)]
		d.Messages, d.Sub, d.Share = l.msgs, l.sub, l.ref
		return d.Sub.Session, d
	}
	d.Messages, d.Sub, d.Share = f.msgs, f.subs[i], nil
	if i < len(f.refs) {
		d.Share = f.refs[i]
	}
	return d.Sub.Session, d
}

// Done implements cell.Fanout.
func (f *Fanout) Done() {
	if f.loan != nil {
		f.loan.Drop()
	}
	clear(f.subs)
	clear(f.refs)
	clear(f.deal)
	clear(f.lots)
	*f = Fanout{found: f.found[:0], subs: f.subs[:0], refs: f.refs[:0], deal: f.deal[:0], lots: f.lots[:0], lotOf: f.lotOf, last: len(f.msgs)}
	fanouts.Put(f)
}

// DurableSessions appends the numbers of the sessions that must find a message
// of the given QoS after a restart.
func (f *Fanout) DurableSessions(dst []uint64, qos packet.QoS) []uint64 {
	if !f.Durable || qos == packet.QoS0 {
		return dst
	}
	for i, s := range f.subs {
		shared := i < len(f.refs) && f.refs[i] != nil
		// The others are merged by session already, but for one that was replaced just now.
		twice := shared && slices.Contains(dst, s.Number) || len(dst) > 0 && dst[len(dst)-1] == s.Number
		if s.Durable && s.QoS > packet.QoS0 && !twice {
			dst = append(dst, s.Number)
		}
	}
	return dst
}

// Discard takes back a fan-out that was not used.
func (f *Fanout) Discard() { f.Done() }
