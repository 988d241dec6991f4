// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// What emqttd 1.1.3 did wrong, each with the test that it is right here.

func withPassword(c *packet.Connect, password string) *packet.Connect {
	c.Username, c.HasUsername, c.Password, c.HasPassword = "user", true, []byte(password), true
	return c
}

var locked = []string{"auth.users={user: secret}", "auth.chain=[{type: builtin}]", "auth.allow_anonymous=false"}

// A client whose CONNECT was refused stayed connected, could publish, and its
// will was published.
func TestARefusedClientIsGoneAndItsWillWithIt(t *testing.T) {
	b := brokertest.Start(t, locked...)
	witness := join(t, b, withPassword(clean(packet.V311, "witness"), "secret"))
	witness.subscribe(packet.QoS1, "#")
	for _, transport := range transports {
		for _, tt := range []struct {
			c    *packet.Connect
			code packet.ReasonCode
		}{
			{withPassword(clean(packet.V311, "intruder"), "wrong"), packet.BadUserNameOrPassword},
			{withPassword(clean(packet.V5, "intruder"), "wrong"), packet.BadUserNameOrPassword},
			{clean(packet.V5, "intruder"), packet.NotAuthorized},
			{withPassword(&packet.Connect{Version: packet.V311}, "secret"), packet.ClientIDNotValid},
		} {
			tt.c.Will = &packet.Will{Topic: "will", Payload: []byte("refused"), QoS: 1}
			p := speak(t, open(t, b, transport), tt.c.Version)
			p.send(tt.c)
			_ = p.Send(pub(packet.QoS0, 0, "t", "smuggled"))
			_ = p.Send(pub(packet.QoS1, 1, "t", "smuggled"))
			code := want[*packet.Connack](p).Code
			require.True(t, code == tt.code || code == packet.BadUserNameOrPassword, "%s", code)
			p.closed()
		}
	}
	witness.publish(packet.QoS1, 1, "done", "x")
	witness.hears("done", "x")
}

// A WebSocket closed with keep alive 0 left its client and session behind for
// ever, and no will.
func TestAClosedWebSocketLeavesNothingButItsWill(t *testing.T) {
	b := brokertest.Start(t)
	witness := join(t, b, clean(packet.V311, "witness"))
	witness.subscribe(packet.QoS1, "will")
	sessions := b.Metrics().Sessions.Load()
	for name, end := range map[string]func(p *peer){
		"by a close frame": func(p *peer) { _ = p.NetConn().Close() },
		"without a word":   func(p *peer) { _ = p.Close() },
	} {
		c := clean(packet.V311, "ws")
		c.Will = &packet.Will{Topic: "will", Payload: []byte(name)}
		end(enter(t, open(t, b, "ws"), c))
		witness.hears("will", name)
	}
	w := upgraded(t, b)
	c := clean(packet.V311, "raw")
	c.Will = &packet.Will{Topic: "will", Payload: []byte("reset")}
	w.say(data(encode(t, c)))
	w.reads("82 04 20 02 00 00")
	require.NoError(t, w.Close())
	witness.hears("will", "reset")
	eventually(t, "sessions end", func() bool { return b.Metrics().Sessions.Load() == sessions })
	witness.leave()
	settled(t, b)
}

// stopper stops every actor of a kind at its next messages, so many times.
type stopper struct {
	kind  string
	left  atomic.Int64
	crash bool
}

// At implements cell.Hook.
func (h *stopper) At(c *cell.Cell, p cell.Phase, _ cell.Message) {
	if c.Kind().Name != h.kind || p != cell.Before || h.left.Add(-1) < 0 {
		return
	}
	if h.crash {
		panic("killed")
	}
	c.Stop()
}

// A kill of any process of a connection lost the will and the connection; a kill
// of a leaf service dropped every client; a kill of the connection supervisor
// closed the port for good; a session manager's crash together with a session's
// death locked the client out.
func TestKillingAnyKindOfActorCostsNobodyAnything(t *testing.T) {
	for _, kind := range []string{"ws_loop", "ws_client", "protocol", "session", "sm", "router", "retainer", "store", "listener", "http_listener"} {
		for _, crash := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " crash=", crash), func(t *testing.T) {
				b := brokertest.AllowCrashes(t)
				sub := join(t, b, kept(packet.V311, "sub"))
				sub.subscribe(packet.QoS1, "t", "will")
				willing := clean(packet.V311, "willing")
				willing.Will = &packet.Will{Topic: "will", Payload: []byte("once")}
				w := enter(t, open(t, b, "ws"), willing)
				h := &stopper{kind: kind, crash: crash}
				h.left.Store(1)
				off := hooked(t, h)
				p := enter(t, open(t, b, "ws"), kept(packet.V311, "p"))
				p.send(retained(pub(packet.QoS1, 1, "t", "one")))
				p.ack(packet.PUBACK)
				sub.hears("t", "one")
				late := join(t, b, clean(packet.V5, "late"))
				late.subscribe(packet.QoS1, "t")
				require.True(t, late.hears("t", "one").Retain)
				w.fence()
				_ = sub.Close()
				again, ack := present(t, open(t, b, "tcp"), kept(packet.V311, "sub"))
				require.True(t, ack.SessionPresent)
				p.publish(packet.QoS1, 2, "t", "two")
				again.hears("t", "two")
				require.LessOrEqual(t, h.left.Load(), int64(0), "nobody was killed")
				off()
				_ = w.Close()
				again.hears("will", "once")
				again.fence()
			})
		}
	}
}

// A process that was killed took no monitors along: rows of dead subscribers
// stayed.
func TestNoRouteStaysBehindItsSession(t *testing.T) {
	b := brokertest.AllowCrashes(t)
	for i := range 20 {
		h := &stopper{kind: "router", crash: i%4 == 0}
		h.left.Store(1)
		off := hooked(t, h)
		c := join(t, b, clean(packet.V5, fmt.Sprint("c", i)))
		c.subscribe(packet.QoS1, "a/+", "b/#", "$share/g/c")
		_ = c.Close()
		eventually(t, "routes go", func() bool { return b.Figures().Subscriptions() == 0 && b.Metrics().Sessions.Load() == 0 })
		off()
	}
	p := join(t, b, clean(packet.V5, "p"))
	p.send(pub(packet.QoS1, 1, "a/x", "x"))
	require.Equal(t, packet.NoMatchingSubscribers, p.ack(packet.PUBACK).Code)
}

// One byte, or half a CONNECT, stopped the clock for good.
func TestSlowlorisIsClosed(t *testing.T) {
	b := brokertest.Start(t, "mqtt.connect_timeout=150ms", "mqtt.handshake_timeout=150ms")
	connect := whole(seed(t, "connect_tcp.hex"))
	for name, dribble := range map[string]struct {
		address string
		bytes   []byte
	}{
		"nothing":           {b.TCP(), nil},
		"one byte":          {b.TCP(), connect[:1]},
		"half a connect":    {b.TCP(), connect[:30]},
		"no request":        {wsAddress(b), nil},
		"half a request":    {wsAddress(b), []byte("GET /mqtt HTT")},
		"half its headers":  {wsAddress(b), []byte("GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: web")},
		"half a body":       {wsAddress(b), []byte("POST /mqtt/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\ntopic")},
		"upgraded, silent":  {wsAddress(b), request(wsAddress(b), "GET", "/mqtt", nil)},
		"upgraded, a frame": {wsAddress(b), append(request(wsAddress(b), "GET", "/mqtt", nil), data(connect[:1])...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now() // before the broker's clock begins
			w := onWire(t, dribble.address)
			for _, x := range bytesOf(dribble.bytes) {
				if _, err := w.Write(x); err != nil {
					break
				}
			}
			_, err := io.Copy(io.Discard, w.r)
			require.True(t, err == nil || hungUp(err), "%v", err)
			require.GreaterOrEqual(t, time.Since(begin), 140*time.Millisecond)
		})
	}
}

// Reserved and server-to-client types were buffered without a limit.
func TestWhatAServerMustNotGetIsRefusedAtItsFirstByte(t *testing.T) {
	b := brokertest.Start(t)
	for _, first := range []byte{0x00, 0x20, 0x90, 0xb0, 0xd0, 0xf0, 0x36, 0x80, 0x83} {
		p := join(t, b, clean(packet.V311, "c"))
		require.NoError(t, p.SendRaw([]byte{first})) // not even its length
		p.closed()
	}
	fresh := onWire(t, b.TCP())
	fresh.say([]byte{0x00})
	fresh.ends()
	settled(t, b)
}

// Frames split over segments closed the connection, a ping went into the MQTT
// parser, unmasked and text frames were taken, a close frame was not answered.
func TestWebSocketFraming(t *testing.T) {
	b := brokertest.Start(t)
	connect := whole(seed(t, "connect_tcp.hex"))
	mask := [4]byte{1, 2, 3, 4}
	for _, tt := range []struct {
		name string
		sent []byte
		want string
		ends bool
	}{
		{"a ping is answered with its payload", frame(fin|0x9, mask, []byte("hi")), "8a 02 68 69", false},
		{"a pong is ignored", frame(fin|0xa, mask, []byte("hi")), "", false},
		{"a close frame is answered", frame(fin|0x8, mask, []byte{0x03, 0xe8}), "88 02 03 e8", true},
		{"what came before it is answered first", append(data([]byte{0xc0, 0}), frame(fin|0x8, mask, []byte{0x03, 0xe8})...), "82 02 d0 00 88 02 03 e8", true},
		{"an unmasked frame is a protocol error", []byte{0x82, 0x02, 0xc0, 0x00}, "88 02 03 ea", true},
		{"a text frame is not taken", frame(fin|text, mask, []byte{0xc0, 0}), "88 02 03 eb", true},
		{"a reserved opcode is a protocol error", frame(fin|0x3, mask, nil), "88 02 03 ea", true},
		{"a reserved bit is a protocol error", frame(fin|0x40|binary, mask, []byte{0xc0, 0}), "88 02 03 ea", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := upgraded(t, b)
			w.say(data(connect))
			w.reads("82 04 20 02 00 00")
			for _, x := range bytesOf(tt.sent) { // one byte a segment
				w.say(x)
			}
			if strings.HasPrefix(tt.want, "88") {
				w.readsClose(tt.want)
			} else {
				w.reads(tt.want)
			}
			if tt.ends {
				w.ends()
				return
			}
			w.say(data([]byte{0xc0, 0}))
			w.reads("82 02 d0 00")
		})
	}
}

// readsClose expects a close frame with the code of want; a sentence may follow.
func (w *wire) readsClose(want string) {
	w.t.Helper()
	head := make([]byte, 2)
	_, err := io.ReadFull(w.r, head)
	require.NoError(w.t, err)
	require.Equal(w.t, byte(0x88), head[0])
	payload := make([]byte, head[1])
	_, err = io.ReadFull(w.r, payload)
	require.NoError(w.t, err)
	require.Equal(w.t, want, fmt.Sprintf("88 02 %02x %02x", payload[0], payload[1]))
}

// Silent clients were dropped at 2.5 to 3 times their keep alive.
func TestKeepAliveIsOneAndAHalfTimes(t *testing.T) {
	b := brokertest.Start(t)
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			c := clean(packet.V5, "silent "+transport)
			c.KeepAlive = 1
			p := enter(t, open(t, b, transport), c)
			begin := time.Now()
			p.turnedOut(packet.KeepAliveTimeout)
			took := time.Since(begin)
			require.GreaterOrEqual(t, took, 1400*time.Millisecond)
			require.Less(t, took, 2*time.Second)
		})
	}
}

// SUBACK left before the route existed: of messages published right after it a
// quarter was lost; SUBSCRIBE and PUBLISH in one write lost all.
func TestWhoHeardOfTheSubscriptionPublishesToIt(t *testing.T) {
	b := brokertest.Start(t, "runtime.loops=2")
	p := join(t, b, clean(packet.V311, "p"))
	for i := range 300 {
		topic := fmt.Sprint("t/", i)
		sub := enter(t, open(t, b, transports[i%2]), clean(packet.V311, "sub"))
		sub.subscribe(packet.QoS0, topic)
		p.publish(packet.QoS0, 0, topic, "x")
		sub.hears(topic, "x")
		s := &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "own"}}}
		require.NoError(t, sub.SendRaw(append(encode(t, s), encode(t, pub(packet.QoS0, 0, "own", "y"))...)))
		sub.suback(t)
		sub.hears("own", "y")
		sub.leave()
	}
}

// suback reads a SUBACK.
func (p *peer) suback(t testing.TB) *packet.Suback {
	t.Helper()
	return want[*packet.Suback](p)
}

// A QoS 2 message whose PUBREL was late was acknowledged and dropped.
func TestAMessageIsNotLostWithALatePubrel(t *testing.T) {
	b := brokertest.Start(t)
	sub := join(t, b, clean(packet.V311, "sub"))
	sub.subscribe(packet.QoS2, "t")
	p := join(t, b, kept(packet.V311, "p"))
	p.send(pub(packet.QoS2, 9, "t", "x"))
	p.ack(packet.PUBREC)
	_ = p.Close()
	p = join(t, b, kept(packet.V311, "p"))
	again := pub(packet.QoS2, 9, "t", "x")
	again.Dup = true
	p.send(again)
	p.ack(packet.PUBREC)
	p.send(&packet.Ack{Kind: packet.PUBREL, ID: 9})
	p.ack(packet.PUBCOMP)
	p.send(&packet.Ack{Kind: packet.PUBREL, ID: 9}) // once more
	p.ack(packet.PUBCOMP)
	sub.hears("t", "x")
	sub.fence() // once
}

func TestOverlappingSubscriptionsDeliverOneCopy(t *testing.T) {
	b := brokertest.Start(t)
	sub := join(t, b, clean(packet.V311, "sub"))
	sub.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a/b"}, {Filter: "a/+", QoS: 2}, {Filter: "#", QoS: 1}}})
	sub.suback(t)
	join(t, b, clean(packet.V311, "p")).publish(packet.QoS2, 1, "a/b", "x")
	require.Equal(t, packet.QoS2, sub.hears("a/b", "x").QoS) // the highest [v3.1.1 MQTT-3.3.5-1]
	sub.fence()
}

func TestSubscribingAgainSendsRetainedMessagesAgain(t *testing.T) {
	b := brokertest.Start(t)
	c := join(t, b, clean(packet.V311, "c"))
	c.send(retained(pub(packet.QoS0, 0, "r", "x")))
	for range 3 {
		c.subscribe(packet.QoS1, "r")
		require.True(t, c.hears("r", "x").Retain) // [v3.1.1 MQTT-3.8.4-3]
	}
}

func TestAWrongProtocolLevelIsToldSo(t *testing.T) {
	b := brokertest.Start(t)
	for level, answer := range map[byte]string{2: "20 02 00 01", 0x7f: "20 03 00 84 00"} {
		w := onWire(t, b.TCP())
		connect := whole(seed(t, "connect_tcp.hex"))
		connect[8] = level
		w.say(connect)
		w.reads(answer)
		w.ends()
	}
}

// One filter that the rules deny failed all; a denied publish got no answer in
// any version.
func TestRulesAnswerEachForItself(t *testing.T) {
	file := t.TempDir() + "/acl"
	writeFile(t, file, []byte("{deny, all, pubsub, [\"secret/#\"]}.\n{allow, all}.\n"))
	b := brokertest.Start(t, "acl.file="+file)
	c := join(t, b, clean(packet.V5, "c"))
	require.Equal(t, []packet.ReasonCode{packet.GrantedQoS1, packet.NotAuthorized, packet.GrantedQoS1}, c.subscribe(packet.QoS1, "a", "secret/x", "b").Codes)
	c.send(pub(packet.QoS1, 1, "secret/x", "x"), pub(packet.QoS2, 2, "secret/x", "x"), pub(packet.QoS0, 0, "secret/x", "x"))
	require.Equal(t, packet.NotAuthorized, c.ack(packet.PUBACK).Code)
	require.Equal(t, packet.NotAuthorized, c.ack(packet.PUBREC).Code)
	c.fence()
	old := join(t, b, clean(packet.V311, "old"))
	require.Equal(t, []packet.ReasonCode{packet.GrantedQoS1, packet.UnspecifiedError}, old.subscribe(packet.QoS1, "a", "secret/x").Codes)
	old.publish(packet.QoS1, 1, "secret/x", "x") // acknowledged, or it would be sent for ever
	old.publish(packet.QoS2, 2, "secret/x", "x")
	old.fence()
}

// A QoS 2 publish that is denied is answered in its turn [v5 MQTT-4.6.0-3].
func TestPubrecsLeaveInTheOrderOfTheirPublishes(t *testing.T) {
	file := t.TempDir() + "/acl"
	writeFile(t, file, []byte("{deny, all, publish, [\"secret/#\"]}.\n{allow, all}.\n"))
	b := brokertest.Start(t, "acl.file="+file)
	sub := join(t, b, kept(packet.V5, "sub"))
	sub.subscribe(packet.QoS2, "t")
	c := join(t, b, kept(packet.V5, "c"))
	var all []byte
	for id := packet.ID(1); id <= 20; id++ {
		topic := "t"
		if id%2 == 0 {
			topic = "secret/x"
		}
		all = append(all, encodeAs(t, packet.V5, pub(packet.QoS2, id, topic, "x"))...)
	}
	require.NoError(t, c.SendRaw(all))
	for id := packet.ID(1); id <= 20; id++ {
		require.Equal(t, id, c.ack(packet.PUBREC).ID)
	}
}
