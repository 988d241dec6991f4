// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/store"
	"emqttd/protocol/packet"
	"emqttd/supervisor/stagetest"
)

// TestValidateConnect: each rung of the ladder has its answer, and behind a
// refusal there is neither a session nor a will.
func TestValidateConnect(t *testing.T) {
	will := func(change func(*packet.Will)) func(*packet.Connect) {
		return func(p *packet.Connect) {
			p.Will = &packet.Will{Topic: "w", Properties: new(packet.Properties)}
			change(p.Will)
		}
	}
	long := func(n int) func(*packet.Connect) {
		return func(p *packet.Connect) { p.ClientID = fmt.Sprintf("%0*d", n, 1) }
	}
	for name, tt := range map[string]struct {
		version packet.Version
		prepare func(*desk)
		change  func(*packet.Connect)
		code    packet.ReasonCode
	}{
		"a client id above the limit, 5.0":      {packet.V5, nil, long(41), packet.ClientIDNotValid},
		"a client id above the limit, 3.1.1":    {packet.V311, nil, long(41), packet.ClientIDNotValid},
		"no client id in 3.1":                   {packet.V31, nil, func(p *packet.Connect) { p.ClientID = "" }, packet.ClientIDNotValid},
		"no client id for a kept 3.1.1 session": {packet.V311, nil, func(p *packet.Connect) { p.ClientID, p.CleanStart = "", false }, packet.ClientIDNotValid},
		"24 characters in strict 3.1":           {packet.V31, func(d *desk) { d.limits.StrictV31ClientID = true }, long(24), packet.ClientIDNotValid},
		"above the connect rate":                {packet.V5, func(d *desk) { d.conn.TooFast = true }, nil, packet.ConnectionRateExceeded},
		"a banned client id":                    {packet.V5, func(d *desk) { require.NoError(d.t, d.gate.Bans.Add(stagetest.Begin, ban("c"))) }, nil, packet.Banned},
		"a will topic with a wildcard":          {packet.V5, nil, will(func(w *packet.Will) { w.Topic = "a/#" }), packet.TopicNameInvalid},
		"a will above the maximum QoS":          {packet.V5, func(d *desk) { d.limits.MaxQoS = 1 }, will(func(w *packet.Will) { w.QoS = 2 }), packet.QoSNotSupported},
		"a retained will where nothing is":      {packet.V5, func(d *desk) { d.limits.Retain = false }, will(func(w *packet.Will) { w.Retain = true }), packet.RetainNotSupported},
		"a will whose text is none": {packet.V5, nil, will(func(w *packet.Will) {
			w.Payload = []byte{0xFF}
			w.Properties.Set(packet.PropPayloadFormat).PayloadFormat = 1
		}), packet.PayloadFormatInvalid},
		"a will with a wildcard response topic": {packet.V5, nil, will(func(w *packet.Will) { w.Properties.Set(packet.PropResponseTopic).ResponseTopic = "+" }), packet.ProtocolError},
		"a will to where the rules allow none":  {packet.V5, nil, will(func(w *packet.Will) { w.Topic = "secret" }), packet.NotAuthorized},
		"more user properties than are allowed": {packet.V5, nil, func(p *packet.Connect) { p.Properties = &packet.Properties{User: make([]packet.UserProperty, 3)} }, packet.QuotaExceeded},
		"an authentication method nobody offers": {packet.V5, nil, func(p *packet.Connect) {
			p.Properties = new(packet.Properties)
			p.Properties.Set(packet.PropAuthMethod).AuthMethod = "X"
		}, packet.BadAuthenticationMethod},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			if tt.prepare != nil {
				tt.prepare(d)
			}
			d.receive(connect(tt.version, tt.change), publish(0, 0, "t", "behind a refused CONNECT"))
			want := fmt.Sprintf("shutdown (refused) with CONNACK %#02x", byte(tt.code.For(packet.CONNACK)))
			require.Equal(t, []string{want}, d.said())
			require.Empty(t, d.sm.Take(), "no session")
			require.EqualValues(t, 1, d.env.Metrics.Refused[tt.code].Load(), "counted by its reason")
			d.tell(&cast.Closed{Reason: metrics.CloseRefused})
			require.Empty(t, d.session.Take())
			require.Empty(t, d.sys.Take(), "nobody connected, nobody disconnected")
			require.True(t, d.conn.Protocol.Ended())
		})
	}
}

// TestALogLineHasLittleOfALongName: whoever is refused cannot fill the log.
func TestALogLineHasLittleOfALongName(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	var log bytes.Buffer
	d.env.Log = zerolog.New(&log)
	d.receive(connect(packet.V311, func(c *packet.Connect) { c.ClientID = strings.Repeat("ä", 30_000) }))
	var line struct {
		ID string `json:"client_id"`
	}
	require.NoError(t, json.Unmarshal(log.Bytes(), &line))
	require.Equal(t, strings.Repeat("ä", 128)+"… (60000 bytes)", line.ID)
}

func TestConnectAsksForItsSessionAndConnackSaysWhatWasGranted(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.receive(connect(packet.V5, func(p *packet.Connect) {
		p.ClientID = ""
		p.Properties = new(packet.Properties)
		p.Properties.Set(packet.PropSessionExpiry).SessionExpiry = 7200 // above session.max_expiry
		p.Properties.Set(packet.PropReceiveMaximum).ReceiveMaximum = 17
	}))
	require.Empty(t, d.said(), "CONNACK waits for the session")
	asked := d.sm.Take()
	require.Len(t, asked, 1)
	start := asked[0].(*cast.StartSession)
	require.NotEmpty(t, start.ClientID)
	require.EqualValues(t, 3600, start.Expiry)
	require.EqualValues(t, 17, start.ReceiveMaximum)
	d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
	require.Equal(t, []string{"connected keepalive 15s", "CONNACK 0x00"}, d.said())
	require.Equal(t, []string{"Ready"}, d.asked())
	require.EqualValues(t, 1, d.env.Metrics.Connected.Load())
}

// TestAClientThatTakesNoConnackGetsNone: CONNACK is larger than what it takes, so
// nothing that it could be told does it justice [v5 MQTT-3.1.2-24].
func TestAClientThatTakesNoConnackGetsNone(t *testing.T) {
	for limit, want := range map[uint32]string{2: "nothing", 4: "nothing", 5: "CONNACK 0x95", 10: "CONNACK 0x95"} {
		d := newDesk(t, stagetest.New(t))
		d.receive(connect(packet.V5, func(p *packet.Connect) {
			p.Properties = new(packet.Properties)
			p.Properties.Set(packet.PropMaximumPacketSize).MaximumPacketSize = limit
		}))
		require.Equal(t, []string{"shutdown (refused) with " + want}, d.said(), "at most %d bytes", limit)
		require.Empty(t, d.sm.Take(), "no session")
	}
}

// TestWhatComesBeforeConnectEndsTheConnection, and without a DISCONNECT
// [v3.1.1 MQTT-3.1.0-1, v5 MQTT-3.1.0-1, MQTT-3.14.0-1].
func TestWhatComesBeforeConnectEndsTheConnection(t *testing.T) {
	for _, p := range []packet.Packet{publish(0, 0, "t", "x"), &packet.Pingreq{}, &packet.Disconnect{}} {
		d := newDesk(t, stagetest.New(t))
		d.receive(p)
		require.Equal(t, []string{"shutdown (fault) with nothing"}, d.said(), "%s", p.Type())
		require.EqualValues(t, 1, d.env.Metrics.Faults[packet.FaultNotConnected].Load())
	}
}

func TestASecondConnectIsAnsweredBehindWhatCameBefore(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	d.subscribe("t", true)
	d.receive(publish(1, 1, "t", "x"), connect(packet.V5, nil), publish(0, 0, "t", "y"))
	require.Equal(t, []string{"Finish"}, d.asked())
	require.Empty(t, d.said(), "the PUBACK waits for the store, the DISCONNECT for the PUBACK")
	d.tell(&cast.Answer{Epoch: 5, Finished: true})
	require.Empty(t, d.said())
	d.tell(&store.Committed{Tag: 1})
	require.Equal(t, []string{"PUBACK 1 0x00", "shutdown (fault) with DISCONNECT 0x82"}, d.said())
	require.Equal(t, []string{"q1 t x"}, d.delivered())
}

func TestPubacksLeaveInTheOrderOfTheirPublishesAndBehindTheirCommits(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	d.subscribe("kept", true)
	d.subscribe("fleeting", false)
	d.receive(publish(1, 1, "kept", "a"), publish(1, 2, "fleeting", "b"), publish(1, 3, "kept", "c"), &packet.Pingreq{})
	require.Equal(t, []string{"PINGRESP"}, d.said(), "PINGRESP never waits behind a commit")
	require.Equal(t, []string{"q1 kept a", "q1 fleeting b", "q1 kept c"}, d.delivered(), "delivered from acceptance on")
	d.tell(&store.Committed{Tag: 1})
	require.Equal(t, []string{"PUBACK 1 0x00", "PUBACK 2 0x00"}, d.said())
	d.tell(&store.Committed{Tag: 2})
	require.Equal(t, []string{"PUBACK 3 0x00"}, d.said())
	require.Len(t, d.store.Take(), 2, "what no durable session gets costs no write")
}

// TestARunKeepsItsOrder: what joins the fan-out one by one is not overtaken by the
// run that it leads.
func TestARunKeepsItsOrder(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V311, nil)
	d.subscribe("t", false)
	d.receive(publish(0, 0, "t", "1"), publish(1, 1, "t", "2"), publish(1, 2, "t", "3"), publish(0, 0, "t", "4"), publish(0, 0, "t", "5"))
	require.Equal(t, []string{"q0 t 1", "q1 t 2", "q1 t 3", "q0 t 4", "q0 t 5"}, d.delivered())
}

// TestALookAheadChangesNothing: in a table that is too large for the processor's
// cache the topics of a read are looked for together, and matched one by one.
func TestALookAheadChangesNothing(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	for i := 0; !d.table.Large(); i++ {
		d.subscribe(fmt.Sprintf("d/%d/+", i), false)
	}
	var packets []packet.Packet
	var delivered []string
	for i := range 40 {
		if i%5 == 0 {
			packets = append(packets, &packet.Pingreq{})
		}
		topic := fmt.Sprintf("d/%d/x", i*100)
		packets = append(packets, publish(0, 0, topic, "1"), publish(0, 0, topic, "2"), publish(0, 0, "nowhere", "x"), &packet.Publish{
			Topic: []byte{}, Payload: []byte("3"), Properties: aliased(1)})
		if i == 0 {
			packets[len(packets)-1].(*packet.Publish).Topic = []byte("d/7/alias")
		}
		delivered = append(delivered, "q0 "+topic+" 1", "q0 "+topic+" 2", "q0 d/7/alias 3")
	}
	d.receive(packets...)
	require.Equal(t, delivered, d.delivered())
	require.Len(t, d.said(), 8, "PINGRESP")
}

func aliased(n uint16) *packet.Properties {
	p := new(packet.Properties)
	p.Set(packet.PropTopicAlias).TopicAlias = n
	return p
}

func TestAPublishThatNobodyGetsIsToldSoIn50(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	d.receive(publish(1, 1, "nowhere", "x"))
	require.Equal(t, []string{"PUBACK 1 0x10"}, d.said()) // [v5 3.4.2.1]
	require.EqualValues(t, 1, d.env.Metrics.Dropped[metrics.DropNoSubscriber].Load())
}

func TestWhatTheRulesDenyIsAnsweredAndDropped(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	d.subscribe("secret", false)
	d.receive(publish(0, 0, "secret", "x"), publish(1, 1, "secret", "x"), publish(2, 2, "secret", "x"),
		&packet.Subscribe{ID: 3, Subscriptions: []packet.Subscription{{Filter: "secret"}, {Filter: "open"}}})
	require.Equal(t, []string{"PUBACK 1 0x87"}, d.said())
	require.Equal(t, []string{"release 2 refused 0x87", "subscribe [not authorized success]"}, d.asked())
	require.Empty(t, d.delivered())
	require.EqualValues(t, 3, d.env.Metrics.Dropped[metrics.DropDenied].Load())
}

func TestFilterCodes(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.limits.Shared, d.limits.MaxFilters = false, 3
	d.connected(packet.V5, nil)
	d.receive(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a/#/b"}, {Filter: "$share/g/t"}, {Filter: "a/+"}, {Filter: "one/too/many"}}})
	require.Equal(t, []string{"subscribe [topic filter invalid shared subscriptions not supported success quota exceeded]"}, d.asked())
}

func TestAnAliasStandsForItsTopicUntilTheConnectionEnds(t *testing.T) {
	alias := func(n uint16, name, payload string) *packet.Publish {
		p := publish(0, 0, name, payload)
		p.Properties = new(packet.Properties)
		p.Properties.Set(packet.PropTopicAlias).TopicAlias = n
		return p
	}
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	d.subscribe("#", false)
	d.receive(alias(1, "a", "1"), alias(1, "", "2"), alias(1, "b", "3"), alias(1, "", "4"), alias(2, "", "unknown"))
	require.Equal(t, []string{"q0 a 1", "q0 a 2", "q0 b 3", "q0 b 4"}, d.delivered())
	d.tell(&cast.Answer{Epoch: 5, Finished: true})
	require.Equal(t, []string{"shutdown (fault) with DISCONNECT 0x94"}, d.said())
}

func TestAboveTheReceiveMaximumTheConnectionEnds(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.connected(packet.V5, nil)
	d.subscribe("t", true)
	for id := packet.ID(1); id <= 4; id++ {
		d.receive(publish(1, id, "t", "x"))
	}
	require.Equal(t, []string{"Finish"}, d.asked())
	require.Len(t, d.delivered(), 3)
	require.EqualValues(t, 1, d.env.Metrics.Faults[packet.FaultReceiveMaximum].Load())
}

// TestDisconnect: 0x00 takes the will away, anything else and a lost connection
// leave it [v3.1.1 MQTT-3.14.4-3, v5 MQTT-3.14.4-3].
func TestDisconnect(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(*desk)
		reason metrics.Close
		will   bool
	}{
		"0x00":              {func(d *desk) { d.receive(&packet.Disconnect{}) }, metrics.CloseNormal, false},
		"0x04":              {func(d *desk) { d.receive(&packet.Disconnect{Code: packet.DisconnectWithWill}) }, metrics.CloseWithWill, true},
		"the socket closes": {func(d *desk) { d.tell(&cast.Closed{Reason: metrics.ClosePeer}) }, metrics.ClosePeer, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, stagetest.New(t))
			d.connected(packet.V5, nil)
			tt.end(d)
			if !d.conn.Protocol.Ended() {
				d.tell(&cast.Closed{Reason: metrics.ClosePeer})
			}
			require.Equal(t, []string{fmt.Sprintf("detach (%s) will %v", tt.reason, tt.will)}, d.asked())
			require.Zero(t, d.env.Metrics.Connected.Load())
			require.True(t, d.conn.Protocol.Ended())
		})
	}
}

func TestASilentClientIsClosed(t *testing.T) {
	for v, last := range map[packet.Version]string{packet.V31: "nothing", packet.V311: "nothing", packet.V5: "DISCONNECT 0x8d"} {
		d := newDesk(t, stagetest.New(t))
		d.connected(v, nil)
		d.tell(&cast.Silent{})
		require.Equal(t, []string{"shutdown (" + metrics.CloseKeepAlive.String() + ") with " + last}, d.said())
	}
}

// The session manager's answer may come after the end of the connection.
func TestAConnectionThatEndsBeforeItsSessionAnswersLeavesNothing(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.receive(connect(packet.V5, nil))
	d.tell(&cast.Closed{Reason: metrics.ClosePeer})
	require.False(t, d.conn.Protocol.Ended(), "the session that is on its way has to be told")
	d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
	require.Len(t, d.asked(), 1, "Detach")
	require.True(t, d.conn.Protocol.Ended())
	require.Zero(t, d.env.Metrics.Connected.Load())
}

// TestASessionThatComesBehindTheConnectDeadlineIsTold: its disk was slow.
func TestASessionThatComesBehindTheConnectDeadlineIsTold(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.receive(connect(packet.V5, nil))
	d.w.After(10 * time.Second)
	require.Equal(t, []string{"shutdown (" + metrics.CloseConnectTime.String() + ") with nothing"}, d.said())
	d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
	require.Len(t, d.asked(), 1, "Detach")
	require.True(t, d.conn.Protocol.Ended())
	require.Zero(t, d.env.Metrics.Connected.Load())
}

func TestARateAboveTheLimitIsNotReadUntilTheDebtIsPaid(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.limits.RateMessages, d.limits.RateMessagesBurst = 1, 2
	d.connected(packet.V311, nil)
	d.subscribe("t", false)
	before := len(d.conn.Controls)
	d.receive(publish(0, 0, "t", "1"), publish(0, 0, "t", "2"), publish(0, 0, "t", "3"), publish(0, 0, "t", "4"))
	require.Equal(t, []string{"q0 t 1", "q0 t 2", "q0 t 3"}, d.delivered(), "the third goes into debt, the fourth waits")
	require.Greater(t, len(d.conn.Controls), before, "the connection is not read")
	d.w.After(time.Second)
	require.Equal(t, []string{"q0 t 4"}, d.delivered())
}

func TestAConnectionIsNotReadWhileItsSessionStarts(t *testing.T) {
	d := newDesk(t, stagetest.New(t))
	d.receive(connect(packet.V311, nil))
	require.Len(t, d.conn.Controls, 1)
	require.Equal(t, cast.Pause, d.conn.Controls[0].Op)
	d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
	require.Len(t, d.conn.Controls, 2)
	require.Equal(t, cast.Resume, d.conn.Controls[1].Op)
}

// TestACrashAtAnyStepIsSeenByNobody: nothing is done twice, nothing left out,
// whichever step it is.
func TestACrashAtAnyStepIsSeenByNobody(t *testing.T) {
	stagetest.AtEveryStep(t, "protocol", func(t *testing.T, w *stagetest.World) (out []string) {
		d := newDesk(t, w)
		d.subscribe("kept", true)
		d.subscribe("fleeting", false)
		d.receive(connect(packet.V5, nil), publish(1, 1, "kept", "with the CONNECT"))
		d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
		d.receive(publish(0, 0, "fleeting", "0"), publish(1, 2, "fleeting", "1"), publish(2, 3, "kept", "2"), &packet.Pingreq{},
			&packet.Ack{Kind: packet.PUBACK, ID: 9}, &packet.Ack{Kind: packet.PUBREL, ID: 3})
		d.tell(&store.Committed{Tag: 1})
		d.tell(answered(&packet.Ack{Kind: packet.PUBREC, ID: 3}))
		d.tell(answered(&packet.Ack{Kind: packet.PUBCOMP, ID: 3}))
		d.receive(&packet.Disconnect{})
		d.tell(&cast.Closed{Reason: metrics.ClosePeer})
		out = append(out, d.said()...)
		out = append(out, d.asked()...)
		out = append(out, d.delivered()...)
		return append(out, fmt.Sprint(len(d.store.Take()), len(d.sm.Take()), len(d.sys.Take()), d.env.Metrics.Connected.Load(), d.conn.Protocol.Ended()))
	})
}
