// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// write makes the ops durable, as one commit.
func write(t require.TestingT, e store.Engine, ops ...store.Op) {
	require.NoError(t, writeGroup(e, &store.Commit{Ops: ops}))
}

func writeGroup(e store.Engine, group ...*store.Commit) error {
	done := make(chan error, 2)
	e.Write(group, func(err error) { done <- err })
	return <-done
}

// at makes a message at a position, with a payload of its own.
func at(seq uint64, name string) *message.Message {
	return &message.Message{ID: message.ID{Seq: seq}, From: "publisher", Topic: name,
		Payload: fmt.Appendf(nil, "payload %d", seq), QoS: packet.QoS1, At: int64(seq)}
}

func put(number uint64) store.Op {
	return store.Op{Kind: store.PutSession, Session: number, Record: &store.Record{ClientID: fmt.Sprint("c", number), Epoch: number}}
}

func appendTo(m *message.Message, sessions ...uint64) store.Op {
	return store.Op{Kind: store.Append, Message: m, Sessions: sessions}
}

func sent(number uint64, id packet.ID, m *message.Message, phase store.Phase) store.Op {
	return store.Op{Kind: store.PutInflight, Session: number, ID: id, Message: m, Phase: phase, QoS: m.QoS, Retain: id%2 == 1}
}

func all(t require.TestingT, e store.Engine) (out []store.Stored) {
	require.NoError(t, e.Sessions(func(s store.Stored) bool {
		out = append(out, s)
		return true
	}))
	return out
}

// one is the only session.
func one(t require.TestingT, e store.Engine) store.Stored {
	s := all(t, e)
	require.Len(t, s, 1)
	return s[0]
}

func seqs(ms []*message.Message) (out []uint64) {
	for _, m := range ms {
		out = append(out, m.ID.Seq)
	}
	return out
}

func flying(in []store.Inflight) (out []string) {
	for _, f := range in {
		out = append(out, fmt.Sprintf("%d:%d/%d", f.ID, f.Message.ID.Seq, f.Phase))
	}
	return out
}

func kept(t require.TestingT, e store.Engine) (out []string) {
	require.NoError(t, e.Retained(func(m *message.Message) bool {
		out = append(out, m.Topic+" "+string(m.Payload))
		return true
	}))
	return out
}

func empty(t *testing.T, open func() store.Engine) {
	e := open()
	require.Empty(t, all(t, e))
	require.Empty(t, kept(t, e))
	require.Zero(t, e.Last())
	require.NoError(t, e.Close())
}

func session(t *testing.T, open func() store.Engine) {
	e := open()
	r := store.Record{ClientID: "meter", Username: "u", Epoch: 9, Version: packet.V5, Expiry: 3600, Disconnected: 12345,
		Will: at(0, "gone"), WillDelay: 5}
	m := at(1, "t")
	write(t, e, store.Op{Kind: store.PutSession, Session: 3, Record: &r},
		store.Op{Kind: store.PutFilter, Session: 3, Filter: &store.Filter{Text: "t/#", QoS: 2, NoLocal: true, AsPub: true, RetainHandling: 1, SubID: 7}},
		appendTo(m, 3), appendTo(at(2, "t"), 3), sent(3, 10, m, store.Sent),
		store.Op{Kind: store.AddAwait, Session: 3, ID: 21}, store.Op{Kind: store.AddAwait, Session: 3, ID: 20},
		store.Op{Kind: store.AddAwait, Session: 3, ID: 22}, store.Op{Kind: store.DelAwait, Session: 3, ID: 21})
	s := one(t, e)
	require.EqualValues(t, 3, s.Session)
	require.Equal(t, r, s.Record)
	require.Equal(t, []store.Filter{{Text: "t/#", QoS: 2, NoLocal: true, AsPub: true, RetainHandling: 1, SubID: 7}}, s.Filters)
	require.Equal(t, []uint64{2}, seqs(s.Queue))
	require.Equal(t, []store.Inflight{{ID: 10, Message: m, Phase: store.Sent, QoS: packet.QoS1}}, s.Inflight)
	require.Equal(t, []packet.ID{20, 22}, s.Await)
	require.NoError(t, e.Close())
}

func record(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1), appendTo(at(1, "t"), 1))
	r := store.Record{ClientID: "c1", Epoch: 50, Disconnected: 7}
	write(t, e, store.Op{Kind: store.PutSession, Session: 1, Record: &r})
	s := one(t, e)
	require.Equal(t, r, s.Record)
	require.Equal(t, []uint64{1}, seqs(s.Queue), "what the session has stays")
	require.NoError(t, e.Close())
}

// fill gives a session something of everything.
func fill(number uint64, m, n *message.Message) []store.Op {
	return []store.Op{put(number), appendTo(m, number), appendTo(n, number), sent(number, 1, m, store.Released),
		{Kind: store.AddAwait, Session: number, ID: 2}, {Kind: store.PutFilter, Session: number, Filter: &store.Filter{Text: "t"}}}
}

func end(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, fill(1, at(1, "t"), at(2, "t"))...)
	write(t, e, fill(2, at(3, "t"), at(4, "t"))...)
	write(t, e, store.Op{Kind: store.EndSession, Session: 1})
	require.EqualValues(t, 2, one(t, e).Session)
	write(t, e, put(1))
	require.Equal(t, store.Stored{Session: 1, Record: store.Record{ClientID: "c1", Epoch: 1}}, all(t, e)[0], "nothing of it is left")
	write(t, e, store.Op{Kind: store.EndSession, Session: 1}, store.Op{Kind: store.EndSession, Session: 2}, store.Op{Kind: store.EndSession, Session: 9})
	require.Empty(t, all(t, e))
	require.NoError(t, e.Close())
}

func ended(t *testing.T, open func() store.Engine) {
	e := open()
	m := at(1, "t")
	write(t, e, put(1), store.Op{Kind: store.EndSession, Session: 1})
	write(t, e, fill(1, m, at(2, "t"))[1:]...)
	write(t, e, store.Op{Kind: store.Discard, Session: 1, Message: m}, store.Op{Kind: store.DelInflight, Session: 1, ID: 1, Message: m},
		store.Op{Kind: store.DelAwait, Session: 1, ID: 2}, store.Op{Kind: store.DelFilter, Session: 1, Filter: &store.Filter{Text: "t"}})
	require.Empty(t, all(t, e))
	require.EqualValues(t, 2, e.Last())
	require.NoError(t, e.Close())
}

func several(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1), put(2), put(3))
	write(t, e, appendTo(at(5, "t"), 1, 3))
	write(t, e, appendTo(at(6, "t"), 2, 3), appendTo(at(7, "t"), 3, 1))
	write(t, e, appendTo(at(10, "t"), 2))
	got := all(t, e)
	require.Len(t, got, 3)
	require.Equal(t, []uint64{5, 7}, seqs(got[0].Queue))
	require.Equal(t, []uint64{6, 10}, seqs(got[1].Queue))
	require.Equal(t, []uint64{5, 6, 7}, seqs(got[2].Queue))
	require.NoError(t, e.Close())
}

func inflight(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1))
	m := make([]*message.Message, 6)
	for i := range m {
		m[i] = at(uint64(i+1), "t")
		write(t, e, appendTo(m[i], 1))
	}
	write(t, e, sent(1, 900, m[0], store.Sent), sent(1, 7, m[1], store.Sent))
	write(t, e, sent(1, 65535, m[2], store.Sent))
	s := one(t, e)
	require.Equal(t, []uint64{4, 5, 6}, seqs(s.Queue))
	require.Equal(t, []string{"900:1/0", "7:2/0", "65535:3/0"}, flying(s.Inflight), "in the order in which they were sent")
	require.True(t, s.Inflight[1].Retain, "as it was delivered")
	require.False(t, s.Inflight[0].Retain)
	down := sent(1, 2, m[3], store.Sent)
	down.QoS = packet.QoS2
	write(t, e, down)
	require.Equal(t, packet.QoS2, one(t, e).Inflight[3].QoS, "the subscription's, not the publisher's")
	write(t, e, store.Op{Kind: store.DelInflight, Session: 1, ID: 2, Message: m[3]}, appendTo(m[3], 1))
	write(t, e, sent(1, 900, m[0], store.Released))
	require.Equal(t, []string{"900:1/1", "7:2/0", "65535:3/0"}, flying(one(t, e).Inflight), "a PUBREC moves nothing")
	write(t, e, store.Op{Kind: store.DelInflight, Session: 1, ID: 7, Message: m[1]}, sent(1, 7, m[3], store.Sent))
	s = one(t, e)
	require.Equal(t, []string{"900:1/1", "65535:3/0", "7:4/0"}, flying(s.Inflight), "an id that is used again is the last")
	require.Equal(t, []uint64{5, 6}, seqs(s.Queue), "what is done does not come back")
	require.NoError(t, e.Close())
}

func discard(t *testing.T, open func() store.Engine) {
	e := open()
	a, b, c := at(1, "t"), at(2, "t"), at(3, "t")
	write(t, e, put(1), put(2), appendTo(a, 1, 2), appendTo(b, 1, 2), appendTo(c, 1))
	write(t, e, store.Op{Kind: store.Discard, Session: 1, Message: b})
	got := all(t, e)
	require.Equal(t, []uint64{1, 3}, seqs(got[0].Queue))
	require.Equal(t, []uint64{1, 2}, seqs(got[1].Queue), "of one session alone")
	require.NoError(t, e.Close())
}

// found: what a lookup has found waits beside what came live, also when others
// have it already.
func found(t *testing.T, open func() store.Engine) {
	e := open()
	old, live := at(1, "t"), at(4, "t")
	looked := func(m *message.Message, number uint64) store.Op {
		return store.Op{Kind: store.Append, Message: m, Sessions: []uint64{number}, Retain: true}
	}
	write(t, e, put(1), put(2), put(3), appendTo(old, 1, 2), appendTo(live, 1, 2, 3), looked(old, 3), looked(live, 1))
	got := all(t, e)
	require.Empty(t, got[0].Found, "it waits already, as it came")
	require.Equal(t, []uint64{1, 4}, seqs(got[2].Queue))
	require.Equal(t, []uint64{1}, got[2].Found)
	resumes(t, e, got)
	write(t, e, sent(3, 1, old, store.Sent), store.Op{Kind: store.EndSession, Session: 1}, store.Op{Kind: store.EndSession, Session: 2})
	s := one(t, e)
	require.Empty(t, s.Found)
	require.Equal(t, []string{"1:1/0"}, flying(s.Inflight))
	write(t, e, store.Op{Kind: store.DelInflight, Session: 3, ID: 1, Message: old}, looked(at(2, "u"), 3))
	write(t, e, store.Op{Kind: store.Discard, Session: 3, Message: at(2, "u")})
	require.Equal(t, []uint64{4}, seqs(one(t, e).Queue))
	require.NoError(t, e.Close())
}

func filters(t *testing.T, open func() store.Engine) {
	e := open()
	set := func(text string, qos packet.QoS) store.Op {
		return store.Op{Kind: store.PutFilter, Session: 1, Filter: &store.Filter{Text: text, QoS: qos}}
	}
	write(t, e, put(1), set("b", 0), set("a/+", 1), set("$share/g/a", 2), set("b", 2), set("gone", 1),
		store.Op{Kind: store.DelFilter, Session: 1, Filter: &store.Filter{Text: "gone"}})
	require.ElementsMatch(t, []store.Filter{{Text: "a/+", QoS: 1}, {Text: "b", QoS: 2}, {Text: "$share/g/a", QoS: 2}}, one(t, e).Filters)
	owed := store.Filter{Text: "b", Owed: &store.Owed{Start: 7}}
	for _, after := range []string{"", "b/1", "b/2"} {
		owed.Owed = &store.Owed{Start: 7, After: after}
		write(t, e, store.Op{Kind: store.PutFilter, Session: 1, Filter: &owed})
		require.Contains(t, one(t, e).Filters, owed)
	}
	write(t, e, set("b", 1))
	require.Contains(t, one(t, e).Filters, store.Filter{Text: "b", QoS: 1})
	require.Equal(t, e.Order(), e.Order())
	require.NoError(t, e.Close())
}

func dead(t *testing.T, open func() store.Engine) {
	e := open()
	letter := func(serial uint64, m *message.Message) store.Dead {
		return store.Dead{Serial: serial, Message: m, QoS: packet.QoS(serial % 3), Retain: serial%2 == 1, Reason: fmt.Sprint("crash ", serial), At: int64(serial)}
	}
	bury := func(number uint64, x store.Dead) store.Op {
		return store.Op{Kind: store.PutDead, Session: number, Dead: &x}
	}
	m, q0 := at(1, "t"), at(0, "t/0")
	a, b, c := letter(7, m), letter(300, q0), letter(9, m)
	write(t, e, put(1), put(2), appendTo(m, 1, 2))
	write(t, e, bury(1, b), bury(1, a), store.Op{Kind: store.Discard, Session: 1, Message: m})
	write(t, e, bury(2, c))
	got := all(t, e)
	require.Empty(t, got[0].Queue)
	require.Equal(t, []store.Dead{a, b}, got[0].Dead, "in the order of their serials")
	require.Equal(t, []store.Dead{c}, got[1].Dead)
	require.Equal(t, []uint64{1}, seqs(got[1].Queue), "the others' message is untouched")
	write(t, e, store.Op{Kind: store.DelDead, Session: 1, Dead: &store.Dead{Serial: 7}}, store.Op{Kind: store.DelDead, Session: 1, Dead: &store.Dead{Serial: 8}})
	require.Equal(t, []store.Dead{b}, all(t, e)[0].Dead)
	write(t, e, store.Op{Kind: store.EndSession, Session: 1}, bury(1, a), put(1))
	require.Empty(t, all(t, e)[0].Dead)
	require.EqualValues(t, 1, e.Last(), "a dead letter takes no position")
	require.NoError(t, e.Close())
}

func retained(t *testing.T, open func() store.Engine) {
	e := open()
	keep := func(seq uint64, name, payload string) store.Op {
		m := at(seq, name)
		m.Payload, m.Retain = []byte(payload), true
		return store.Op{Kind: store.Retain, Message: m}
	}
	write(t, e, keep(1, "b", "old"), keep(2, "a/b", "x"), keep(3, "b", "new"), keep(4, "c", "gone"))
	require.Equal(t, []string{"a/b x", "b new", "c gone"}, kept(t, e))
	write(t, e, keep(5, "c", ""), keep(6, "never", ""))
	require.Equal(t, []string{"a/b x", "b new"}, kept(t, e))
	write(t, e, keep(7, "c", "again"))
	require.Equal(t, []string{"a/b x", "b new", "c again"}, kept(t, e))
	require.NoError(t, e.Close())
}

func last(t *testing.T, open func() store.Engine) {
	e := open()
	m := at(7, "t")
	write(t, e, put(1), appendTo(m, 1))
	require.EqualValues(t, 7, e.Last())
	write(t, e, sent(1, 1, m, store.Sent), store.Op{Kind: store.DelInflight, Session: 1, ID: 1, Message: m})
	write(t, e, store.Op{Kind: store.EndSession, Session: 1})
	require.EqualValues(t, 7, e.Last(), "a position is used once")
	r := at(9, "r")
	write(t, e, store.Op{Kind: store.Retain, Message: r})
	require.EqualValues(t, 9, e.Last())
	require.NoError(t, e.Close())
}

func whole(t *testing.T, open func() store.Engine) {
	e := open()
	p := new(packet.Properties)
	p.Set(packet.PropContentType).ContentType = "text/plain"
	p.Set(packet.PropPayloadFormat).PayloadFormat = 1
	p.Set(packet.PropResponseTopic).ResponseTopic = "answer"
	p.Set(packet.PropCorrelationData).CorrelationData = []byte{0, 1, 255}
	p.User = []packet.UserProperty{{Key: "k", Value: "1"}, {Key: "k", Value: "2"}}
	m := &message.Message{ID: message.ID{Seq: 1}, From: "p", Topic: "t/é", Payload: []byte{0, 255, '\n'}, QoS: packet.QoS2, Retain: true,
		Properties: p, At: 1<<62 + 1, Expiry: 1<<62 + 5}
	none := &message.Message{ID: message.ID{Seq: 2}, Topic: "/", QoS: packet.QoS1}
	write(t, e, put(1), appendTo(m, 1), store.Op{Kind: store.Retain, Message: m}, appendTo(none, 1))
	s := one(t, e)
	require.Equal(t, *m, *s.Queue[0])
	require.Equal(t, *none, *s.Queue[1])
	resumes(t, e, []store.Stored{s})
	require.NoError(t, e.Retained(func(got *message.Message) bool {
		require.Equal(t, *m, *got)
		return true
	}))
	require.NoError(t, e.Close())
}

func stop(t *testing.T, open func() store.Engine) {
	e := open()
	for n := range uint64(4) {
		write(t, e, put(n+1), store.Op{Kind: store.Retain, Message: at(n+1, fmt.Sprint("t", n))})
	}
	calls := 0
	require.NoError(t, e.Sessions(func(store.Stored) bool { calls++; return calls < 2 }))
	require.NoError(t, e.Retained(func(*message.Message) bool { calls++; return calls < 5 }))
	require.Equal(t, 5, calls)
	require.NoError(t, e.Close())
}

func groups(t *testing.T, open func() store.Engine) {
	e := open()
	write(t, e, put(1))
	const n = 50
	done := make(chan int, 2*n)
	for i := range n {
		a, b := at(uint64(2*i+1), "t"), at(uint64(2*i+2), "t")
		e.Write([]*store.Commit{{Ops: []store.Op{appendTo(a, 1)}}, {Ops: []store.Op{appendTo(b, 1)}}}, func(err error) {
			require.NoError(t, err)
			done <- i
		})
	}
	for i := range n {
		require.Equal(t, i, <-done)
	}
	q := one(t, e).Queue
	require.Len(t, q, 2*n)
	require.EqualValues(t, 2*n, q[2*n-1].ID.Seq)
	require.NoError(t, e.Close())
	require.Empty(t, done, "each was answered once")
}
