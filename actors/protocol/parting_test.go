// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
	"emqttd/supervisor/stagetest"
)

// inOneGo is a client that says all it has to say and closes, before its session
// has answered.
func inOneGo(t *testing.T, w *stagetest.World) *desk {
	d := newDesk(t, w)
	d.subscribe("t", false)
	d.receive(connect(packet.V311, func(p *packet.Connect) { p.Will = &packet.Will{Topic: "w"} }),
		&packet.Publish{QoS: 1, ID: 1, Topic: []byte("t"), Payload: []byte("x")}, &packet.Disconnect{})
	require.Len(t, d.sm.Take(), 1)
	d.tell(&cast.Closed{Reason: metrics.ClosePeer})
	return d
}

// TestWhatCameBeforeTheEndIsHandledBeforeIt: the PUBLISH is published, and the
// DISCONNECT takes the will away.
func TestWhatCameBeforeTheEndIsHandledBeforeIt(t *testing.T) {
	d := inOneGo(t, stagetest.New(t))
	require.False(t, d.conn.Protocol.Ended(), "it waits for the session")
	d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
	require.Len(t, d.subscriber.Take(), 1)
	var detached *cast.Detach
	for _, m := range d.session.Take() {
		if m, ok := m.(*cast.Detach); ok {
			require.Nil(t, detached, "once")
			detached = m
		}
	}
	require.NotNil(t, detached)
	require.False(t, detached.KeepWill)
	require.Equal(t, metrics.CloseNormal, detached.Reason)
	require.True(t, d.conn.Protocol.Ended())
}

// TestAnEndThatWaitsComesWithTheRefusal of the CONNECT, a takeover or the CONNECT
// deadline.
func TestAnEndThatWaitsComesWithTheRefusal(t *testing.T) {
	for name, refuse := range map[string]func(d *desk){
		"by the session manager": func(d *desk) { d.tell(&cast.SessionStarted{Code: packet.QuotaExceeded}) },
		"by a takeover": func(d *desk) {
			d.tell(&cast.Kick{Code: packet.SessionTakenOver, Reason: metrics.CloseTakeover, Detached: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := inOneGo(t, stagetest.New(t))
			refuse(d)
			require.True(t, d.conn.Protocol.Ended())
			require.Empty(t, d.subscriber.Take())
		})
	}
}

// TestAnEndWaitsNoLongerThanAConnectMay: a client before 5.0 whose message cannot
// be kept is not waited for once it is gone.
func TestAnEndWaitsNoLongerThanAConnectMay(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V311, nil)
	d.limits.StoreBytes = -1
	d.receive(&packet.Publish{QoS: 1, ID: 1, Topic: []byte("t")})
	d.tell(&cast.Closed{Reason: metrics.ClosePeer})
	require.False(t, d.conn.Protocol.Ended())
	d.w.After(9 * time.Second)
	require.False(t, d.conn.Protocol.Ended())
	d.w.After(2 * time.Second)
	require.True(t, d.conn.Protocol.Ended())
}

// TestAnEndThatIsNotThePeersWaitsForNothing.
func TestAnEndThatIsNotThePeersWaitsForNothing(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V311, nil)
	d.limits.StoreBytes = -1
	d.receive(&packet.Publish{QoS: 1, ID: 1, Topic: []byte("t")})
	d.tell(&cast.Closed{Reason: metrics.ClosePoison})
	require.True(t, d.conn.Protocol.Ended())
}

func TestACrashAtAnyStepOfAnEndThatWaitsIsSeenByNobody(t *testing.T) {
	stagetest.AtEveryStep(t, "protocol", func(t *testing.T, w *stagetest.World) []string {
		d := inOneGo(t, w)
		d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
		var got []string
		for _, m := range d.session.Take() {
			if m, ok := m.(*cast.Detach); ok {
				got = append(got, "detached for "+m.Reason.String())
			}
		}
		for range d.subscriber.Take() {
			got = append(got, "published")
		}
		require.True(t, d.conn.Protocol.Ended())
		return got
	})
}
