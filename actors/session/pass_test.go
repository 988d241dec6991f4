// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/protocol/packet"
	"emqttd/supervisor/stagetest"
)

// owed is what the store has for the session, waiting or in flight.
func (d *desk) owed() (out []string) {
	d.t.Helper()
	require.NoError(d.t, d.engine.Sessions(func(s store.Stored) bool {
		for _, x := range s.Inflight {
			out = append(out, "sent "+string(x.Message.Payload))
		}
		for _, m := range s.Queue {
			out = append(out, string(m.Payload))
		}
		return true
	}))
	return out
}

// TestQoS2OfAMemberThatIsAwayStaysUntilItsSessionHasEndedInTheStore: QoS 1 goes to
// another member when the client is gone, and the store has it no more for the
// first [v5 MQTT-4.8.2-4 -5]. Had QoS 2 gone as well, a kill would have brought it
// back to the first member.
func TestQoS2OfAMemberThatIsAwayStaysUntilItsSessionHasEndedInTheStore(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(func(s *cast.StartSession) { kept(s); s.ReceiveMaximum = 1 })
	d.subscribe(e, filter("$share/g/t", 2))
	d.publish(msg(1, "t", "sent"))
	d.publish(msg(2, "t", "two"))
	d.publish(msg(1, "t", "one"))
	d.publish(msg(0, "t", "zero"))
	require.Equal(t, []string{"q1 #1 sent"}, e.sent())
	require.Equal(t, []string{"sent sent", "two", "one"}, d.owed())
	other := d.member("g", "t")
	d.detach(e, false)
	require.ElementsMatch(t, []string{"sent", "one", "zero"}, heard(other))
	require.Equal(t, []string{"two"}, d.owed())
	d.engine.hold = true
	d.tell(&cast.Destroy{Reason: metrics.CloseTakeover})
	require.Empty(t, heard(other), "a kill would give it back to the first")
	require.False(t, d.s.Cell().Ended())
	d.sync()
	require.Equal(t, []string{"two"}, heard(other))
	require.True(t, d.s.Cell().Ended())
	require.Zero(t, d.env.Metrics.QueuedBytes.Load())
	require.Zero(t, d.env.Metrics.Dropped[metrics.DropSessionEnded].Load())
}

// TestWhatIsTheSessionsOwnTooStaysWithIt: the store has such a message once, for
// both subscriptions; struck off for the group it would be lost to the session.
func TestWhatIsTheSessionsOwnTooStaysWithIt(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(func(s *cast.StartSession) { kept(s); s.ReceiveMaximum = 1 })
	d.subscribe(e, filter("$share/g/+", 1), filter("t", 1))
	d.publish(msg(1, "t", "sent"))
	d.publish(msg(1, "t", "waits"))
	d.publish(msg(1, "u", "the group's"))
	other := d.member("g", "+")
	d.detach(e, false)
	require.Equal(t, []string{"the group's"}, heard(other))
	require.Equal(t, []string{"sent sent", "waits"}, d.owed())
}

// TestQoS2OfASessionThatIsReplacedIsPassedOnBehindTheRecordOfTheNew: the same in
// one cell, when the time of the session is over and its client comes back.
func TestQoS2OfASessionThatIsReplacedIsPassedOnBehindTheRecordOfTheNew(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	e := d.open(func(s *cast.StartSession) { s.Expiry = 1; s.ReceiveMaximum = 1 })
	d.subscribe(e, filter("$share/g/t", 2))
	for _, payload := range []string{"sent", "two"} {
		d.publish(msg(2, "t", payload))
	}
	late := d.onItsWay(msg(2, "t", "late"))
	other := d.member("g", "t")
	d.detach(e, false)
	d.w.After(2 * time.Second)
	d.engine.hold = true
	again, started := d.knock(kept)
	require.Nil(t, started)
	d.tell(late)
	require.Empty(t, heard(other))
	d.sync()
	require.Equal(t, []string{"started present false"}, again.answered())
	require.Equal(t, []string{"two", "late"}, heard(other), "what was sent is the first member's alone")
	require.Empty(t, d.owed())
}

// TestAnOperatorIsToldThatTheSessionEndedUnderAChange.
func TestAnOperatorIsToldThatTheSessionEndedUnderAChange(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.open(kept)
	told := 0
	d.engine.hold = true
	session.Subscribe(d.s.Cell(), func(codes []packet.ReasonCode) {
		told++
		require.Nil(t, codes)
	}, filter("t", 1))
	d.w.Drain()
	require.Zero(t, told)
	d.tell(&cast.Destroy{Reason: metrics.CloseKicked})
	d.sync()
	require.Equal(t, 1, told)
}
