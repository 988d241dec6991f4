// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/actors/store/storetest"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// disk is a broker whose disk can be held still, and an observer, by whose pings
// a test knows that the broker has done what it can.
type disk struct {
	t    *testing.T
	gate *storetest.Gate
	*brokertest.Broker
	eye  *peer
	from int       // commits before hold
	sent [16]int64 // packets that had left before hold, by type
}

// onDisk starts a broker with one loop, whose turns run everything that can run
// to its end before the next socket is read.
func onDisk(t *testing.T, e store.Engine, sets ...string) *disk {
	t.Helper()
	gate := storetest.NewGate(e)
	sets = append([]string{"runtime.loops=1", "listeners.ws.default.bind="}, sets...)
	d := &disk{t: t, gate: gate, Broker: brokertest.On(t, gate, sets...)}
	t.Cleanup(gate.Release) // so that the stop in order waits for nothing
	d.eye = join(t, d.Broker, clean(packet.V311, "eye"))
	return d
}

// hold stops the disk and begins to take notes.
func (d *disk) hold() {
	d.settle()
	d.gate.Hold()
	d.from = len(d.gate.Seen())
	for i := range d.sent {
		d.sent[i] = d.Metrics().PacketsSent[i].Load()
	}
}

// settle waits until the broker has done what it could with what it had read.
func (d *disk) settle() {
	d.eye.fence()
	d.eye.fence()
}

// left is how many packets of a type have left since hold.
func (d *disk) left(kind packet.Type) int64 {
	d.settle()
	return d.Metrics().PacketsSent[kind].Load() - d.sent[kind]
}

// sees waits for a commit since hold with operations of these kinds in this
// order, among others, and returns it.
func (d *disk) sees(kinds ...store.OpKind) *store.Commit {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := d.gate.Find(ctx, d.from, func(c *store.Commit) bool {
		left := kinds
		for i := range c.Ops {
			if len(left) > 0 && c.Ops[i].Kind == left[0] {
				left = left[1:]
			}
		}
		return len(left) == 0
	})
	require.NotNil(d.t, c, "no commit with %v", kinds)
	return c
}

// writes are the operations since hold.
func (d *disk) writes() (out []store.OpKind) {
	d.settle()
	for _, c := range d.gate.Seen()[d.from:] {
		for i := range c.Ops {
			out = append(out, c.Ops[i].Kind)
		}
	}
	return out
}

// kill ends the broker as kill -9 does, and starts the next on what is left.
func (d *disk) kill(sets ...string) *disk { return onDisk(d.t, d.gate.Kill(), sets...) }

// keeper is a session that outlives its connection, subscribed to t/#.
func (d *disk) keeper(qos packet.QoS) *peer {
	d.t.Helper()
	p := join(d.t, d.Broker, kept(packet.V5, "keeper"))
	p.subscribe(qos, "t/#")
	return p
}

// away is a keeper that has gone.
func (d *disk) away(qos packet.QoS) { d.keeper(qos).leave() }

// back is the keeper again, whose session must be there.
func (d *disk) back() *peer {
	d.t.Helper()
	p, ack := present(d.t, open(d.t, d.Broker, "tcp"), kept(packet.V5, "keeper"))
	require.True(d.t, ack.SessionPresent)
	return p
}

// publisher is a session that keeps nothing, or, to await releases, something.
func (d *disk) publisher(c *packet.Connect) *peer { return join(d.t, d.Broker, c) }

func the(c *store.Commit, k store.OpKind) store.Op {
	return c.Ops[slices.IndexFunc(c.Ops, func(o store.Op) bool { return o.Kind == k })]
}

func wills() *packet.Will {
	return &packet.Will{QoS: packet.QoS1, Topic: "t/will", Payload: []byte("dead")}
}

func ack(kind packet.Type, id packet.ID) *packet.Ack { return &packet.Ack{Kind: kind, ID: id} }

// acknowledgement is a row of the table of what makes an acknowledgement durable.
type acknowledgement struct {
	name   string
	before func(d *disk) *peer // who acts
	send   []packet.Packet
	writes []store.OpKind // one commit
	waits  packet.Type    // leaves only after the sync
	answer func(d *disk, p *peer)
}

var acknowledgements = []acknowledgement{
	{
		name:   "CONNECT with a session expiry",
		before: func(d *disk) *peer { return speak(d.t, open(d.t, d.Broker, "tcp"), packet.V5) },
		send:   []packet.Packet{kept(packet.V5, "c")},
		writes: []store.OpKind{store.PutSession},
		waits:  packet.CONNACK,
	},
	{
		name:   "CONNECT of 3.1.1 without a clean session",
		before: func(d *disk) *peer { return speak(d.t, open(d.t, d.Broker, "tcp"), packet.V311) },
		send:   []packet.Packet{kept(packet.V311, "c")},
		writes: []store.OpKind{store.PutSession},
		waits:  packet.CONNACK,
	},
	{
		name:   "CONNECT with a will",
		before: func(d *disk) *peer { return speak(d.t, open(d.t, d.Broker, "tcp"), packet.V311) },
		send:   []packet.Packet{&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: "c", Will: wills()}},
		writes: []store.OpKind{store.PutSession},
		waits:  packet.CONNACK,
	},
	{
		name: "CONNECT that ends an old session with a will and begins a new one",
		before: func(d *disk) *peer {
			d.away(packet.QoS1)
			c := clean(packet.V5, "c")
			c.CleanStart, c.Will = false, wills()
			d.publisher(c)
			return speak(d.t, open(d.t, d.Broker, "tcp"), packet.V5)
		},
		send:   []packet.Packet{kept(packet.V5, "c")},
		writes: []store.OpKind{store.EndSession, store.PutSession, store.Append},
		waits:  packet.CONNACK,
		answer: func(d *disk, p *peer) {
			require.False(d.t, want[*packet.Connack](p).SessionPresent)
			d.kill().back().hears("t/will", "dead")
		},
	},
	{
		name: "PUBLISH QoS 1 to a durable session",
		before: func(d *disk) *peer {
			d.away(packet.QoS1)
			return d.publisher(clean(packet.V5, "p"))
		},
		send:   []packet.Packet{pub(packet.QoS1, 1, "t", "x")},
		writes: []store.OpKind{store.Append},
		waits:  packet.PUBACK,
		answer: func(d *disk, p *peer) {
			p.ack(packet.PUBACK)
			d.kill().back().hears("t", "x")
		},
	},
	{
		name:   "PUBLISH QoS 1, retained",
		before: func(d *disk) *peer { return d.publisher(clean(packet.V5, "p")) },
		send:   []packet.Packet{retained(pub(packet.QoS1, 1, "r", "x"))},
		writes: []store.OpKind{store.Retain},
		waits:  packet.PUBACK,
		answer: func(d *disk, p *peer) {
			p.ack(packet.PUBACK)
			d = d.kill()
			q := d.publisher(clean(packet.V5, "q"))
			q.subscribe(packet.QoS1, "r")
			q.hears("r", "x")
		},
	},
	{
		name: "PUBLISH QoS 1, the deletion of a retained message",
		before: func(d *disk) *peer {
			p := d.publisher(clean(packet.V5, "p"))
			p.send(retained(pub(packet.QoS0, 0, "r", "x")))
			return p
		},
		send:   []packet.Packet{retained(pub(packet.QoS1, 1, "r", ""))},
		writes: []store.OpKind{store.Retain},
		waits:  packet.PUBACK,
		answer: func(d *disk, p *peer) {
			p.ack(packet.PUBACK)
			d = d.kill()
			q := d.publisher(clean(packet.V5, "q"))
			q.subscribe(packet.QoS1, "r")
			q.fence()
		},
	},
	{
		name: "PUBLISH QoS 2 of a durable session to another",
		before: func(d *disk) *peer {
			d.away(packet.QoS2)
			return d.publisher(kept(packet.V5, "p"))
		},
		send:   []packet.Packet{pub(packet.QoS2, 1, "t", "x")},
		writes: []store.OpKind{store.AddAwait, store.Append},
		waits:  packet.PUBREC,
		answer: func(d *disk, p *peer) {
			p.ack(packet.PUBREC)
			d = d.kill()
			p = d.publisher(kept(packet.V5, "p"))
			p.send(&packet.Publish{QoS: packet.QoS2, ID: 1, Topic: []byte("t"), Payload: []byte("x"), Dup: true})
			p.ack(packet.PUBREC)
			k := d.back()
			k.hears("t", "x")
			k.fence() // once
		},
	},
	{
		name: "PUBREL",
		before: func(d *disk) *peer {
			d.away(packet.QoS2)
			p := d.publisher(kept(packet.V5, "p"))
			p.send(pub(packet.QoS2, 1, "t", "x"))
			p.ack(packet.PUBREC)
			return p
		},
		send:   []packet.Packet{ack(packet.PUBREL, 1)},
		writes: []store.OpKind{store.DelAwait},
		waits:  packet.PUBCOMP,
		answer: func(d *disk, p *peer) {
			p.ack(packet.PUBCOMP)
			d = d.kill()
			p = d.publisher(kept(packet.V5, "p"))
			p.publish(packet.QoS2, 1, "t", "another with its identifier")
			k := d.back()
			require.Equal(d.t, "x", string(want[*packet.Publish](k).Payload))
			require.Equal(d.t, "another with its identifier", string(want[*packet.Publish](k).Payload))
		},
	},
	{
		name:   "PUBLISH QoS 2 to a durable session, on its way out",
		before: func(d *disk) *peer { return d.keeper(packet.QoS2) },
		send:   []packet.Packet{pub(packet.QoS0, 0, "u", "")}, // the message is another's, below
		writes: []store.OpKind{store.PutInflight},
		waits:  packet.PUBLISH,
		answer: func(d *disk, p *peer) {
			m := want[*packet.Publish](p)
			again := want[*packet.Publish](d.kill().back())
			require.True(d.t, again.Dup)
			require.Equal(d.t, m.ID, again.ID)
		},
	},
	{
		name: "PUBREC",
		before: func(d *disk) *peer {
			p := d.keeper(packet.QoS2)
			d.publisher(clean(packet.V5, "p")).send(pub(packet.QoS2, 1, "t", "x"))
			require.EqualValues(d.t, 1, want[*packet.Publish](p).ID)
			return p
		},
		send:   []packet.Packet{ack(packet.PUBREC, 1)},
		writes: []store.OpKind{store.PutInflight},
		waits:  packet.PUBREL,
		answer: func(d *disk, p *peer) {
			p.ack(packet.PUBREL)
			k := d.kill().back()
			require.EqualValues(d.t, 1, k.ack(packet.PUBREL).ID, "and no PUBLISH: the client has given the identifier back")
			k.fence()
		},
	},
	{
		name:   "SUBSCRIBE",
		before: func(d *disk) *peer { return d.publisher(kept(packet.V5, "keeper")) },
		send:   []packet.Packet{&packet.Subscribe{ID: 7, Subscriptions: []packet.Subscription{{Filter: "t/#", QoS: packet.QoS1}}}},
		writes: []store.OpKind{store.PutFilter},
		waits:  packet.SUBACK,
		answer: func(d *disk, p *peer) {
			want[*packet.Suback](p)
			d = d.kill()
			d.publisher(clean(packet.V5, "p")).publish(packet.QoS1, 1, "t/1", "x")
			d.back().hears("t/1", "x")
		},
	},
	{
		name:   "UNSUBSCRIBE",
		before: func(d *disk) *peer { return d.keeper(packet.QoS1) },
		send:   []packet.Packet{&packet.Unsubscribe{ID: 7, Filters: []string{"t/#"}}},
		writes: []store.OpKind{store.DelFilter},
		waits:  packet.UNSUBACK,
		answer: func(d *disk, p *peer) {
			want[*packet.Unsuback](p)
			d = d.kill()
			d.publisher(clean(packet.V5, "p")).publish(packet.QoS1, 1, "t/1", "x")
			d.back().fence()
		},
	},
}

// TestWhatIsWrittenBeforeWhichAcknowledgement is the table of what makes an
// acknowledgement durable, row by row. With the disk held still, the commit has
// to come and the answer must not leave; when the disk goes on, it leaves.
func TestWhatIsWrittenBeforeWhichAcknowledgement(t *testing.T) {
	for _, row := range acknowledgements {
		t.Run(row.name, func(t *testing.T) {
			d := onDisk(t, memory.New())
			p := row.act(d)
			require.True(t, d.sees(row.writes...).Waits(), "somebody has to wait for it")
			require.Zero(t, d.left(row.waits), "the answer has left before the sync")
			d.gate.Release()
			row.heard(d, p)
		})
	}
}

// act lets the disk be held while the row's packets come.
func (row *acknowledgement) act(d *disk) *peer {
	p := row.before(d)
	var other *peer
	if row.waits == packet.PUBLISH {
		other = d.publisher(clean(packet.V5, "p"))
	}
	d.hold()
	p.send(row.send...)
	if other != nil {
		// The message itself is durable first; then the disk is held again.
		d.gate.Release()
		d.gate.HoldFrom(store.PutInflight)
		other.send(pub(packet.QoS2, 1, "t", "x"))
	}
	return p
}

// heard takes the answer, and what a kill leaves behind it.
func (row *acknowledgement) heard(d *disk, p *peer) {
	if row.answer != nil {
		row.answer(d, p)
		return
	}
	q, err := p.next()
	require.NoError(d.t, err)
	require.Equal(d.t, row.waits, q.Type())
}

func TestADisconnectIsClosedWhenItIsDurable(t *testing.T) {
	for name, c := range map[string]*packet.Connect{
		"a session that stays":             {Version: packet.V5, ClientID: "c", Properties: kept(packet.V5, "").Properties, Will: wills()},
		"a session that ends, with a will": {Version: packet.V311, CleanStart: true, ClientID: "c", Will: wills()},
	} {
		t.Run(name, func(t *testing.T) {
			d := onDisk(t, memory.New())
			d.away(packet.QoS1)
			p := d.publisher(c)
			d.hold()
			open := d.Metrics().Connections.Load()
			p.send(&packet.Disconnect{})
			r := the(d.sees(store.PutSession), store.PutSession).Record
			require.Nil(t, r.Will)
			require.NotZero(t, r.Disconnected)
			d.settle()
			require.Equal(t, open, d.Metrics().Connections.Load(), "it was closed before the sync")
			d.gate.Release()
			p.closed()
			d = d.kill("session.will_restart_grace=0s")
			d.back().fence() // no will
		})
	}
}

func TestALostConnectionIsWrittenLazily(t *testing.T) {
	d := onDisk(t, memory.New())
	p := d.publisher(kept(packet.V5, "c"))
	d.hold()
	require.NoError(t, p.Close())
	c := d.sees(store.PutSession)
	require.NotZero(t, the(c, store.PutSession).Record.Disconnected)
	require.Nil(t, c.Reply)
}

func TestWhatNeedsNoWriteCausesNone(t *testing.T) {
	d := onDisk(t, memory.New())
	d.publisher(kept(packet.V5, "elsewhere")).subscribe(packet.QoS2, "elsewhere")
	d.hold()
	p := join(t, d.Broker, clean(packet.V5, "c"))
	p.subscribe(packet.QoS2, "a")
	for qos := range packet.QoS(3) {
		p.send(pub(qos, packet.ID(qos), "a", "x"))
	}
	for range 3 + 2 { // its own messages, and the answers to them
		q, err := p.next()
		require.NoError(t, err)
		require.Contains(t, []packet.Type{packet.PUBLISH, packet.PUBACK, packet.PUBREC}, q.Type())
	}
	p.send(&packet.Unsubscribe{ID: 9, Filters: []string{"a"}})
	want[*packet.Unsuback](p)
	p.leave()
	require.Empty(t, d.writes())
}

func TestARetainedMessageOfQoS0IsWrittenLazily(t *testing.T) {
	d := onDisk(t, memory.New())
	p := d.publisher(clean(packet.V5, "p"))
	d.hold()
	p.send(retained(pub(packet.QoS0, 0, "r", "x")))
	require.Nil(t, d.sees(store.Retain).Reply)
}

func TestARepetitionIsAnsweredBehindThePendingCommitOfTheFirst(t *testing.T) {
	d := onDisk(t, memory.New())
	d.away(packet.QoS2)
	p := d.publisher(kept(packet.V5, "p"))
	d.hold()
	p.send(pub(packet.QoS2, 1, "t", "x"))
	d.sees(store.AddAwait, store.Append)
	p.send(pub(packet.QoS2, 1, "t", "x")) // without DUP: it decides nothing
	require.Zero(t, d.left(packet.PUBREC))
	d.gate.Release()
	p.ack(packet.PUBREC)
	p.ack(packet.PUBREC)

	d.hold()
	p.send(ack(packet.PUBREL, 1))
	d.sees(store.DelAwait)
	p.send(ack(packet.PUBREL, 1))
	require.Zero(t, d.left(packet.PUBCOMP))
	d.gate.Release()
	require.Equal(t, packet.Success, p.ack(packet.PUBCOMP).Code)
	require.Equal(t, packet.PacketIDNotFound, p.ack(packet.PUBCOMP).Code)
	k := d.back()
	k.hears("t", "x")
	k.fence()
}

func TestARefusedQoS2MessageStoresNothing(t *testing.T) {
	d := onDisk(t, memory.New(), "session.max_awaiting_rel=1")
	d.away(packet.QoS2)
	p := d.publisher(kept(packet.V5, "p"))
	p.send(pub(packet.QoS2, 1, "t", "x"))
	p.ack(packet.PUBREC)
	d.hold()
	p.send(pub(packet.QoS2, 2, "t", "y"))
	require.Equal(t, packet.QuotaExceeded, p.ack(packet.PUBREC).Code)
	require.Empty(t, d.writes())
}

func TestWhatIsOnlineHearsFromAcceptanceOn(t *testing.T) {
	d := onDisk(t, memory.New())
	k, p := d.keeper(packet.QoS1), d.publisher(clean(packet.V5, "p"))
	d.hold()
	p.send(pub(packet.QoS1, 1, "t", "x"))
	k.hears("t", "x") // while the disk stands still: only PUBACK waits
	require.Zero(t, d.left(packet.PUBACK))
	d.gate.Release()
	p.ack(packet.PUBACK)
}

func TestAQoS1DeliveryAndItsAcknowledgementAreLazy(t *testing.T) {
	d := onDisk(t, memory.New(), "session.max_inflight=1")
	k, p := d.keeper(packet.QoS1), d.publisher(clean(packet.V5, "p"))
	p.publish(packet.QoS1, 1, "t", "1")
	p.publish(packet.QoS1, 2, "t", "2")
	first := want[*packet.Publish](k)
	d.hold()
	k.send(ack(packet.PUBACK, first.ID))
	second := want[*packet.Publish](k) // at once
	require.NotEqual(t, first.ID, second.ID, "identifiers go round the whole range")
	c := d.sees(store.DelInflight, store.PutInflight)
	require.Nil(t, c.Reply)
	// A kill now loses both: the client hears the first again, which it may.
	k = d.kill().back()
	require.True(t, k.hears("t", "1").Dup)
	k.hears("t", "2")
}

func TestAWillThatFiresIsOneCommit(t *testing.T) {
	delayed := kept(packet.V5, "c")
	delayed.Will = wills()
	delayed.Will.Properties = props(packet.PropWillDelay, func(q *packet.Properties) { q.WillDelay = 1 })
	for name, c := range map[string]*packet.Connect{
		"with its connection": {Version: packet.V5, ClientID: "c", Properties: kept(packet.V5, "").Properties, Will: wills()},
		"with its session":    {Version: packet.V311, CleanStart: true, ClientID: "c", Will: wills()},
		"after its delay":     delayed,
	} {
		t.Run(name, func(t *testing.T) {
			for _, synced := range []bool{false, true} {
				d := onDisk(t, memory.New())
				d.away(packet.QoS1)
				p := d.publisher(c)
				d.hold()
				require.NoError(t, p.Close())
				fires := d.sees(store.Append)
				withdrawn := slices.ContainsFunc(fires.Ops, func(o store.Op) bool {
					return o.Kind == store.EndSession || o.Kind == store.PutSession && o.Record.Will == nil
				})
				require.True(t, withdrawn, "the will is withdrawn where it is published")
				if synced {
					d.gate.Release()
				}
				d = d.kill("session.will_restart_grace=0s")
				k := d.back()
				k.hears("t/will", "dead")
				k.fence() // exactly one, on whichever side of the commit the kill was
			}
		})
	}
}

func TestAWillWaitsForTheGraceAfterARestart(t *testing.T) {
	for name, c := range map[string]*packet.Connect{
		"of a session that stays": {Version: packet.V5, ClientID: "c", Properties: kept(packet.V5, "").Properties, Will: wills()},
		"of a clean session":      {Version: packet.V311, CleanStart: true, ClientID: "c", Will: wills()},
	} {
		t.Run("who is back in time has not died, "+name, func(t *testing.T) {
			d := onDisk(t, memory.New())
			d.away(packet.QoS1)
			d.publisher(c)
			d = d.kill("session.will_restart_grace=1h")
			k := d.back()
			p := d.publisher(c)
			k.fence()
			require.NoError(t, p.Close())
			k.hears("t/will", "dead")
			k.fence()
		})
		t.Run("who is not has, "+name, func(t *testing.T) {
			d := onDisk(t, memory.New())
			d.away(packet.QoS1)
			d.publisher(c)
			d.kill("session.will_restart_grace=10ms").back().hears("t/will", "dead")
		})
	}
}

func TestOfTwoSessionsOfOneClientTheOlderEndsAtTheStart(t *testing.T) {
	e := memory.New()
	put := func(number uint64, client string, w *packet.Will) []store.Op {
		r := &store.Record{ClientID: client, Epoch: number, Version: packet.V5, Expiry: 600}
		if w != nil {
			r.Will = message.FromWill(w, client, 1)
		}
		return []store.Op{{Kind: store.PutSession, Session: number, Record: r},
			{Kind: store.PutFilter, Session: number, Filter: &store.Filter{Text: "t/#", QoS: 1}}}
	}
	ops := slices.Concat(put(1, "c", wills()), put(2, "keeper", nil), put(3, "c", nil))
	e.Write([]*store.Commit{{Ops: ops}}, func(error) {})
	d := onDisk(t, e)
	d.back().hears("t/will", "dead")
	eventually(t, "two sessions are left", func() bool { return d.Metrics().Sessions.Load() == 3 }) // and the observer's
	p, ack := present(t, open(t, d.Broker, "tcp"), kept(packet.V5, "c"))
	require.True(t, ack.SessionPresent)
	p.hears("t/will", "dead")
	p.fence()
	d = d.kill()
	eventually(t, "the older is gone for good", func() bool { return d.Metrics().Sessions.Load() == 3 })
}

func TestWhatALookupHasFoundAndWaitsIsStored(t *testing.T) {
	d := onDisk(t, memory.New(), "session.max_inflight=1")
	p := d.publisher(clean(packet.V5, "p"))
	p.send(retained(pub(packet.QoS1, 1, "t/1", "1")), retained(pub(packet.QoS1, 2, "t/2", "2")))
	p.ack(packet.PUBACK)
	p.ack(packet.PUBACK)
	k := d.keeper(packet.QoS1)
	first := want[*packet.Publish](k)
	require.True(t, first.Retain)
	d.settle()
	d = d.kill()
	k = d.back()
	again := k.message()
	require.Equal(t, first.Topic, again.Topic)
	require.True(t, again.Dup && again.Retain)
	second := k.message()
	require.NotEqual(t, first.Topic, second.Topic)
	require.True(t, second.Retain, "as it was found [v5 MQTT-3.3.1-8]")
	k.fence()
}

func TestWhatWaitsForASubscriptionThatIsRemovedIsDropped(t *testing.T) {
	d := onDisk(t, memory.New(), "session.max_inflight=1")
	k, p := d.keeper(packet.QoS1), d.publisher(clean(packet.V5, "p"))
	k.subscribe(packet.QoS1, "+/both")
	p.publish(packet.QoS1, 1, "t/1", "in flight")
	p.publish(packet.QoS1, 2, "t/2", "waits for t/# alone")
	p.publish(packet.QoS1, 3, "t/both", "waits for +/both, too")
	m := want[*packet.Publish](k)
	k.send(&packet.Unsubscribe{ID: 7, Filters: []string{"t/#"}})
	want[*packet.Unsuback](k)
	k.send(ack(packet.PUBACK, m.ID)) // what is in flight is finished
	k.hears("t/both", "waits for +/both, too")
	k.fence()
	p.publish(packet.QoS1, 4, "q/both", "later")
	k.hears("q/both", "later")
	k.fence()
	d.kill().back().fence()
}
