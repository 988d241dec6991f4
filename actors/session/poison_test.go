// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"strings"
	"testing"

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

// crashOn makes the session crash whenever its decision is busy with a message
// whose payload has such a prefix.
type crashOn string

// At implements cell.Hook.
func (prefix crashOn) At(c *cell.Cell, p cell.Phase, _ cell.Message) {
	if m, ok := c.Blamed().(*message.Message); ok && p == cell.Decide && c.Kind().Name == "session" && strings.HasPrefix(string(m.Payload), string(prefix)) {
		panic("cannot take " + string(m.Payload))
	}
}

func poisoned(t *testing.T, change func(*cast.Limits)) (*desk, func()) {
	d := newDesk(t, stagetest.New(t))
	d.limits.MaxDead, d.limits.MaxDeadBytes = 3, 1<<12
	d.pub.Dead = session.NewGraveyard()
	if change != nil {
		change(&d.limits)
	}
	off := func() { cell.SetHook(nil) }
	t.Cleanup(off)
	cell.SetHook(crashOn("bad"))
	return d, off
}

// ask is an operator's request.
func (d *desk) ask(op session.DeadOp, serials ...uint64) session.DeadReply {
	d.t.Helper()
	r := &session.DeadRequest{Op: op, Serials: serials, Reply: make(chan session.DeadReply, 1)}
	d.tell(r)
	require.Len(d.t, r.Reply, 1, "no reply")
	return <-r.Reply
}

func payloads(letters []*store.Dead) (out []string) {
	for _, x := range letters {
		out = append(out, fmt.Sprintf("q%d %s: %s", x.QoS, x.Message.Payload, x.Reason))
	}
	return out
}

func TestADeliveryThatCrashesTheSessionIsADeadLetterAndItsRunGoesOn(t *testing.T) {
	d, off := poisoned(t, nil)
	e := d.open(nil)
	d.subscribe(e, filter("t", 1))
	e.answered()
	run := &cast.Dispatch{Sub: &cast.Subscription{Subscriber: &cast.Subscriber{Session: d.s.Cell()}, Filter: "t", QoS: 1, Life: 1}}
	for _, payload := range []string{"0", "bad 1", "2", "bad 3", "4"} {
		run.Messages = append(run.Messages, msg(1, "t", payload))
	}
	d.tell(run)
	require.Equal(t, []string{"q1 #1 0", "q1 #2 2", "q1 #3 4"}, e.sent())
	require.Empty(t, e.answered(), "the subscriber is not at fault: its connection goes on")
	list := d.ask(session.ListDead)
	require.Equal(t, []string{"q1 bad 1: cannot take bad 1", "q1 bad 3: cannot take bad 3"}, payloads(list.Letters))
	require.EqualValues(t, 2, d.env.Metrics.DeadLetters.Load())
	graves := d.pub.Dead.Graves()
	require.Len(t, graves, 1)
	require.Equal(t, "c", graves[0].ClientID)
	require.Equal(t, 2, graves[0].Letters)
	require.Zero(t, d.env.Metrics.Dropped[metrics.DropPoison].Load(), "kept is not dropped")

	again := d.ask(session.ReplayDead)
	require.ErrorIs(t, again.Err, session.ErrPoison)
	require.Len(t, d.ask(session.ListDead).Letters, 2, "a replay that crashes changes nothing")
	off()
	d.ack(e, packet.PUBACK, 1, 2, 3)
	require.Equal(t, []string{"q1 bad 3: cannot take bad 3"}, payloads(d.ask(session.ReplayDead, list.Letters[1].Serial).Letters))
	require.Equal(t, []string{"q1 #4 bad 3"}, e.sent())
	require.Equal(t, []string{"q1 bad 1: cannot take bad 1"}, payloads(d.ask(session.DeleteDead).Letters))
	require.EqualValues(t, 1, d.env.Metrics.Dropped[metrics.DropDeadDeleted].Load())
	require.Zero(t, d.env.Metrics.DeadLetters.Load())
	require.EqualValues(t, 2, d.env.Metrics.DeadLettered.Load())
	require.Empty(t, d.pub.Dead.Graves())
}

// TestWhatWaitsInASessionAndCrashesItIsADeadLetter: the message in work is not
// the cause, and is not what pays: it is handled once the cause is out of the way.
func TestWhatWaitsInASessionAndCrashesItIsADeadLetter(t *testing.T) {
	d, off := poisoned(t, nil)
	off()
	e := d.open(kept)
	d.subscribe(e, filter("t", 2))
	d.publish(msg(1, "t", "bad in flight"))
	require.Equal(t, []string{"q1 #1 bad in flight"}, e.sent())
	d.detach(e, false)
	for _, payload := range []string{"bad 1", "2", "bad 3", "4"} {
		d.publish(msg(1, "t", payload))
	}
	d.sync()
	cell.SetHook(crashOn("bad"))
	e = d.attach(kept) // Ready crashes at three messages, one after the other
	require.Equal(t, []string{"q1 #2 2", "q1 #3 4"}, e.sent())
	require.Equal(t, []string{"q1 bad in flight: cannot take bad in flight", "q1 bad 1: cannot take bad 1", "q1 bad 3: cannot take bad 3"},
		payloads(d.ask(session.ListDead).Letters))
	require.Empty(t, e.answered())
	d.ack(e, packet.PUBACK, 2, 3)
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())

	d.sync() // and so it is after a restart of the broker
	var stored []store.Stored
	require.NoError(t, d.engine.Sessions(func(s store.Stored) bool { stored = append(stored, s); return true }))
	require.Len(t, stored, 1)
	require.Len(t, stored[0].Dead, 3)
	require.Empty(t, stored[0].Queue)
	require.Empty(t, stored[0].Inflight)
}

func TestARetainedMessageThatCrashesTheSessionIsADeadLetter(t *testing.T) {
	d, _ := poisoned(t, nil)
	for _, name := range []string{"r/1", "r/2", "r/3"} {
		d.publish(retained(1, name, map[string]string{"r/1": "1", "r/2": "bad", "r/3": "3"}[name]))
	}
	e := d.open(nil)
	d.subscribe(e, filter("r/#", 1))
	got := strings.Join(e.sent(), ", ") // in no order
	require.Equal(t, 2, strings.Count(got, " retained"), got)
	require.NotContains(t, got, "bad")
	letters := d.ask(session.ListDead).Letters
	require.Equal(t, []string{"q1 bad: cannot take bad"}, payloads(letters))
	require.True(t, letters[0].Retain)
}

func TestDeadLettersAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*cast.Limits)
		kept    string
		reasons map[metrics.Drop]int64
	}{
		{"by count", nil, "bad 2, bad 3, bad 4", map[metrics.Drop]int64{metrics.DropDeadFull: 2}},
		{"by bytes", func(l *cast.Limits) { l.MaxDeadBytes = 2 * msg(1, "t", "bad 0").Size() }, "bad 3, bad 4", map[metrics.Drop]int64{metrics.DropDeadFull: 3}},
		{"by the size of one", func(l *cast.Limits) { l.MaxDeadBytes = msg(1, "t", "bad 0").Size() - 1 }, "", map[metrics.Drop]int64{metrics.DropPoison: 5}},
		{"none are wanted", func(l *cast.Limits) { l.MaxDead = 0 }, "", map[metrics.Drop]int64{metrics.DropPoison: 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := poisoned(t, tt.change)
			e := d.open(kept)
			d.subscribe(e, filter("t", 1))
			for i := range 5 {
				d.publish(msg(1, "t", fmt.Sprint("bad ", i)))
			}
			var got []string
			for _, x := range d.ask(session.ListDead).Letters {
				got = append(got, string(x.Message.Payload))
			}
			require.Equal(t, tt.kept, strings.Join(got, ", "))
			for _, r := range []metrics.Drop{metrics.DropDeadFull, metrics.DropPoison} {
				require.Equal(t, tt.reasons[r], d.env.Metrics.Dropped[r].Load(), r)
			}
			require.EqualValues(t, len(got), d.env.Metrics.DeadLetters.Load())
			d.sync()
			require.NoError(t, d.engine.Sessions(func(s store.Stored) bool {
				require.Len(t, s.Dead, len(got))
				require.Empty(t, s.Queue)
				return true
			}))
		})
	}
}

// TestAReplayedDeadLetterIsStoredAsANewMessage: what is replayed for a client
// that is away waits for it, and is there after a restart.
func TestAReplayedDeadLetterIsStoredAsANewMessage(t *testing.T) {
	d, off := poisoned(t, nil)
	e := d.open(kept)
	d.subscribe(e, filter("t", 1))
	d.publish(msg(1, "t", "bad"))
	off()
	d.detach(e, false)
	d.publish(msg(1, "t", "later"))
	require.Len(t, d.ask(session.ReplayDead).Letters, 1)
	d.sync()
	require.NoError(t, d.engine.Sessions(func(s store.Stored) bool {
		require.Empty(t, s.Dead)
		require.Len(t, s.Queue, 2)
		require.Equal(t, "bad", string(s.Queue[1].Payload))
		require.Greater(t, s.Queue[1].ID.Seq, s.Queue[0].ID.Seq)
		return true
	}))
	e = d.attach(kept)
	require.Equal(t, []string{"q1 #1 later", "q1 #2 bad"}, e.sent())
}

func TestANewSessionHasNoDeadLettersOfTheOld(t *testing.T) {
	d, _ := poisoned(t, nil)
	e := d.open(nil)
	d.subscribe(e, filter("t", 1))
	d.publish(msg(1, "t", "bad"))
	require.Len(t, d.pub.Dead.Graves(), 1)
	d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
	require.Empty(t, d.pub.Dead.Graves())
	require.Zero(t, d.env.Metrics.DeadLetters.Load())
	require.EqualValues(t, 1, d.env.Metrics.Dropped[metrics.DropSessionEnded].Load())
	r := &session.DeadRequest{Reply: make(chan session.DeadReply, 1)}
	d.s.Cell().Push(r)
	require.ErrorIs(t, (<-r.Reply).Err, session.ErrNoSession)
}
