// SPDX-License-Identifier: Apache-2.0

package wsclient_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/cast/casttest"
	"emqttd/actors/metrics"
	"emqttd/actors/wsclient"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/stagetest"
)

// desk is the client actor of one connection, with probes in the places of its
// protocol actor and its session.
type desk struct {
	t        *testing.T
	w        *stagetest.World
	conn     *casttest.Conn
	env      *cast.Env
	protocol *stagetest.Probe
	session  *stagetest.Probe
}

func newDesk(t *testing.T, w *stagetest.World) *desk {
	d := &desk{t: t, w: w, conn: casttest.New(t)}
	d.env = cast.NewEnv("emqttd@127.0.0.1", zerolog.Nop(), new(metrics.Metrics), &cast.Limits{Topics: topic.Limits{Levels: 128}})
	d.protocol = w.ProbeAt(&d.conn.Protocol, "protocol", nil)
	d.session = w.Probe("session")
	wsclient.Init(wsclient.Kind(d.env), &d.conn.Conn, d.conn.Owner(), w.Group)
	w.Start(&d.conn.Client)
	return d
}

func (d *desk) tell(m cell.Message) { d.t.Helper(); d.w.Tell(&d.conn.Client, m) }

// connected tells it what a CONNECT of version v has settled.
func (d *desk) connected(v packet.Version, change func(*cast.Connected)) {
	c := &cast.Connected{Version: v, ClientID: "c", Session: d.session.Cell}
	if change != nil {
		change(c)
	}
	d.tell(c)
}

// written is what it wrote since the last call, as packets of version v.
func (d *desk) written(v packet.Version) (out []packet.Packet) {
	d.t.Helper()
	p := parser.New(parser.Options{Role: parser.Client, Version: v})
	for rest := d.conn.Take(); len(rest) > 0; {
		next, pkt, left, err := p.Parse(rest, new(parser.Slab))
		require.NoError(d.t, err)
		require.NotNil(d.t, pkt, "whole packets only")
		out, p, rest = append(out, pkt), next, left
	}
	return out
}

func delivery(name, payload string, qos packet.QoS, id packet.ID) cast.Delivery {
	return cast.Delivery{Message: &message.Message{Topic: name, Payload: []byte(payload), QoS: qos}, QoS: qos, ID: id}
}

func TestDeliveriesAreWrittenInTheirOrderAndCounted(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		t.Run(fmt.Sprint("version ", v), func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			d.connected(v, nil)
			d.tell(&cast.Deliver{Deliveries: []cast.Delivery{delivery("a", "1", 0, 0), delivery("a", "2", 1, 7), delivery("b", "3", 2, 8)},
				Pubrel: []packet.ID{5}})
			got := d.written(v)
			require.Len(t, got, 4)
			for i, want := range []struct {
				topic, payload string
				id             packet.ID
			}{{"a", "1", 0}, {"a", "2", 7}, {"b", "3", 8}} {
				p := got[i].(*packet.Publish)
				require.Equal(t, want.topic+want.payload, string(p.Topic)+string(p.Payload))
				require.Equal(t, want.id, p.ID)
			}
			require.Equal(t, packet.PUBREL, got[3].Type())
			for qos := range 3 {
				require.EqualValues(t, 1, d.env.Metrics.MessagesSent[qos].Load())
			}
			require.EqualValues(t, 3, d.env.Metrics.PacketsSent[packet.PUBLISH].Load())
			require.EqualValues(t, 1, d.env.Metrics.PacketsSent[packet.PUBREL].Load())
		})
	}
}

func TestAReleaseOfAnUnknownIdentifierSaysSo(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	d.tell(&cast.Deliver{PubrelBad: []packet.ID{9}})
	ack := d.written(packet.V5)[0].(*packet.Ack)
	require.Equal(t, packet.PacketIDNotFound, ack.Code) // [v5 3.6.2.1]
}

// TestTopicsGetAliasesWhileThereAreSome [v5 3.3.2.3.4, MQTT-3.1.2-26 -27].
func TestTopicsGetAliasesWhileThereAreSome(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, func(c *cast.Connected) { c.AliasMax = 2 })
	for _, name := range []string{"a", "b", "a", "c", "b", "c"} {
		d.tell(&cast.Deliver{Deliveries: []cast.Delivery{delivery(name, name, 0, 0)}})
	}
	var got []string
	for _, p := range d.written(packet.V5) {
		pub := p.(*packet.Publish)
		alias := 0
		if pub.Properties.Has(packet.PropTopicAlias) {
			alias = int(pub.Properties.TopicAlias)
		}
		got = append(got, fmt.Sprintf("%s=%d:%s", pub.Topic, alias, pub.Payload))
	}
	require.Equal(t, []string{"a=1:a", "b=2:b", "=1:a", "c=0:c", "=2:b", "c=0:c"}, got)
}

// TestAnAnswerThatIsTooLargeGoesWithoutItsReason [v5 MQTT-3.1.2-24, MQTT-3.4.2-2].
func TestAnAnswerThatIsTooLargeGoesWithoutItsReason(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, func(c *cast.Connected) { c.MaxPacket = 20 })
	q := new(packet.Properties)
	q.Set(packet.PropReasonString).ReasonString = "a sentence that does not fit into twenty bytes"
	d.tell(cast.NewSend(packet.V5, &packet.Ack{Kind: packet.PUBACK, ID: 1, Code: packet.QuotaExceeded, Properties: q}))
	ack := d.written(packet.V5)[0].(*packet.Ack)
	require.Equal(t, packet.QuotaExceeded, ack.Code)
	require.False(t, ack.Properties.Has(packet.PropReasonString))
}

func received(packets ...packet.Packet) *cast.Received {
	r := cast.NewReceived(nil)
	r.Packets = packets
	return r
}

// TestASilentClientIsNoticedOnce: whole packets count, at one and a half times
// the interval that the protocol actor has worked out
// [v3.1.1 MQTT-3.1.2-24, v5 MQTT-3.1.2-22].
func TestASilentClientIsNoticedOnce(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V311, func(c *cast.Connected) { c.KeepAlive = int64(15 * time.Second) })
	d.w.After(14 * time.Second)
	d.tell(received(&packet.Pingreq{}))
	d.protocol.Take()
	d.w.After(14 * time.Second)
	require.Empty(t, d.protocol.Take())
	d.w.After(time.Second)
	got := d.protocol.Take()
	require.Len(t, got, 1)
	require.IsType(t, &cast.Silent{}, got[0])
	d.w.After(time.Minute)
	require.Empty(t, d.protocol.Take())
}

func TestAClientThatIsNotReadIsNotSilent(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V311, func(c *cast.Connected) { c.KeepAlive = int64(15 * time.Second) })
	d.conn.Unread.Store(true)
	d.w.After(time.Minute)
	require.Empty(t, d.protocol.Take(), "what it says cannot be heard")
	d.conn.Unread.Store(false)
	d.conn.Resumed.Store(d.w.Clock.Now())
	d.w.After(14 * time.Second)
	require.Empty(t, d.protocol.Take(), "its time begins when it is read again")
	d.w.After(time.Second)
	require.Len(t, d.protocol.Take(), 1)
}

func TestNothingIsWrittenBehindTheLastPacket(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, func(c *cast.Connected) { c.KeepAlive = int64(time.Second) })
	d.tell(&cast.Shutdown{Version: packet.V5, Packet: &packet.Disconnect{Code: packet.ServerShuttingDown}, Reason: metrics.CloseShutdown})
	d.tell(&cast.Deliver{Deliveries: []cast.Delivery{delivery("a", "late", 0, 0)}})
	d.tell(cast.NewSend(packet.V5, &packet.Pingresp{}))
	d.tell(&cast.Shutdown{Version: packet.V5, Packet: &packet.Disconnect{}, Reason: metrics.CloseNormal})
	d.w.After(time.Minute)
	got := d.written(packet.V5)
	require.Len(t, got, 1)
	require.Equal(t, packet.ServerShuttingDown, got[0].(*packet.Disconnect).Code)
	require.Len(t, d.conn.Controls, 1)
	require.Equal(t, cast.CloseSocket, d.conn.Controls[0].Op)
	require.Equal(t, metrics.CloseShutdown, d.conn.Controls[0].Reason)
	require.Empty(t, d.protocol.Take(), "nobody watches its keep alive any more")
}

func TestADrainedBufferIsTheSessionsToKnow(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.tell(&cast.Drained{}) // before CONNECT there is no session
	d.connected(packet.V311, nil)
	d.tell(&cast.Drained{})
	got := d.session.Take()
	require.Len(t, got, 1)
	require.IsType(t, &cast.Drained{}, got[0])
}

// TestACrashAtAnyStepWritesNothingTwiceAndLeavesNothingOut: a write and its
// strike are one act.
func TestACrashAtAnyStepWritesNothingTwiceAndLeavesNothingOut(t *testing.T) {
	stagetest.AtEveryStep(t, "ws_client", func(t *testing.T, w *stagetest.World) (out []string) {
		d := newDesk(t, w)
		d.connected(packet.V5, func(c *cast.Connected) { c.KeepAlive, c.AliasMax = int64(15*time.Second), 1 })
		d.tell(received(&packet.Pingreq{}, &packet.Publish{Topic: []byte("x"), QoS: packet.QoS1, ID: 1}))
		d.tell(cast.NewSend(packet.V5, &packet.Pingresp{}, &packet.Ack{Kind: packet.PUBACK, ID: 1}))
		for i := range 3 {
			d.tell(&cast.Deliver{Deliveries: []cast.Delivery{delivery("a", fmt.Sprint(i), 1, packet.ID(i+1))}})
		}
		out = append(out, fmt.Sprintf("% x", d.conn.Take()))
		d.w.After(15 * time.Second)
		d.tell(&cast.Shutdown{Version: packet.V5, Packet: &packet.Disconnect{Code: packet.KeepAliveTimeout}})
		d.tell(&cast.Closed{})
		out = append(out, fmt.Sprintf("% x", d.conn.Take()), fmt.Sprint(len(d.conn.Controls)))
		for _, m := range d.protocol.Take() {
			out = append(out, fmt.Sprintf("%T", m))
		}
		return append(out, fmt.Sprint(d.env.Metrics.MessagesSent[1].Load(), d.env.Metrics.PacketsSent[packet.PUBACK].Load(),
			d.env.Metrics.PacketsReceived[packet.PUBLISH].Load()))
	})
}
