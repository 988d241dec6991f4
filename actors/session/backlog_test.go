// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/stagetest"
)

// inWindows runs a test with all of the queue in memory (0), and with windows that a
// few messages exceed.
func inWindows(t *testing.T, test func(t *testing.T, d *desk)) {
	for _, window := range []int{0, 1, 2, 3, 100} {
		t.Run(fmt.Sprint("a window of ", window), func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			d.limits.QueueWindow, d.limits.MaxQueued = window, 20
			if window == 0 {
				d.pub.Reader = nil
			}
			test(t, d)
			require.Zero(t, d.env.Metrics.QueuedBytes.Load())
			require.Empty(t, d.owed())
		})
	}
}

// drain acknowledges what comes until nothing does, and returns all of it.
func (d *desk) drain(e *end) (got []string) {
	d.t.Helper()
	for {
		lines := e.sent()
		if len(lines) == 0 {
			return got
		}
		for _, line := range lines {
			var qos, id int
			var payload, rest string
			_, _ = fmt.Sscanf(line, "q%d #%d %s %s", &qos, &id, &payload, &rest)
			got = append(got, payload+rest)
			switch qos {
			case 1:
				d.ack(e, packet.PUBACK, packet.ID(id))
			case 2:
				d.ack(e, packet.PUBREC, packet.ID(id))
				require.Equal(d.t, fmt.Sprint("PUBREL #", id), e.sent()[0])
				d.ack(e, packet.PUBCOMP, packet.ID(id))
			}
		}
	}
}

func one(s *cast.StartSession) { kept(s); s.ReceiveMaximum = 1 }

// numbered publishes n messages, from a number on.
func (d *desk) numbered(qos packet.QoS, from, n int) (payloads []string) {
	for i := range n {
		payloads = append(payloads, fmt.Sprint(from+i))
		d.publish(msg(qos, "t", payloads[i]))
	}
	return payloads
}

func TestWhatWaitsComesInItsOrderWhereverItWaits(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(one)
		d.subscribe(e, filter("t", 2))
		want := d.numbered(1, 0, 5) // to a client that takes one at a time
		d.detach(e, false)
		want = append(want, d.numbered(1, 5, 5)...) // to nobody
		require.Equal(t, 9, session.Look(d.s.Cell()).Queued)
		e = d.attach(one)
		want[0] += "dup"
		want = append(want, d.numbered(1, 10, 5)...) // while it fetches
		require.Equal(t, want, d.drain(e))
		require.Zero(t, session.Look(d.s.Cell()).Queued)
		d.publish(msg(1, "t", "live"))
		require.Equal(t, []string{"live"}, d.drain(e))
	})
}

func TestQoS0AndQoS2WaitInOneLineWithWhatTheStoreHas(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 2))
		d.detach(e, false)
		for i := range 12 {
			d.numbered(packet.QoS(i%3), i, 1)
		}
		// A QoS 2 message leaves behind the commit of its packet id, QoS 0 at once.
		require.Equal(t, strings.Fields("0 1 3 2 4 6 5 7 9 8 10 11"), d.drain(d.attach(one)))
	})
}

func TestAtItsBoundsAQueueDropsTheOldestWhereverItWaits(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		d.limits.MaxQueued = 6
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		d.numbered(1, 0, 10)
		require.Equal(t, []string{"4", "5", "6", "7", "8", "9"}, d.owed(), "the store has dropped them, too")
		require.EqualValues(t, 4, d.env.Metrics.Dropped[metrics.DropQueueFull].Load())
		d.limits.MaxQueuedBytes = 4 * msg(1, "t", "0").Size()
		d.numbered(1, 10, 1) // two bytes
		require.Equal(t, []string{"8", "9", "10"}, d.owed())
		require.EqualValues(t, 3, d.env.Metrics.Dropped[metrics.DropQueueBytes].Load())
		d.numbered(0, 11, 2) // have no room
		require.EqualValues(t, 5, d.env.Metrics.Dropped[metrics.DropQueueBytes].Load())
		require.Equal(t, []string{"8", "9", "10"}, d.drain(d.attach(one)))
	})
}

func TestWhatExpiresWhileItWaitsIsDroppedWhereverItWaits(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		for i := range 6 {
			m := msg(1, "t", fmt.Sprint(i))
			if i%2 == 0 {
				m.Expiry = d.w.Clock.Now() + int64(time.Minute)
			}
			d.publish(m)
		}
		d.w.After(time.Minute)
		require.Equal(t, []string{"1", "3", "5"}, d.drain(d.attach(one)))
		require.EqualValues(t, 3, d.env.Metrics.Dropped[metrics.DropExpired].Load())
	})
}

func TestWhatTheStoreHasDroppedByItselfHasExpired(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	d.numbered(1, 0, 5)
	for seq := range uint64(3) {
		d.engine.Write([]*store.Commit{{Ops: []store.Op{{Kind: store.Discard, Session: 1, Message: &message.Message{ID: message.ID{Seq: seq + 1}}}}}},
			func(err error) { require.NoError(t, err) })
	}
	require.Equal(t, []string{"3", "4"}, d.drain(d.attach(kept)))
	require.EqualValues(t, 3, d.env.Metrics.Dropped[metrics.DropExpired].Load())
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())
}

func TestWhatIsNotWrittenYetIsFetchedBehindItsCommit(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		want := d.numbered(1, 0, 3)
		e, _ = d.knock(kept)
		d.engine.hold = true
		want = append(want, d.numbered(1, 3, 4)...)
		d.tell(&cast.Ready{Epoch: e.epoch})
		d.engine.hold = false
		d.sync()
		require.Equal(t, want, d.drain(e))
		require.Zero(t, d.env.Metrics.Dropped[metrics.DropExpired].Load())
	})
}

func TestABusyPoolIsAskedAgain(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	busy := 2
	d.pub.Reader.Try = func(read func()) bool {
		busy--
		if busy < 0 {
			read()
		}
		return busy < 0
	}
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	want := d.numbered(1, 0, 4)
	require.Equal(t, want, d.drain(d.attach(kept)))
	require.Negative(t, busy)
}

// broken is an engine that cannot read.
type broken struct{ *slow }

func (broken) Fetch(uint64, []uint64) ([]*message.Message, error) { return nil, errors.New("no disk") }

func TestAStoreThatCannotBeReadCostsTheConnectionAndNoMessage(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	want := d.numbered(1, 0, 4)
	d.pub.Reader.Engine = broken{d.engine}
	e = d.attach(kept)
	require.Equal(t, []string{"kick 0x88 detached false"}, e.answered())
	d.detach(e, false)
	d.pub.Reader.Engine = d.engine
	require.Equal(t, want, d.drain(d.attach(kept)))
}

// TestAFetchThatAConnectionDoesNotLiveToSee: its answer is nobody's; the next
// connection asks itself.
func TestAFetchThatAConnectionDoesNotLiveToSee(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	var late []func()
	d.pub.Reader.Try = func(read func()) bool { late = append(late, read); return true }
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	want := d.numbered(1, 0, 4)
	answer := func() {
		first := late[0]
		late = late[1:]
		first()
		d.w.Drain()
	}
	e = d.attach(kept)
	d.detach(e, false)
	answer()
	e = d.attach(kept)
	d.detach(e, false)
	e = d.attach(kept) // while the fetch of the one before is under way
	require.Len(t, late, 2)
	var got []string
	for len(late) > 0 {
		answer()
		got = append(got, d.drain(e)...)
	}
	require.Equal(t, want, got)
}

func TestWhatIsDroppedWhileItIsFetchedDoesNotComeBack(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.limits.MaxQueued = 4
	var late []func()
	d.pub.Reader.Try = func(read func()) bool { late = append(late, read); return true }
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	d.numbered(1, 0, 4)
	e = d.attach(kept)
	d.numbered(1, 4, 3) // drops 0, 1 and 2
	var got []string
	for len(late) > 0 {
		first := late[0]
		late = late[1:]
		first()
		d.w.Drain()
		got = append(got, d.drain(e)...)
	}
	require.Equal(t, []string{"3", "4", "5", "6"}, got)
	require.EqualValues(t, 3, d.env.Metrics.Dropped[metrics.DropQueueFull].Load())
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())
}

// TestABacklogIsDeliveredToASessionThatEndsWithItsConnection: the store keeps what
// waits as long as it is wanted [v5 3.1.2.11.2].
func TestABacklogIsDeliveredToASessionThatEndsWithItsConnection(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		want := d.numbered(1, 0, 6)
		e = d.attach(func(s *cast.StartSession) { s.ReceiveMaximum = 1 })
		want = append(want, d.numbered(1, 6, 6)...)
		require.Equal(t, want, d.drain(e))
		d.numbered(1, 12, 6)
		d.detach(e, false)
		d.tell(&cast.Destroy{Reason: metrics.ClosePeer})
		require.True(t, d.s.Cell().Ended())
		d.sync()
		require.NoError(t, d.engine.Sessions(func(s store.Stored) bool {
			require.Fail(t, "the store still has the session")
			return false
		}))
	})
}

func TestTheEndOfASessionCountsItsBacklog(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		d.numbered(1, 0, 6)
		d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
		require.EqualValues(t, 6, d.env.Metrics.Dropped[metrics.DropSessionEnded].Load())
	})
}

// TestWhatNoSubscriptionHasAnyMoreIsDropped [v3.1.1 3.10.4, v5 3.10.4].
func TestWhatNoSubscriptionHasAnyMoreIsDropped(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 1), filter("u", 1))
		d.detach(e, false)
		for i := range 6 {
			d.publish(msg(1, []string{"t", "u"}[i%2], fmt.Sprint(i)))
		}
		e, _ = d.knock(one)
		d.tell(&cast.Unsubscribe{Epoch: e.epoch, Packet: &packet.Unsubscribe{ID: 2, Filters: []string{"t"}}})
		d.tell(&cast.Ready{Epoch: e.epoch})
		require.Equal(t, []string{"1", "3", "5"}, d.drain(e))
		require.EqualValues(t, 3, d.env.Metrics.Dropped[metrics.DropUnsubscribed].Load())
	})
}

// TestAReplacedSubscriptionDoesNotChangeWhatWaits: what waited for
// QoS 1 keeps its QoS.
func TestAReplacedSubscriptionDoesNotChangeWhatWaits(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		d.numbered(1, 0, 4)
		e, _ = d.knock(kept)
		d.subscribe(e, filter("t", 0))
		d.tell(&cast.Ready{Epoch: e.epoch})
		require.Equal(t, []string{"q1 #1 0", "q1 #2 1", "q1 #3 2", "q1 #4 3"}, e.sent())
		d.ack(e, packet.PUBACK, 1, 2, 3, 4)
	})
}

func TestAMemberOfAGroupHasItsQueueInMemory(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.limits.MaxQueued = 20
	e := d.open(one)
	d.subscribe(e, filter("$share/g/t", 1), filter("u", 1))
	d.pub.Reader = nil // it would be asked
	want := []string{"0", "1", "2", "3", "4", "5"}
	for i := range 6 {
		d.publish(msg(1, []string{"t", "u"}[i%2], fmt.Sprint(i)))
	}
	require.Equal(t, want, d.drain(e))
}

func TestARestartLeavesWhatWaitsInTheStore(t *testing.T) {
	for _, window := range []int{1, 2, 3, 100} {
		d := newDesk(t, stagetest.New(t))
		d.limits.QueueWindow, d.limits.MaxQueued = window, 20
		e := d.open(kept)
		d.subscribe(e, filter("t", 2))
		d.detach(e, false)
		d.numbered(1, 0, 3)
		d.numbered(2, 3, 3)
		d.sync()
		size := d.env.Metrics.QueuedBytes.Load()
		require.NoError(t, d.engine.Resume(func(in store.Stored) bool {
			require.Empty(t, in.Queue)
			in.Record.Disconnected = 0 // it was killed
			in.Waiting[2].Found = true
			d.s = session.Restore(session.Kind(d.env), d.pub, in, d.w.Group, d.w.Clock.Now(), 0)
			return false
		}))
		require.Equal(t, 2*size, d.env.Metrics.QueuedBytes.Load(), "the one before is still there")
		require.Equal(t, 6, session.Look(d.s.Cell()).Queued)
		d.w.Start(d.s.Cell())
		e = d.attach(func(s *cast.StartSession) { kept(s); s.ReceiveMaximum = 3 })
		require.Equal(t, []string{"q1 #1 0 dup", "q1 #2 1 dup", "q1 #3 2 dup retained"}, e.sent())
		d.ack(e, packet.PUBACK, 1, 2, 3)
		require.Equal(t, []string{"3", "4", "5"}, d.drain(e))
		require.Empty(t, d.owed())
	}
}

func TestAFetchedMessageThatCrashesTheSessionIsADeadLetter(t *testing.T) {
	d, off := poisoned(t, func(l *cast.Limits) { l.QueueWindow, l.MaxQueued = 4, 20 })
	off()
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.detach(e, false)
	for _, payload := range []string{"0", "bad", "2", "3", "4", "5"} {
		d.publish(msg(1, "t", payload))
	}
	cell.SetHook(crashOn("bad"))
	e = d.attach(kept)
	require.Equal(t, []string{"0", "2", "3", "4", "5"}, d.drain(e))
	require.Equal(t, []string{"q1 bad: cannot take bad"}, payloads(d.ask(session.ListDead).Letters))
	require.Empty(t, d.owed())
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())
}

// crashFetched makes the session crash at the answers of fetches, as often as it says.
type crashFetched struct{ left *int }

// At implements cell.Hook.
func (h crashFetched) At(_ *cell.Cell, p cell.Phase, m cell.Message) {
	if _, ok := m.(*store.Fetched); ok && p == cell.Decide && *h.left > 0 {
		*h.left--
		panic("an injected fault")
	}
}

func TestACrashAtAFetchCostsNothingAndTwoCostWhatWasFetched(t *testing.T) {
	for crashes, want := range []string{"[0 1 2 3 4 5]", "[0 1 2 3 4 5]", "[2 3 4 5]"} {
		d, _ := poisoned(t, func(l *cast.Limits) { l.QueueWindow, l.MaxQueued = 2, 20 })
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		d.numbered(1, 0, 6)
		cell.SetHook(crashFetched{&crashes})
		require.Equal(t, want, fmt.Sprint(d.drain(d.attach(kept))))
		require.Empty(t, d.owed())
		require.Zero(t, d.env.Metrics.QueuedBytes.Load())
	}
}

// TestACrashAtAnyStepOfABacklogIsSeenByNobody plays the way of what waits with a
// death of the session's actor at every step.
func TestACrashAtAnyStepOfABacklogIsSeenByNobody(t *testing.T) {
	stagetest.AtEveryStep(t, "session", func(t *testing.T, w *stagetest.World) []string {
		d := newDesk(t, w)
		d.limits.QueueWindow, d.limits.MaxQueued = 2, 4
		e := d.open(kept)
		d.subscribe(e, filter("t", 2))
		d.detach(e, false)
		d.numbered(2, 0, 1)
		d.numbered(0, 1, 1)
		d.numbered(1, 2, 4) // drops the first two
		got := d.drain(d.attach(one))
		return append(got, fmt.Sprint(d.owed(), d.env.Metrics.QueuedBytes.Load(), d.env.Metrics.Dropped[metrics.DropQueueFull].Load()))
	})
}

// TestAMemberWithABacklogHasOneLine: what comes by the group stands behind what the
// store has, and goes to another member when the client or its session does.
func TestAMemberWithABacklogHasOneLine(t *testing.T) {
	inWindows(t, func(t *testing.T, d *desk) {
		e := d.open(kept)
		d.subscribe(e, filter("t", 1))
		d.detach(e, false)
		want := d.numbered(1, 0, 4)
		e = d.attach(one)
		d.subscribe(e, filter("$share/g/+", 1))
		for _, x := range d.numbered(1, 4, 3) {
			want = append(want, x, x) // by both
		}
		require.Equal(t, want, d.drain(e))

		d.detach(e, false)
		d.numbered(1, 0, 6)
		e = d.attach(one)
		d.publish(msg(1, "u", "the group's"))
		other := d.member("g", "+")
		d.detach(e, false)
		require.Equal(t, []string{"the group's"}, heard(other))
		d.publish(msg(1, "t", "the group's and its own"))
		d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
		d.sync()
	})
}
