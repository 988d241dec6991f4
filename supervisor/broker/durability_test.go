// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/listeners/api"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// TestAtTheLevelOfMemoryNoAcknowledgementWaits is the same table: with the disk
// held still the commit has to come all the same, and the answer leaves. Once the
// disk has had it, which takes a second at most, a kill finds everything there.
func TestAtTheLevelOfMemoryNoAcknowledgementWaits(t *testing.T) {
	for _, row := range acknowledgements {
		t.Run(row.name, func(t *testing.T) {
			d := onDisk(t, memory.New(), "listeners.tcp.default.durability=memory")
			p := row.act(d)
			require.False(t, d.sees(row.writes...).Waits())
			require.EqualValues(t, 1, d.left(row.waits), "while the disk stands still")
			d.gate.Release()
			row.heard(d, p)
		})
	}
}

// sensors publish at the level of memory, and to fast/# everybody does.
var sensors = []string{`store.durability_rules=["synced client s-exact", "memory client s-*", "memory topic fast/#"]`}

func TestTheFirstRuleThatFitsGivesTheLevel(t *testing.T) {
	for _, c := range []struct {
		client, topic string
		waits         bool
	}{
		{"c", "t/x", true},
		{"c", "fast/x", false},
		{"c", "faster", true},
		{"s-1", "t/x", false},
		{"s-1", "fast/x", false},
		{"s-exact", "t/x", true},
		{"s-exact", "fast/x", true},
	} {
		for qos := packet.QoS1; qos <= packet.QoS2; qos++ {
			t.Run(c.client+" to "+c.topic+" with QoS "+string(rune('0'+qos)), func(t *testing.T) {
				d := onDisk(t, memory.New(), sensors...)
				k := join(t, d.Broker, kept(packet.V5, "keeper"))
				k.subscribe(packet.QoS2, "#")
				k.leave()
				p := d.publisher(clean(packet.V5, c.client))
				early := d.Metrics().StoreEarly.Load()
				d.hold()
				p.send(pub(qos, 1, c.topic, "x"))
				d.sees(store.Append)
				answer := packet.PUBACK
				if qos == packet.QoS2 {
					answer = packet.PUBREC
				}
				if c.waits {
					require.Zero(t, d.left(answer))
					require.Equal(t, early, d.Metrics().StoreEarly.Load())
				} else {
					require.EqualValues(t, 1, d.left(answer))
					require.Equal(t, early+1, d.Metrics().StoreEarly.Load())
				}
				d.gate.Release()
				p.ack(answer)
				d.kill().back().hears(c.topic, "x")
			})
		}
	}
}

func TestAnAcknowledgementThatDoesNotWaitStillLeavesInItsTurn(t *testing.T) {
	for qos, answer := range map[packet.QoS]packet.Type{packet.QoS1: packet.PUBACK, packet.QoS2: packet.PUBREC} {
		t.Run(answer.String(), func(t *testing.T) {
			d := onDisk(t, memory.New(), sensors...)
			k := join(t, d.Broker, kept(packet.V5, "keeper"))
			k.subscribe(packet.QoS2, "#")
			k.leave()
			p := d.publisher(clean(packet.V5, "p"))
			d.hold()
			p.send(pub(qos, 1, "fast/1", "x"), pub(qos, 2, "t/2", "x"), pub(qos, 3, "fast/3", "x"))
			require.EqualValues(t, 1, p.ack(answer).ID, "while the disk stands still")
			require.EqualValues(t, 1, d.left(answer), "the third waits behind the second [v5 MQTT-4.6.0-2 -3]")
			d.gate.Release()
			require.EqualValues(t, 2, p.ack(answer).ID)
			require.EqualValues(t, 3, p.ack(answer).ID)
			d.hold()
			p.send(pub(qos, 4, "fast/4", "x"))
			require.EqualValues(t, 4, p.ack(answer).ID, "and nothing is in the way any more")
			d.gate.Release()
		})
	}
}

// A kill would leave the identifier in use, and the next message with it, to the
// topic that is synced, would be answered as a repetition.
func TestAReleaseWaitsWhereOneTopicIsSynced(t *testing.T) {
	d := onDisk(t, memory.New(), `store.durability_rules=["memory client s-*", "synced topic bills/#", "memory client b-*"]`)
	for client, left := range map[string]int64{"s-1": 1, "b-1": 0} {
		p := d.publisher(kept(packet.V5, client))
		p.send(pub(packet.QoS2, 1, "t", "x"))
		p.ack(packet.PUBREC)
		d.hold()
		p.send(ack(packet.PUBREL, 1))
		require.Equal(t, left == 0, d.sees(store.DelAwait).Waits())
		require.Equal(t, left, d.left(packet.PUBCOMP), client)
		d.gate.Release()
		p.ack(packet.PUBCOMP)
	}
}

func TestWhatMemoryAcknowledgedAndTheDiskNeverHadIsLostAndNothingElse(t *testing.T) {
	d := onDisk(t, memory.New(), sensors...)
	k := join(t, d.Broker, kept(packet.V5, "keeper"))
	k.subscribe(packet.QoS1, "#")
	k.leave()
	p := d.publisher(clean(packet.V5, "p"))
	p.publish(packet.QoS1, 1, "t/1", "synced")
	d.hold()
	p.publish(packet.QoS1, 2, "fast/2", "acknowledged from memory")
	k = d.kill().back()
	k.hears("t/1", "synced")
	k.fence()
}

func TestAClientThatAsksIsToldItsLevel(t *testing.T) {
	const key = "emqttd-durability"
	b := brokertest.Start(t, "store.engine=pebble", "node.data_dir="+t.TempDir(), "store.min_free_bytes=0",
		`store.durability_rules=["memory client s-*"]`)
	told := func(b *brokertest.Broker, id string, most uint32, ask ...packet.UserProperty) []packet.UserProperty {
		c := clean(packet.V5, id)
		c.Properties = props(packet.PropUserProperty, func(q *packet.Properties) { q.User = ask })
		if most > 0 {
			c.Properties.Set(packet.PropMaximumPacketSize).MaximumPacketSize = most
		}
		_, ack := present(t, open(t, b, "tcp"), c)
		return ack.Properties.User
	}
	ask := packet.UserProperty{Key: key, Value: "?"}
	require.Equal(t, []packet.UserProperty{{Key: key, Value: "synced"}}, told(b, "c", 0, ask))
	require.Equal(t, []packet.UserProperty{{Key: key, Value: "memory"}}, told(b, "s-1", 0, packet.UserProperty{Key: "x"}, ask))
	require.Empty(t, told(b, "c", 0, packet.UserProperty{Key: "x"}), "who does not ask is not told")
	require.Empty(t, told(b, "c", 40, ask), "a CONNACK above the maximum must not be sent [v5 MQTT-3.2.2-20]")
	none := brokertest.Start(t, "store.engine=memory")
	require.Equal(t, []packet.UserProperty{{Key: key, Value: "memory"}}, told(none, "c", 0, ask), "the engine keeps nothing")
}

func TestTheLevelOfAClientIsSeenFromOutside(t *testing.T) {
	b := withDashboard(t, "store.engine=pebble", "node.data_dir="+t.TempDir(), "store.min_free_bytes=0",
		"listeners.tcp.default.durability=memory")
	join(t, b, clean(packet.V5, "c")).fence()
	var c api.ClientDetail
	browse(t, b).root().get("/clients/c", &c)
	require.Equal(t, "memory", c.Durability)
	text := scrape(t, b, "").Body.String()
	for _, name := range []string{"emqttd_store_commit_seconds_count", "emqttd_store_batch_bytes_sum", "emqttd_store_commits_total", "emqttd_store_early_total"} {
		require.Contains(t, text, "\n"+name+" ")
	}
}
