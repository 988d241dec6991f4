// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/router"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/stagetest"
)

func filter(text string, qos packet.QoS) packet.Subscription {
	return packet.Subscription{Filter: text, QoS: qos}
}

func TestDeliveriesWaitForTheWindowInTheirOrder(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(func(s *cast.StartSession) { s.ReceiveMaximum = 2 })
	d.subscribe(e, filter("t", 1))
	require.Equal(t, []string{"SUBACK [granted qos 1]"}, e.answered())
	for i := range 4 {
		d.publish(msg(1, "t", fmt.Sprint(i)))
	}
	d.publish(msg(0, "t", "behind"))
	require.Equal(t, []string{"q1 #1 0", "q1 #2 1"}, e.sent())
	d.ack(e, packet.PUBACK, 2)
	require.Equal(t, []string{"q1 #3 2"}, e.sent(), "an acknowledgement out of turn frees a place all the same")
	d.ack(e, packet.PUBACK, 1, 3)
	require.Equal(t, []string{"q1 #4 3", "q0 #0 behind"}, e.sent())
}

func TestPacketIdentifiersGoRoundTheWholeRange(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(func(s *cast.StartSession) { s.ReceiveMaximum = 1 })
	d.subscribe(e, filter("t", 1))
	for want := range 5 {
		d.publish(msg(1, "t", "x"))
		require.Equal(t, []string{fmt.Sprintf("q1 #%d x", want+1)}, e.sent())
		d.ack(e, packet.PUBACK, packet.ID(want+1))
	}
}

// TestWhatIsInFlightIsSentAgainWithDup [v3.1.1 MQTT-4.4.0-1, v5 MQTT-4.4.0-1].
func TestWhatIsInFlightIsSentAgainWithDup(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("t", 2))
	d.publish(msg(1, "t", "one"))
	d.publish(msg(2, "t", "two"))
	d.publish(msg(2, "t", "three"))
	require.Equal(t, []string{"q1 #1 one", "q2 #2 two", "q2 #3 three"}, e.sent())
	d.ack(e, packet.PUBREC, 2)
	require.Equal(t, []string{"PUBREL #2"}, e.sent())
	d.detach(e, false)
	d.publish(msg(1, "t", "offline"))
	e = d.attach(kept)
	require.ElementsMatch(t, []string{"q1 #1 one dup", "q2 #3 three dup", "PUBREL #2", "q1 #4 offline"}, e.sent())
	d.ack(e, packet.PUBCOMP, 2)
	d.ack(e, packet.PUBREC, 2)
	require.Equal(t, []string{"PUBREL #2 unknown"}, e.sent()) // [v5 3.6.2.1]
}

func TestAQoS2MessageOfADurableSessionLeavesBehindItsCommit(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("t", 2))
	d.engine.hold = true
	d.publish(msg(2, "t", "x"))
	require.Empty(t, e.sent(), "the mapping of the identifier is not durable yet")
	d.sync()
	require.Equal(t, []string{"q2 #1 x"}, e.sent())
	d.ack(e, packet.PUBREC, 1)
	require.Empty(t, e.sent(), "PUBREL promises that the message will not be sent again")
	d.sync()
	require.Equal(t, []string{"PUBREL #1"}, e.sent())
}

// TestAQoS2PublishIsDispatchedOnce [v5 MQTT-4.3.3-8 to -11]: whatever is
// repeated, and never acknowledged from memory alone.
func TestAQoS2PublishIsDispatchedOnce(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	witness := d.witness("t")
	e := d.open(kept)
	d.engine.hold = true
	d.tell(cast.NewReleases(e.epoch, cast.Release{ID: 7, Message: msg(2, "t", "x")}))
	d.tell(cast.NewReleases(e.epoch, cast.Release{ID: 7, Message: msg(2, "t", "x")}))
	require.Equal(t, []string{"x"}, heard(witness))
	require.Empty(t, e.answered(), "the repetition is answered behind the commit of the first")
	d.sync()
	require.Equal(t, []string{"PUBREC #7 0x00", "PUBREC #7 0x00"}, e.answered())
	d.tell(cast.NewReleases(e.epoch, cast.Release{ID: 7}))
	require.Empty(t, e.answered())
	d.sync()
	require.Equal(t, []string{"PUBCOMP #7 0x00"}, e.answered())
	d.tell(cast.NewReleases(e.epoch, cast.Release{ID: 7}))
	d.sync()
	require.Equal(t, []string{"PUBCOMP #7 0x92"}, e.answered())
	require.Empty(t, heard(witness))
}

func TestTooManyUnreleasedMessagesAreRefused(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.witness("t")
	e := d.open(nil)
	for id := packet.ID(1); id <= 4; id++ {
		d.tell(cast.NewReleases(e.epoch, cast.Release{ID: id, Message: msg(2, "t", "x")}))
	}
	require.Equal(t, []string{"PUBREC #1 0x00", "PUBREC #2 0x00", "PUBREC #3 0x00", "PUBREC #4 0x97"}, e.answered())
}

func TestSubackWaitsForRouteAndStore(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.engine.hold = true
	d.subscribe(e, filter("t", 1))
	require.Empty(t, e.answered())
	d.sync()
	require.Equal(t, []string{"SUBACK [granted qos 1]"}, e.answered())
}

// TestRetainedAndLiveMessagesMeetAtTheSuback: none missing, none twice.
func TestRetainedAndLiveMessagesMeetAtTheSuback(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	for i := range 5 {
		d.publish(retained(1, fmt.Sprint("r/", i), fmt.Sprint("old", i)))
	}
	e := d.open(func(s *cast.StartSession) { s.ReceiveMaximum = 100 })
	d.limits.MaxInflight = 100
	d.subscribe(e, packet.Subscription{Filter: "r/+", QoS: 1})
	d.publish(retained(1, "r/0", "new0"))
	var got []string
	for more := e.sent(); len(more) > 0; more = e.sent() {
		got = append(got, more...)
		for id := packet.ID(1); id < 20; id++ {
			d.ack(e, packet.PUBACK, id)
		}
	}
	var payloads []string
	for _, line := range got { // the retained ones come in no particular order
		_, text, _ := strings.Cut(line, " ")
		_, text, _ = strings.Cut(text, " ")
		payloads = append(payloads, text)
	}
	require.ElementsMatch(t, []string{"old0 retained", "old1 retained", "old2 retained", "old3 retained", "old4 retained", "new0"}, payloads)
}

func TestAFullQueueDropsItsOldest(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	for i := range 7 {
		d.publish(msg(1, "t", fmt.Sprint(i)))
	}
	require.EqualValues(t, 2, d.env.Metrics.Dropped[metrics.DropQueueFull].Load())
	e = d.attach(kept)
	require.Equal(t, []string{"q1 #1 2", "q1 #2 3", "q1 #3 4", "q1 #4 5"}, e.sent())
	d.ack(e, packet.PUBACK, 1)
	require.Equal(t, []string{"q1 #5 6"}, e.sent())
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())
}

// TestAClientThatDoesNotReadChokesQoS0: what may be lost pushes nothing out, and
// publishers leave the session out until its client reads again.
func TestAClientThatDoesNotReadChokesQoS0(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	dropped := func(why metrics.Drop) int64 { return d.env.Metrics.Dropped[why].Load() }
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	e.Pending.Store(d.limits.OutHigh)
	for i := range 5 {
		d.publish(msg(1, "t", fmt.Sprint(i)))
	}
	require.Zero(t, d.env.Metrics.Choked.Load())
	d.publish(msg(0, "t", "the session drops it"))
	require.EqualValues(t, 1, d.env.Metrics.Choked.Load())
	require.EqualValues(t, 1, dropped(metrics.DropQoS0Slow))

	f := d.pub.Table.Match("t", router.Options{Steps: 100, QoS0: true, Choked: true})
	require.Zero(t, f.Len())
	require.Equal(t, 1, f.Targets(), "there is a subscriber")
	f.Discard()
	d.publish(msg(0, "t", "the publisher drops it"))
	require.EqualValues(t, 2, dropped(metrics.DropQoS0Slow))
	require.Zero(t, dropped(metrics.DropNoSubscriber))
	d.publish(msg(1, "t", "5"))
	require.EqualValues(t, 1, dropped(metrics.DropQueueFull), "the oldest makes room for QoS 1")

	e.Pending.Store(0)
	d.tell(&cast.Drained{})
	require.Zero(t, d.env.Metrics.Choked.Load())
	require.Equal(t, []string{"q1 #1 1", "q1 #2 2", "q1 #3 3", "q1 #4 4"}, e.sent())
	d.publish(msg(0, "t", "6"))
	d.ack(e, packet.PUBACK, 1, 2)
	require.Equal(t, []string{"q1 #5 5", "q0 #0 6"}, e.sent())

	e.Pending.Store(d.limits.OutHigh)
	for range 7 {
		d.publish(msg(0, "t", "x"))
	}
	require.EqualValues(t, 1, d.env.Metrics.Choked.Load())
	d.detach(e, false)
	require.Zero(t, d.env.Metrics.Choked.Load(), "a client that is away reads when it comes back")
	d.publish(msg(0, "t", "x"))
	require.EqualValues(t, 2, dropped(metrics.DropQueueFull))
}

// TestARunTurnsAFullQueueOverAsItsMessagesWould: what a client that does not read is
// sent in runs leaves it where the same messages one by one do, and if those of QoS 0
// are lent it keeps none of them.
func TestARunTurnsAFullQueueOverAsItsMessagesWould(t *testing.T) {
	message.Scribble = true
	t.Cleanup(func() { message.Scribble = false })
	play := func(seed uint64, runs bool) (sent []string, figures []int64) {
		r := rand.New(rand.NewPCG(seed, 1))
		d := newDesk(t, stagetest.New(t))
		e := d.open(nil)
		d.subscribe(e, filter("t", 1))
		e.answered()
		e.Pending.Store(d.limits.OutHigh)
		sub := &cast.Subscription{Subscriber: &cast.Subscriber{Session: d.s.Cell()}, Filter: "t", QoS: packet.QoS(r.IntN(3)), Life: 1}
		var all []*message.Message
		for i := range 4 + r.IntN(30) {
			m := msg(packet.QoS(min(2, r.IntN(8))), "t", fmt.Sprint(i, strings.Repeat("x", []int{10, 10, 10, 700, 3000}[r.IntN(5)])))
			m.Retain = r.IntN(10) == 0
			if r.IntN(10) == 0 {
				m.Expiry = d.w.Clock.Now() + int64(r.IntN(2)*1e9)
			}
			all = append(all, m)
		}
		for len(all) > 0 {
			n := 1
			if cut := 1 + r.IntN(12); runs {
				n = min(cut, len(all))
			}
			run := &cast.Dispatch{Sub: sub, Messages: all[:n]}
			if runs {
				lend(run)
			}
			d.tell(run)
			all = all[n:]
		}
		figures = []int64{d.env.Metrics.QueuedBytes.Load()}
		for i := range d.env.Metrics.Dropped {
			figures = append(figures, d.env.Metrics.Dropped[i].Load())
		}
		e.Pending.Store(0)
		d.tell(&cast.Drained{})
		for id := packet.ID(1); id < 20; id++ {
			sent = append(sent, e.sent()...)
			d.ack(e, packet.PUBACK, id)
		}
		return sent, append(figures, d.env.Metrics.QueuedBytes.Load())
	}
	for seed := range uint64(80) {
		sent, figures := play(seed, false)
		inRuns, theirs := play(seed, true)
		require.Equal(t, sent, inRuns, "seed %d", seed)
		require.Equal(t, figures, theirs, "seed %d", seed)
	}
}

// lend makes what may be lent of a run messages of a loan.
func lend(d *cast.Dispatch) {
	d.Loan = message.Borrow()
	d.Loan.Hold()
	for i, m := range d.Messages {
		if m.QoS == packet.QoS0 && !m.Retain && m.Expiry == 0 {
			d.Messages[i] = d.Loan.FromPublish(&packet.Publish{Payload: m.Payload}, m.Topic, m.From, m.At)
		}
	}
}

// TestALentMessageIsCopiedWhereItIsKept: wherever it goes but to the client at once.
func TestALentMessageIsCopiedWhereItIsKept(t *testing.T) {
	message.Scribble = true
	t.Cleanup(func() { message.Scribble = false })
	lent := func(d *desk, payload string) *cast.Dispatch {
		run := d.onItsWay(msg(0, "t", payload))
		lend(run)
		return run
	}
	t.Run("sent at once", func(t *testing.T) {
		d := newDesk(t, stagetest.New(t))
		e := d.open(nil)
		d.subscribe(e, filter("t", 1))
		e.sent()
		run := lent(d, "1")
		m := run.Messages[0]
		d.tell(run)
		all := e.client.Take()
		require.Equal(t, "1", string(m.Payload), "the Deliver holds it")
		require.Same(t, m, all[len(all)-1].(*cast.Deliver).Deliveries[0].Message)
		all[len(all)-1].(*cast.Deliver).Release()
		require.Equal(t, "had back", string(m.Payload))
	})
	t.Run("queued", func(t *testing.T) {
		d := newDesk(t, stagetest.New(t))
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		d.tell(lent(d, "1"))
		e = d.attach(kept)
		require.Equal(t, []string{"q0 #0 1"}, e.sent())
	})
	t.Run("of a session that was replaced", func(t *testing.T) {
		d := newDesk(t, stagetest.New(t))
		e := d.open(nil)
		other := d.member("g", "t")
		d.subscribe(e, filter("$share/g/t", 1))
		run := lent(d, "1")
		d.attach(func(s *cast.StartSession) { s.CleanStart = true })
		d.tell(run)
		require.Equal(t, []string{"1"}, heard(other), "passed on")
	})
}

func TestAMessageThatExpiresInTheQueueIsNotSent(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	m := msg(1, "t", "short-lived")
	m.Expiry = d.w.Clock.Now() + int64(time.Second)
	d.publish(m)
	d.publish(msg(1, "t", "stays"))
	d.w.After(2 * time.Second)
	e = d.attach(kept)
	require.Equal(t, []string{"q1 #1 stays"}, e.sent())
	require.EqualValues(t, 1, d.env.Metrics.Dropped[metrics.DropExpired].Load())
}

func TestAFullOutBufferHoldsDeliveriesBack(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(nil)
	d.subscribe(e, filter("t", 0))
	e.Pending.Store(d.limits.OutHigh)
	d.publish(msg(0, "t", "1"))
	d.publish(msg(0, "t", "2"))
	require.Empty(t, e.sent())
	require.Len(t, e.Controls, 1, "it is told once when the buffer is below its low mark")
	require.Equal(t, cast.NotifyDrain, e.Controls[0].Op)
	e.Pending.Store(0)
	d.tell(&cast.Drained{})
	require.Equal(t, []string{"q0 #0 1", "q0 #0 2"}, e.sent())
}

func TestATakeoverTellsTheOldConnectionAndIgnoresWhatItSaysLater(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	first := d.open(kept)
	d.subscribe(first, filter("t", 1))
	d.publish(msg(1, "t", "x"))
	first.answered()
	second := d.attach(kept)
	require.Equal(t, []string{"kick 0x8e detached true"}, first.answered())
	require.Equal(t, []string{"q1 #1 x dup"}, second.sent())
	d.ack(first, packet.PUBACK, 1)
	d.tell(cast.NewReleases(first.epoch, cast.Release{ID: 1, Message: msg(2, "t", "late")}))
	d.subscribe(first, filter("late", 0))
	d.detach(first, true)
	require.Empty(t, first.answered())
	require.Empty(t, second.sent(), "the late message was not dispatched")
	d.ack(second, packet.PUBACK, 1)
}

// crashAtEnds makes the session crash whenever it is told of an end.
type crashAtEnds struct{}

// At implements cell.Hook.
func (crashAtEnds) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if p != cell.Decide || c.Kind().Name != "session" {
		return
	}
	switch m.(type) {
	case *cast.Detach, *cast.Destroy, *cell.TimerFired, *store.Committed:
		panic("injected")
	}
}

// TestWill: one will per death, at its time; also where all that says so is poison.
func TestWill(t *testing.T) {
	for name, tt := range map[string]struct {
		connect func(*cast.StartSession)
		then    func(*desk, *end)
		want    []string
	}{
		"a lost connection":                           {will("w", 0), func(d *desk, e *end) { d.detach(e, true) }, []string{"w"}},
		"an orderly end":                              {will("w", 0), func(d *desk, e *end) { d.detach(e, false) }, nil},
		"before the delay is over":                    {will("w", 10*time.Second), func(d *desk, e *end) { d.detach(e, true); d.w.After(9 * time.Second) }, nil},
		"after the delay":                             {will("w", 10*time.Second), func(d *desk, e *end) { d.detach(e, true); d.w.After(10 * time.Second) }, []string{"w"}},
		"a return before the delay is over":           {will("w", 10*time.Second), func(d *desk, e *end) { d.detach(e, true); d.attach(kept); d.w.After(time.Minute) }, nil},
		"a takeover without delay":                    {will("w", 0), func(d *desk, e *end) { d.attach(kept) }, []string{"w"}},
		"a takeover with delay":                       {will("w", 10*time.Second), func(d *desk, e *end) { d.attach(kept); d.w.After(time.Minute) }, nil},
		"the session's end before the delay is over":  {func(s *cast.StartSession) { will("w", time.Hour)(s); s.Expiry = 5 }, expireNow, []string{"w"}},
		"an operator's kick":                          {will("w", time.Hour), func(d *desk, e *end) { d.tell(&cast.Destroy{Reason: metrics.CloseKicked}) }, []string{"w"}},
		"a session that ends with its connection":     {func(s *cast.StartSession) { will("w", 0)(s); s.Expiry = 0 }, func(d *desk, e *end) { d.detach(e, true); d.tell(&cast.Destroy{}) }, []string{"w"}},
		"a second detach of a connection already off": {will("w", 0), func(d *desk, e *end) { d.detach(e, true); d.detach(e, true) }, []string{"w"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, hook := range []cell.Hook{nil, crashAtEnds{}} {
				d := newDesk(t, stagetest.New(t))
				witness := d.witness("will")
				e := d.open(tt.connect)
				cell.SetHook(hook)
				tt.then(d, e)
				cell.SetHook(nil)
				require.Equal(t, tt.want, heard(witness), "%T", hook)
			}
		})
	}
}

// expireNow plays the session manager's part at the end of the expiry.
func expireNow(d *desk, e *end) {
	d.detach(e, true)
	d.w.After(5 * time.Second)
	for _, m := range d.sm.Take() {
		x := m.(*cast.Expired)
		require.Equal(d.t, d.s.Cell(), x.Session)
		d.tell(&cast.Destroy{})
	}
}

func TestAWillIsDeletedInTheBatchThatPublishesItOrBefore(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(will("w", 10*time.Second))
	d.detach(e, true)
	d.engine.ops = nil
	d.w.After(10 * time.Second)
	var records int
	for _, op := range d.engine.ops {
		if op.Kind == store.PutSession {
			records++
			require.Nil(t, op.Record.Will, "a restart does not publish it again")
		}
	}
	require.Positive(t, records)
}

func TestASessionEndsWhenItsTimeIsOverAndNotBefore(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(func(s *cast.StartSession) { s.Expiry = 60 })
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	d.w.After(59 * time.Second)
	require.Empty(t, d.sm.Take())
	e = d.attach(func(s *cast.StartSession) { s.Expiry = 60 })
	d.w.After(time.Hour)
	require.Empty(t, d.sm.Take(), "connected sessions do not expire")
	d.detach(e, false)
	d.w.After(60 * time.Second)
	require.Len(t, d.sm.Take(), 1)
	d.tell(&cast.Destroy{})
	require.True(t, d.s.Cell().Ended())
	require.Zero(t, d.pub.Table.Subscriptions(), "no route stays behind")
}

func TestANewSessionHasNothingOfTheOld(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(nil) // ends with its connection
	d.subscribe(e, filter("t", 1))
	d.publish(msg(1, "t", "x"))
	e.sent()
	again, started := d.knock(nil)
	require.NotNil(t, started)
	require.False(t, started.Present)
	d.tell(&cast.Ready{Epoch: again.epoch})
	d.publish(msg(1, "t", "y"))
	require.Empty(t, again.sent())
}

// TestWhatWasOnItsWayToTheOldSessionIsNotForTheNew: a publisher found the old
// session in the routing table, and its message comes when the client has a new
// one [v3.1.1 MQTT-3.1.2-6, v5 MQTT-3.1.2-4]; of a shared subscription another
// member gets it.
func TestWhatWasOnItsWayToTheOldSessionIsNotForTheNew(t *testing.T) {
	for name, c := range map[string]struct {
		filter string
		other  []string
	}{
		"a subscription of its own": {"t", nil},
		"a shared subscription":     {"$share/g/t", []string{"x", "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			e := d.open(nil) // ends with its connection
			d.subscribe(e, filter(c.filter, 1))
			other := d.member("g", "t")
			late := []*cast.Dispatch{d.onItsWay(msg(0, "t", "x")), d.onItsWay(msg(1, "t", "y"))}
			again, _ := d.knock(nil)
			d.tell(&cast.Ready{Epoch: again.epoch})
			for _, m := range late {
				d.tell(m)
			}
			require.Empty(t, again.sent())
			require.Equal(t, c.other, heard(other))
			require.EqualValues(t, 2-len(c.other), d.env.Metrics.Dropped[metrics.DropSessionEnded].Load(), "nothing is dropped without a reason")
			require.Zero(t, d.env.Metrics.QueuedBytes.Load())
			d.subscribe(again, filter(c.filter, 1))
			d.tell(d.onItsWay(msg(1, "t", "z")))
			require.Equal(t, []string{"q1 #1 z"}, again.sent())
		})
	}
}

// TestWhatComesToASessionThatHasEndedIsDroppedOrPassedOn and is not kept by it.
func TestWhatComesToASessionThatHasEndedIsDroppedOrPassedOn(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("$share/g/t", 1), filter("u", 2))
	other := d.member("g", "t")
	late := []*cast.Dispatch{d.onItsWay(msg(1, "t", "x")), d.onItsWay(msg(1, "u", "y"))}
	d.engine.hold = true // so that it is not over at once
	d.publish(msg(2, "u", "waits for its packet id to be stored"))
	d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
	require.False(t, d.s.Cell().Ended())
	for _, m := range late {
		d.tell(m)
	}
	require.Equal(t, []string{"x"}, heard(other))
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())
	d.engine.hold = false
	d.sync()
	require.True(t, d.s.Cell().Ended())
}

// TestTheSessionManagerHearsWhenTheStoreHasNothingMore of a session that has ended,
// and not before, whichever commit it is that ends it there.
func TestTheSessionManagerHearsWhenTheStoreHasNothingMore(t *testing.T) {
	gone := func(d *desk) (out []string) {
		for _, m := range d.sm.Take() {
			if m, ok := m.(*cast.SessionGone); ok {
				out = append(out, fmt.Sprint(m.ClientID, " ", m.Number))
			}
		}
		return out
	}
	for name, end := range map[string]func(d *desk, e *end){
		"by an operator": func(d *desk, _ *end) { d.tell(&cast.Destroy{Reason: metrics.CloseKicked, Kept: true}) },
		"with a connection that took it over and was lost before its CONNACK": func(d *desk, _ *end) {
			e, started := d.knock(func(s *cast.StartSession) { s.Expiry = 0 })
			require.Nil(t, started)
			d.detach(e, true)
			d.tell(&cast.Destroy{Reason: metrics.CloseNormal, Kept: true})
		},
	} {
		d := newDesk(t, stagetest.New(t))
		e := d.open(kept)
		d.engine.hold = true
		end(d, e)
		require.Empty(t, gone(d), name)
		require.False(t, d.s.Cell().Ended(), name)
		d.engine.hold = false
		d.sync()
		require.Equal(t, []string{"c 1"}, gone(d), name)
		require.True(t, d.s.Cell().Ended(), name)
	}
	d := newDesk(t, stagetest.New(t))
	d.open(nil)
	d.tell(&cast.Destroy{Reason: metrics.CloseKicked})
	require.Empty(t, gone(d), "it never had anything")
	require.True(t, d.s.Cell().Ended())
}

func TestConnackWaitsForTheEndOfTheSessionsBefore(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.open(nil)
	d.engine.hold = true
	e, started := d.knockWith(nil, 7, 9)
	require.Nil(t, started)
	d.engine.hold = false
	d.sync()
	require.Equal(t, []string{"started present false"}, e.answered())
}

func TestConnackWaitsForTheSessionsRecord(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.detach(e, false)
	d.engine.hold = true
	e, started := d.knock(kept)
	require.Nil(t, started)
	d.sync()
	require.Equal(t, []string{"started present true"}, e.answered())
}

func TestTooManySubscriptionsAreRefusedOneByOne(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(nil)
	var all []packet.Subscription
	for i := range 6 {
		all = append(all, filter(fmt.Sprint("t/", i), 0))
	}
	d.subscribe(e, all...)
	require.Equal(t, []string{"SUBACK [success success success success quota exceeded quota exceeded]"}, e.answered())
}

// TestASharedMessageOfASessionThatEndsGoesToOneOtherMemberOnce: what the lost
// connection has passed on already, the end of the session does not pass on
// again.
func TestASharedMessageOfASessionThatEndsGoesToOneOtherMemberOnce(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("$share/g/t", 1))
	d.publish(msg(1, "t", "x"))
	require.Equal(t, []string{"q1 #1 x"}, e.sent())
	other := d.member("g", "t")
	d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
	require.Equal(t, []string{"x"}, heard(other))
}

// crowded is a session that subscribes to n filters, t/0 and on.
func crowded(d *desk, n int, change func(*cast.StartSession)) *end {
	d.limits.MaxSubscriptions = n
	e := d.open(change)
	filters := make([]packet.Subscription, n)
	for i := range filters {
		filters[i] = filter(fmt.Sprint("t/", i), 1)
	}
	d.subscribe(e, filters...)
	return e
}

// TestTheEndOfASessionOfVeryManySubscriptionsComesInParts: at once it would hold up
// every client of its loop.
func TestTheEndOfASessionOfVeryManySubscriptionsComesInParts(t *testing.T) {
	const parts, turn = 4, 10 * time.Millisecond
	d := newDesk(t, stagetest.New(t))
	crowded(d, (parts-1)*cast.MaxChanges+1, kept)
	d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
	left := d.pub.Table.Subscriptions()
	require.EqualValues(t, (parts-2)*cast.MaxChanges+1, left)
	require.EqualValues(t, left, d.pub.Table.Subscriptions())
	for i := range parts * cast.MaxChanges {
		d.publish(msg(1, fmt.Sprint("t/", i), "nobody's"))
	}
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())
	for range parts - 2 {
		require.False(t, d.s.Cell().Ended())
		d.w.After(turn)
		left = max(0, left-cast.MaxChanges)
		require.EqualValues(t, left, d.pub.Table.Subscriptions())
	}
	require.False(t, d.s.Cell().Ended(), "one is left")
	d.w.After(turn)
	require.True(t, d.s.Cell().Ended())
	require.Zero(t, d.pub.Table.Subscriptions())
	require.Zero(t, d.pub.Table.Subscriptions())
}

func TestACrashAtAnyStepOfALongEndIsSeenByNobody(t *testing.T) {
	stagetest.AtEveryStep(t, "session", func(t *testing.T, w *stagetest.World) (out []string) {
		d := newDesk(t, w)
		other := d.member("g", "t/1")
		e := crowded(d, cast.MaxChanges+1, kept)
		d.publish(msg(1, "t/1", "one"))
		d.tell(&cast.Destroy{Reason: metrics.CloseKicked})
		for i := range cast.MaxChanges + 1 { // which one of its filters is left is chance, that one is left is not
			d.publish(msg(1, fmt.Sprint("t/", i), "two"))
		}
		d.w.After(0)
		out = append(out, e.sent()...)
		out = append(out, e.answered()...)
		out = append(out, heard(other)...)
		return append(out, fmt.Sprint(d.s.Cell().Ended(), d.env.Metrics.QueuedBytes.Load(), d.pub.Table.Subscriptions()))
	})
}

// TestACrashAtAnyStepIsSeenByNobody plays a session's life with a death of its
// actor at every step.
func TestACrashAtAnyStepIsSeenByNobody(t *testing.T) {
	stagetest.AtEveryStep(t, "session", func(t *testing.T, w *stagetest.World) (out []string) {
		d := newDesk(t, w)
		witness := d.witness("will")
		d.publish(retained(1, "t/r", "retained"))
		e := d.open(will("w", time.Second))
		d.subscribe(e, packet.Subscription{Filter: "t/+", QoS: 2})
		for i := range 3 {
			d.publish(msg(packet.QoS(i), "t/x", fmt.Sprint(i)))
		}
		d.ack(e, packet.PUBACK, 1)
		d.ack(e, packet.PUBREC, 3)
		d.tell(cast.NewReleases(e.epoch, cast.Release{ID: 5, Message: msg(2, "t/y", "own")}))
		d.tell(cast.NewReleases(e.epoch, cast.Release{ID: 5}))
		out = append(out, e.sent()...)
		out = append(out, e.answered()...)
		d.detach(e, true)
		d.publish(msg(1, "t/x", "offline"))
		d.w.After(time.Second)
		e = d.attach(kept)
		d.ack(e, packet.PUBCOMP, 3)
		d.tell(&cast.Unsubscribe{Epoch: e.epoch, Packet: &packet.Unsubscribe{ID: 2, Filters: []string{"t/+", "u"}}})
		d.publish(msg(1, "t/x", "nobody's"))
		out = append(out, e.sent()...)
		out = append(out, e.answered()...)
		out = append(out, heard(witness)...)
		d.tell(&cast.Destroy{Reason: metrics.CloseKicked})
		out = append(out, e.answered()...)
		return append(out, fmt.Sprint(d.s.Cell().Ended(), d.env.Metrics.QueuedBytes.Load(), d.pub.Table.Subscriptions()))
	})
}
