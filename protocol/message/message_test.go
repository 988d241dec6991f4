// SPDX-License-Identifier: Apache-2.0

package message_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/message"
	"emqttd/protocol/packet"
)

const second = int64(time.Second)

func TestExpiry(t *testing.T) {
	for _, c := range []struct {
		name    string
		expiry  int64
		now     int64
		expired bool
	}{
		{"none", 0, 1 << 62, false},
		{"before the deadline", 10, 9, false},
		{"at the deadline", 10, 10, true},
		{"behind it", 10, 11, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.expired, (&message.Message{Expiry: c.expiry}).Expired(c.now))
		})
	}
}

func TestWhatIsLeftIsSentOnInSecondsAndNeverZero(t *testing.T) {
	// [v5 MQTT-3.3.2-6]
	m := &message.Message{Expiry: 10 * second}
	for now, left := range map[int64]uint32{0: 10, 1: 10, second - 1: 10, second: 9, 9 * second: 1, 10*second - 1: 1, 10 * second: 1, 20 * second: 1} {
		require.Equal(t, left, m.Left(now), "at %d", now)
	}
}

func TestALongExpiryIsNotCutShort(t *testing.T) {
	p := new(packet.Properties)
	p.Set(packet.PropMessageExpiry).MessageExpiry = 0xFFFFFFFF
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	m := message.FromPublish(&packet.Publish{Properties: p}, "t", "", now)
	require.EqualValues(t, 0xFFFFFFFF, m.Left(now))
	require.False(t, m.Expired(now+0xFFFFFFFE*second))
	require.True(t, m.Expired(now+0xFFFFFFFF*second))
}

func TestSizeGrowsWithWhatIsKept(t *testing.T) {
	empty := (&message.Message{}).Size()
	require.Positive(t, empty, "a million empty messages are not free")
	require.Equal(t, empty+3+5, (&message.Message{Topic: "a/b", Payload: []byte("12345")}).Size())
}

// full has every property that a PUBLISH may carry.
func full() *packet.Properties {
	p := new(packet.Properties)
	p.Set(packet.PropPayloadFormat).PayloadFormat = 1
	p.Set(packet.PropMessageExpiry).MessageExpiry = 60
	p.Set(packet.PropContentType).ContentType = "text/plain"
	p.Set(packet.PropResponseTopic).ResponseTopic = "r"
	p.Set(packet.PropCorrelationData).CorrelationData = []byte{1, 2}
	p.Set(packet.PropTopicAlias).TopicAlias = 7
	p.User = []packet.UserProperty{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b", Value: "3"}}
	p.SubscriptionIDs = []uint32{9}
	return p
}

func TestPropertiesThatTravelAreUnalteredAndTheOthersStayBehind(t *testing.T) {
	// [v5 MQTT-3.3.2-4 -15 -16 -17 -18 -20]
	m := message.FromPublish(&packet.Publish{QoS: 2, Retain: true, Dup: true, Topic: []byte("alias"), Payload: []byte("x"), Properties: full()}, "t", "c", 5*second)
	require.Equal(t, "t", m.Topic, "the topic that the alias stands for")
	require.Equal(t, "c", m.From)
	require.EqualValues(t, 2, m.QoS)
	require.True(t, m.Retain)
	require.Equal(t, 5*second, m.At)
	require.Equal(t, 65*second, m.Expiry)
	want := full()
	want.Clear(packet.PropMessageExpiry)
	want.Clear(packet.PropTopicAlias)
	want.MessageExpiry, want.TopicAlias, want.SubscriptionIDs = 0, 0, nil
	require.Equal(t, want, m.Properties)
	require.Zero(t, m.ID, "nobody has stored it")
}

func TestAMessageWithoutPropertiesHasNone(t *testing.T) {
	alone := new(packet.Properties)
	alone.Set(packet.PropMessageExpiry).MessageExpiry = 1
	for name, p := range map[string]*packet.Properties{"nil": nil, "empty": {}, "only such as stay behind": alone} {
		t.Run(name, func(t *testing.T) {
			m := message.FromPublish(&packet.Publish{Properties: p}, "t", "", 0)
			require.Nil(t, m.Properties)
			require.Nil(t, m.Payload)
		})
	}
}

func TestThePayloadIsACopyOfTheReadBuffer(t *testing.T) {
	buf := []byte("payload")
	m := message.FromPublish(&packet.Publish{Payload: buf}, "t", "", 0)
	copy(buf, "XXXXXXX")
	require.Equal(t, "payload", string(m.Payload))
	require.Equal(t, len(m.Payload), cap(m.Payload), "no more is kept than is needed")
}

func TestAWillBecomesAMessage(t *testing.T) {
	m := message.FromWill(&packet.Will{QoS: 1, Retain: true, Topic: "w", Payload: []byte("gone"), Properties: full()}, "c", second)
	require.Equal(t, "w", m.Topic)
	require.Equal(t, "gone", string(m.Payload))
	require.Equal(t, "c", m.From)
	require.EqualValues(t, 1, m.QoS)
	require.True(t, m.Retain)
	require.Equal(t, 61*second, m.Expiry, "from the time of its publication")
	require.Equal(t, full().User, m.Properties.User)
}
