// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/store"
	"emqttd/actors/store/memory"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

// TestPacketIdentifiersGoRoundTheWholeRangeAndLeaveOutWhatIsInFlight begins near
// the end of the range with what a killed broker left in flight: identifiers that
// no counter of the new start knows.
func TestPacketIdentifiersGoRoundTheWholeRangeAndLeaveOutWhatIsInFlight(t *testing.T) {
	e := memory.New()
	ops := []store.Op{
		{Kind: store.PutSession, Session: 1, Record: &store.Record{ClientID: "keeper", Epoch: 1, Version: packet.V5, Expiry: 3600}},
		{Kind: store.PutFilter, Session: 1, Filter: &store.Filter{Text: "t/#", QoS: packet.QoS2}},
	}
	flying := map[packet.ID]bool{}
	for i, id := range []packet.ID{2, 3, 65_535, 65_533} {
		m := &message.Message{ID: message.ID{Seq: uint64(i + 1)}, From: "p", Topic: "t/before", QoS: packet.QoS2, Payload: []byte{'x'}}
		ops = append(ops, store.Op{Kind: store.Append, Session: 1, Sessions: []uint64{1}, Message: m},
			store.Op{Kind: store.PutInflight, Session: 1, ID: id, Message: m, QoS: packet.QoS2})
		flying[id] = true
	}
	e.Write([]*store.Commit{{Ops: ops}}, func(error) {})
	d := onDisk(t, e)
	k := d.back()
	for range flying {
		m := want[*packet.Publish](k)
		require.True(t, m.Dup && flying[m.ID], "identifier %d", m.ID)
		flying[m.ID] = false
	}
	p := d.publisher(clean(packet.V5, "p"))
	var ids []packet.ID
	for i := range 6 {
		qos := packet.QoS1 + packet.QoS(i%2) // both share the range
		p.publish(qos, packet.ID(i+1), fmt.Sprint("t/", i), "x")
		ids = append(ids, want[*packet.Publish](k).ID)
	}
	used := map[packet.ID]bool{2: true, 3: true, 65_533: true, 65_535: true}
	for _, id := range ids {
		require.NotZero(t, id, "[v3.1.1 MQTT-2.3.1-1, v5 MQTT-2.2.1-3]")
		require.False(t, used[id], "identifier %d belongs to another message", id)
		used[id] = true
	}
	require.Equal(t, []packet.ID{1, 4, 5, 6, 7, 8}, ids, "behind the highest that was in use, round the end")

	// Given back, an identifier is not the next one again: first comes the rest of
	// the range.
	k.send(ack(packet.PUBACK, ids[0]))
	p.publish(packet.QoS1, 7, "t/6", "x")
	require.EqualValues(t, 9, want[*packet.Publish](k).ID)
}

// TestPacketIdentifiersComeAgainAfterARoundOnly goes once round the whole range.
func TestPacketIdentifiersComeAgainAfterARoundOnly(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("66,000 messages take too long here")
	}
	d := onDisk(t, memory.New())
	k, p := d.keeper(packet.QoS1), d.publisher(clean(packet.V5, "p"))
	const gap, batch = 3, 50
	var seen [1 << 16]int
	for range (1<<16 + 500) / batch {
		for i := range packet.ID(batch) {
			p.send(pub(packet.QoS1, i+1, "t", "x"))
		}
		for range batch {
			m := want[*packet.Publish](k)
			seen[m.ID]++
			if m.ID != gap { // that one is never acknowledged
				k.send(ack(packet.PUBACK, m.ID))
			}
		}
		for range batch {
			p.ack(packet.PUBACK)
		}
	}
	require.Zero(t, seen[0])
	require.Equal(t, 1, seen[gap])
	unused := 0
	for id := 1; id < 1<<16; id++ {
		if seen[id] == 0 {
			unused++ // what shares a slot of the window with one in flight is left out, too
		}
		require.LessOrEqual(t, seen[id], 2, "identifier %d comes again before the round is over", id)
	}
	require.Less(t, unused, 1<<16/64)
}
