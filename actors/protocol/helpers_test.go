// SPDX-License-Identifier: Apache-2.0

package protocol_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/cast"
	"emqttd/actors/cast/casttest"
	"emqttd/actors/metrics"
	"emqttd/actors/protocol"
	"emqttd/actors/retainer"
	"emqttd/actors/router"
	"emqttd/actors/session"
	"emqttd/actors/store"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
	"emqttd/supervisor/stagetest"
)

// desk is the protocol actor of one connection. Around it stand probes in the
// places of its client actor, the session manager, the session, the store and
// $SYS: whatever it says is looked at, and nothing answers but the test.
type desk struct {
	t      *testing.T
	w      *stagetest.World
	conn   *casttest.Conn
	env    *cast.Env
	limits cast.Limits
	table  *router.Table
	gate   *protocol.Gate

	client, sm, session, store, sys, subscriber *stagetest.Probe
}

func newDesk(t *testing.T, w *stagetest.World) *desk {
	d := &desk{t: t, w: w, conn: casttest.New(t), table: router.NewTable(128)}
	d.limits = cast.Limits{MaxPacketSize: 1 << 20, MaxClientID: 40, Topics: topic.Limits{Length: 64, Levels: 8}, MatchSteps: 1 << 14,
		MaxFilters: 3, MaxSubscriptions: 100, MaxUserProperties: 2, MaxPropertiesSize: 1 << 10, MaxQoS: 2, Retain: true, Wildcard: true,
		Shared: true, SubscriptionIDs: true, SharedStrategy: "round_robin", KeepAliveFactor: 1.5, AliasIn: 4, AliasOut: 4,
		ReceiveMaximum: 3, MaxExpiry: time.Hour, V3Expiry: time.Hour, MaxWillDelay: time.Minute, RetainedCount: 10, RetainedPayload: 1 << 10,
		StoreBytes: 1 << 20, DeliveriesPerTurn: 1000, HexBytes: 32, PoisonCount: 3, PoisonWindow: time.Minute, PoisonBan: time.Hour,
		ConnectTimeout: 10 * time.Second}
	d.env = cast.NewEnv("emqttd@127.0.0.1", zerolog.Nop(), new(metrics.Metrics), &d.limits)
	d.client = w.ProbeAt(&d.conn.Client, "client", nil)
	d.sm, d.session, d.store, d.sys, d.subscriber = w.Probe("sm"), w.Probe("session"), w.Probe("store"), w.Probe("sys"), w.Probe("subscriber")
	d.env.SM, d.env.Store, d.env.Sys = []*cell.Cell{d.sm.Cell}, d.store.Cell, d.sys.Cell
	index := retainer.NewIndex(128)
	pub := &session.Publisher{Env: d.env, Table: d.table, Retained: index, Log: store.NewLog(0, d.store.Cell, index)}
	chain, err := access.NewChain(&access.Anonymous{AcceptCredentials: true})
	require.NoError(t, err)
	bans := access.NewBans()
	rules, err := acl.ParseRules("rules", `{deny, all, publish, ["secret"]}. {deny, all, subscribe, ["secret"]}. {allow, all}.`)
	require.NoError(t, err)
	d.gate = &protocol.Gate{Chain: chain, Enhanced: access.NewEnhanced(), Bans: bans, Rules: rules,
		Poisonings: &protocol.Poisonings{Bans: bans}}
	protocol.Init(protocol.Kind(d.env, pub), &d.conn.Conn, d.conn.Owner(), w.Group, d.gate, w.Clock.Now()+int64(10*time.Second))
	w.Start(&d.conn.Protocol)
	return d
}

func (d *desk) tell(m cell.Message) { d.t.Helper(); d.w.Tell(&d.conn.Protocol, m) }

// receive hands in the packets of one read.
func (d *desk) receive(packets ...packet.Packet) {
	d.t.Helper()
	r := cast.NewReceived(nil)
	r.Packets = packets
	d.tell(r)
}

// subscribe lets the desk's subscriber have what matches.
func (d *desk) subscribe(filter string, durable bool) {
	who := &cast.Subscriber{Session: d.subscriber.Cell, Number: 9, ClientID: "sub"}
	sub := &cast.Subscription{Subscriber: who, Filter: filter, QoS: packet.QoS2, Durable: durable}
	d.table.Accept(&cast.Route{Changes: []cast.Change{{New: sub}}})
}

func connect(v packet.Version, change func(*packet.Connect)) *packet.Connect {
	p := &packet.Connect{Version: v, ClientID: "c", CleanStart: true, KeepAlive: 10}
	if change != nil {
		change(p)
	}
	return p
}

// connected brings the connection to the state behind CONNACK and forgets what
// was said on the way.
func (d *desk) connected(v packet.Version, change func(*packet.Connect)) {
	d.t.Helper()
	d.receive(connect(v, change))
	require.Len(d.t, d.sm.Take(), 1, "the session manager is asked; said: %v", d.said())
	d.tell(&cast.SessionStarted{Session: d.session.Cell, Epoch: 5})
	d.said()
	d.session.Take()
}

// said is what the client actor was told, one line for each packet or order.
func (d *desk) said() (out []string) {
	for _, m := range d.client.Take() {
		switch m := m.(type) {
		case *cast.Send:
			for p := range m.All {
				out = append(out, tell(p))
			}
		case *cast.Shutdown:
			last := "nothing"
			if m.Packet != nil {
				last = tell(m.Packet)
			}
			out = append(out, fmt.Sprintf("shutdown (%s) with %s", m.Reason, last))
		case *cast.Connected:
			out = append(out, fmt.Sprintf("connected keepalive %s", time.Duration(m.KeepAlive)))
		default:
			out = append(out, fmt.Sprintf("%T", m))
		}
	}
	return out
}

func tell(p packet.Packet) string {
	switch p := p.(type) {
	case *packet.Connack:
		return fmt.Sprintf("CONNACK %#02x", byte(p.Code))
	case *packet.Disconnect:
		return fmt.Sprintf("DISCONNECT %#02x", byte(p.Code))
	case *packet.Ack:
		return fmt.Sprintf("%s %d %#02x", p.Kind, p.ID, byte(p.Code))
	case *packet.Auth:
		return fmt.Sprintf("AUTH %#02x", byte(p.Code))
	default:
		return p.Type().String()
	}
}

// asked is what the session was told.
func (d *desk) asked() (out []string) {
	for _, m := range d.session.Take() {
		switch m := m.(type) {
		case *cast.Releases:
			for _, r := range m.Items {
				line := fmt.Sprintf("release %d", r.ID)
				if r.Message != nil {
					line += " " + r.Message.Topic
				}
				if r.Refused {
					line += fmt.Sprintf(" refused %#02x", byte(r.Code))
				}
				out = append(out, line)
			}
		case *cast.Acked:
			for _, a := range m.Acks {
				out = append(out, fmt.Sprintf("%s %d", a.Kind, a.ID))
			}
		case *cast.Subscribe:
			out = append(out, fmt.Sprintf("subscribe %v", m.Codes))
		case *cast.Detach:
			out = append(out, fmt.Sprintf("detach (%s) will %v", m.Reason, m.KeepWill))
		default:
			out = append(out, strings.TrimPrefix(fmt.Sprintf("%T", m), "*cast."))
		}
	}
	return out
}

// delivered is what the subscriber was given.
func (d *desk) delivered() (out []string) {
	for _, m := range d.subscriber.Take() {
		for _, msg := range m.(*cast.Dispatch).Messages {
			out = append(out, say(msg))
		}
	}
	return out
}

func say(m *message.Message) string { return fmt.Sprintf("q%d %s %s", m.QoS, m.Topic, m.Payload) }

func publish(qos packet.QoS, id packet.ID, name, payload string) *packet.Publish {
	return &packet.Publish{QoS: qos, ID: id, Topic: []byte(name), Payload: []byte(payload)}
}

func ban(clientID string) access.Ban {
	return access.Ban{Kind: access.BanClient, Value: clientID, At: stagetest.Begin, By: "test"}
}

// answered is what the session says of a packet.
func answered(p packet.Packet) *cast.Answer {
	a := cast.NewAnswer(5)
	a.Join(p)
	return a
}
