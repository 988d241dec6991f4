// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
	"emqttd/actors/session"
	"emqttd/actors/store/memory"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
	"emqttd/supervisor/cell"
)

// Poison: a message that crashes its actor at both attempts. Its cause pays, and
// nobody else notices.

// poisonous crashes the protocol actor whenever the packet at the cursor is a
// poisonous one.
type poisonous struct{ phase cell.Phase }

// At implements cell.Hook.
func (h poisonous) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	r, ok := m.(*cast.Received)
	if !ok || p != h.phase || c.Kind().Name != "protocol" {
		return
	}
	switch q := r.Current().(type) {
	case *packet.Publish:
		if strings.HasPrefix(string(q.Topic), "poison") {
			panic("poison")
		}
	case *packet.Subscribe:
		if q.Subscriptions[0].Filter == "poison" {
			panic("poison")
		}
	case *packet.Connect:
		if strings.HasPrefix(q.ClientID, "poison") {
			panic("poison")
		}
	}
}

func TestPoison(t *testing.T) {
	b := brokertest.AllowCrashes(t, "ban.poison_count=0")
	hooked(t, poisonous{cell.Decide})
	bystander := join(t, b, clean(packet.V5, "bystander"))
	bystander.subscribe(packet.QoS2, "#")
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Run("a publish of MQTT 5 with QoS 1 or 2 is answered 0x83 and the connection goes on", func(t *testing.T) {
				p := enter(t, open(t, b, transport), clean(packet.V5, "p"))
				p.send(pub(packet.QoS1, 1, "before", "1"), pub(packet.QoS1, 2, "poison", "x"), pub(packet.QoS2, 3, "poison", "x"),
					pub(packet.QoS1, 4, "behind", "2"))
				require.Equal(t, packet.Success, p.ack(packet.PUBACK).Code)
				require.Equal(t, packet.ImplementationSpecificError, p.ack(packet.PUBACK).Code)
				rest := map[packet.ID]packet.ReasonCode{}
				for range 2 { // of different kinds, in any order
					a := want[*packet.Ack](p)
					rest[a.ID] = a.Code
				}
				require.Equal(t, map[packet.ID]packet.ReasonCode{3: packet.ImplementationSpecificError, 4: packet.Success}, rest)
				p.fence()
				bystander.hears("before", "1")
				bystander.hears("behind", "2")
				p.publish(packet.QoS2, 3, "again", "3") // the identifier is free
				bystander.hears("again", "3")
				p.leave()
			})
			for _, tt := range []struct {
				name   string
				v      packet.Version
				poison packet.Packet
			}{
				{"a publish of QoS 0 ends its connection", packet.V5, pub(packet.QoS0, 0, "poison", "x")},
				{"a subscribe ends its connection", packet.V5, &packet.Subscribe{ID: 9, Subscriptions: []packet.Subscription{{Filter: "poison"}}}},
				{"a publish of MQTT 3.1.1 ends its connection", packet.V311, pub(packet.QoS1, 9, "poison", "x")},
			} {
				t.Run(tt.name, func(t *testing.T) {
					c := clean(tt.v, "p")
					c.Will = &packet.Will{Topic: "will", Payload: []byte(tt.name)}
					p := enter(t, open(t, b, transport), c)
					p.send(pub(packet.QoS1, 1, "before", "1"), tt.poison)
					require.Equal(t, packet.ID(1), p.ack(packet.PUBACK).ID)
					p.turnedOut(packet.ImplementationSpecificError)
					bystander.hears("before", "1")
					bystander.hears("will", tt.name)
				})
			}
			t.Run("a connect is refused", func(t *testing.T) {
				for _, v := range []packet.Version{packet.V5, packet.V311} {
					p, ack := present(t, open(t, b, transport), clean(v, "poison"))
					want := packet.ImplementationSpecificError
					if v == packet.V311 {
						want = packet.ServerUnavailable // return code 3
					}
					require.Equal(t, want, ack.Code)
					p.closed()
				}
			})
		})
	}
	bystander.fence()
	bystander.leave()
	settled(t, b)
}

// ofSubscriber crashes the session of a client at every message of a topic.
type ofSubscriber struct{ clientID string }

// At implements cell.Hook.
func (h ofSubscriber) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if d, ok := m.(*cast.Dispatch); ok && p == cell.Before && c.Name() == "session/"+h.clientID && d.Messages[0].Topic == "t/poison" {
		panic("poison")
	}
}

func TestADeliveryThatCrashesASessionIsADeadLetterThereAlone(t *testing.T) {
	b := brokertest.AllowCrashes(t)
	hooked(t, ofSubscriber{"weak"})
	weak, strong := join(t, b, clean(packet.V5, "weak")), join(t, b, clean(packet.V5, "strong"))
	for _, s := range []*peer{weak, strong} {
		s.subscribe(packet.QoS1, "t/#")
	}
	p := join(t, b, clean(packet.V5, "p"))
	for _, topic := range []string{"t/1", "t/poison", "t/2"} {
		p.publish(packet.QoS1, 1, topic, "x")
	}
	weak.hears("t/1", "x")
	weak.hears("t/2", "x")
	for _, topic := range []string{"t/1", "t/poison", "t/2"} {
		strong.hears(topic, "x")
	}
	require.EqualValues(t, 1, b.Metrics().DeadLetters.Load())
	require.Equal(t, "weak", b.Graves()[0].ClientID)
	letters, err := b.DeadLetters(t.Context(), "weak")
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "t/poison", letters[0].Message.Topic)
	require.Equal(t, "poison", letters[0].Reason)

	_, err = b.ReplayDeadLetters(t.Context(), "nobody")
	require.ErrorIs(t, err, session.ErrNoSession)
	cell.SetHook(nil) // what was wrong is mended
	replayed, err := b.ReplayDeadLetters(t.Context(), "weak", letters[0].Serial)
	require.NoError(t, err)
	require.Equal(t, letters, replayed)
	weak.hears("t/poison", "x")
	require.Zero(t, b.Metrics().DeadLetters.Load())
	require.Empty(t, b.Graves())
}

func TestDeadLettersOutliveTheBroker(t *testing.T) {
	e := memory.New()
	b := startOn(t, e)
	c := &packet.Connect{Version: packet.V5, ClientID: "weak", Properties: &packet.Properties{SessionExpiry: 600}}
	c.Properties.Set(packet.PropSessionExpiry)
	weak, _ := connectRaw(t, b, c)
	require.NoError(t, weak.Send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t/#", QoS: 1}}}))
	require.IsType(t, &packet.Suback{}, weak.next())
	off := hooked(t, ofSubscriber{"weak"})
	require.NoError(t, b.Publish(t.Context(), &client.Message{Topic: "t/poison", Payload: []byte("x"), QoS: 1}))
	eventually(t, "it is buried", func() bool { return len(b.Graves()) == 1 })
	off()
	require.NoError(t, b.Shutdown(t.Context()))

	b = startOn(t, e)
	defer b.Close()
	require.EqualValues(t, 1, b.Metrics().DeadLetters.Load())
	require.Len(t, b.Graves(), 1)
	weak, ack := connectRaw(t, b, c)
	require.True(t, ack.SessionPresent)
	letters, err := b.ReplayDeadLetters(t.Context(), "weak")
	require.NoError(t, err)
	require.Len(t, letters, 1)
	require.Equal(t, "t/poison", string(weak.next().(*packet.Publish).Topic))
	letters, err = b.DeleteDeadLetters(t.Context(), "weak")
	require.NoError(t, err)
	require.Empty(t, letters)
}

// TestAConnectionWhoseActorsCrashTooOftenIsClosedAndNoOther: its session counts, too,
// whichever loop it was made on.
func TestAConnectionWhoseActorsCrashTooOftenIsClosedAndNoOther(t *testing.T) {
	for actor, p := range map[string]packet.Packet{
		"tcp:default/2/protocol": &packet.Pingreq{},
		"session/weak":           &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t"}}},
	} {
		t.Run(actor, func(t *testing.T) {
			b := brokertest.AllowCrashes(t, "runtime.actor_max_crashes=5", "runtime.loops=2")
			other := join(t, b, clean(packet.V5, "other"))
			c := clean(packet.V5, "weak")
			c.Will = &packet.Will{Topic: "will", Payload: []byte("weak")}
			other.subscribe(packet.QoS0, "will")
			weak := join(t, b, c)
			off := hooked(t, &firstAttempts{name: actor})
			for range 6 {
				weak.send(p)
				if _, err := weak.next(); err != nil {
					break
				}
			}
			weak.closed()
			off()
			other.hears("will", "weak")
			other.fence()
			join(t, b, clean(packet.V5, "weak")).fence()
		})
	}
}

// firstAttempts crashes an actor once at each of its messages that come from the
// client.
type firstAttempts struct {
	name  string
	again bool
}

// At implements cell.Hook.
func (h *firstAttempts) At(c *cell.Cell, p cell.Phase, m cell.Message) {
	if c.Name() != h.name || p != cell.Before {
		return
	}
	switch m.(type) {
	case *cast.Received, *cast.Subscribe:
		if h.again = !h.again; h.again {
			panic("first attempt")
		}
	}
}

// TestABanThatPoisonHasMadeIsSavedAtOnce: a client that crashes actors is kept out by
// the next broker, too, however this one ends.
func TestABanThatPoisonHasMadeIsSavedAtOnce(t *testing.T) {
	sets := []string{"store.engine=pebble", "node.data_dir=" + t.TempDir(), "ban.poison_count=2"}
	b := brokertest.AllowCrashes(t, sets...)
	off := hooked(t, poisonous{cell.Decide})
	bad := join(t, b, clean(packet.V5, "bad"))
	for id := range packet.ID(2) {
		bad.publish(packet.QoS1, id+1, "poison", "x")
	}
	file := filepath.Join(strings.TrimPrefix(sets[1], "node.data_dir="), "bans.json")
	eventually(t, "it is in the file", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), `"bad"`)
	})
	off()
	b.Stop()
	b = brokertest.AllowCrashes(t, sets...)
	_, ack := present(t, open(t, b, "tcp"), clean(packet.V5, "bad"))
	require.Equal(t, packet.Banned, ack.Code)
}
