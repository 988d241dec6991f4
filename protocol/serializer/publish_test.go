// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

var publishCases = []codecCase{
	{"QoS 0", toServer, before5, "30 06  00 03 61 2f 62  78", // type+len, topic, payload
		&packet.Publish{Topic: []byte("a/b"), Payload: []byte("x")}},
	{"QoS 0 without payload", toClient, before5, "30 05  00 03 61 2f 62", &packet.Publish{Topic: []byte("a/b"), Payload: []byte{}}},
	{"QoS 0 retained", toServer, only5, "31 07  00 03 61 2f 62  00  78",
		&packet.Publish{Retain: true, Topic: []byte("a/b"), Payload: []byte("x")}},
	{"QoS 0 with DUP, which 3.1 does not forbid", toServer, only3, "38 03  00 01 61",
		&packet.Publish{Dup: true, Topic: []byte("a"), Payload: []byte{}}},
	{"QoS 1", toServer, before5, "32 06  00 01 61  ff ff  78",
		&packet.Publish{QoS: 1, ID: 65_535, Topic: []byte("a"), Payload: []byte("x")}},
	{"QoS 2 again", toClient, before5, "3d 06  00 01 61  00 01  78",
		&packet.Publish{Dup: true, QoS: 2, Retain: true, ID: 1, Topic: []byte("a"), Payload: []byte("x")}},
	{"QoS 2", toServer, only5, "34 07  00 01 61  00 01  00  78",
		&packet.Publish{QoS: 2, ID: 1, Topic: []byte("a"), Payload: []byte("x")}},
	{"an empty topic, which the topic rules judge", toServer, before5, "30 02  00 00",
		&packet.Publish{Topic: []byte{}, Payload: []byte{}}},
	{"a topic alias in place of the topic", toServer, only5, "30 06  00 00  03 23 00 07",
		&packet.Publish{Topic: []byte{}, Payload: []byte{}, Properties: with(func(p *packet.Properties) { p.TopicAlias = 7 }, packet.PropTopicAlias)}},
	{"every property that a client may send", toServer, only5, `
		32 2e  00 03 74 c3 a9  00 0a
		25                              # 37 bytes of properties
		01 00                           # payload format
		02 00 01 51 80                  # message expiry: a day
		03 00 01 6a                     # content type
		08 00 03 72 2f 31               # response topic
		09 00 00                        # correlation data
		23 ff ff                        # topic alias
		26 00 00 00 00                  # user properties
		26 00 01 61 00 03 62 63 64
		ff`, // payload
		&packet.Publish{QoS: 1, ID: 10, Topic: []byte("té"), Payload: []byte{0xff}, Properties: with(func(p *packet.Properties) {
			p.MessageExpiry, p.ContentType, p.ResponseTopic = 86_400, "j", "r/1"
			p.CorrelationData, p.TopicAlias = []byte{}, 65_535
			p.User = []packet.UserProperty{{}, {Key: "a", Value: "bcd"}}
		}, packet.PropPayloadFormat, packet.PropMessageExpiry, packet.PropContentType, packet.PropResponseTopic,
			packet.PropCorrelationData, packet.PropTopicAlias)}},
	{"subscription identifiers of every size", toClient, only5, `
		30 12  00 01 61  0e
		0b 01  0b 80 01  0b 80 80 01  0b ff ff ff 7f`,
		&packet.Publish{Topic: []byte("a"), Payload: []byte{},
			Properties: &packet.Properties{SubscriptionIDs: []uint32{1, 128, 16_384, 268_435_455}}}},
}

func TestPublish(t *testing.T) { runAll(t, publishCases) }

func TestPublish_remaining_length_at_its_boundaries(t *testing.T) {
	for _, c := range []struct {
		remaining int
		length    string
	}{
		{127, "7f"}, {128, "80 01"},
		{16_383, "ff 7f"}, {16_384, "80 80 01"},
		{2_097_151, "ff ff 7f"}, {2_097_152, "80 80 80 01"},
	} {
		t.Run(fmt.Sprint(c.remaining), func(t *testing.T) {
			p := &packet.Publish{Topic: []byte("a"), Payload: make([]byte, c.remaining-3)}
			out, err := serializer.AppendPublish(nil, p, v4)
			require.NoError(t, err)
			require.Equal(t, wire(t, "30"+c.length+"00 01 61"), out[:len(out)-len(p.Payload)])
			start := parser.New(parser.Options{Version: v4})
			_, got, rest, err := start.Parse(out, nil)
			require.NoError(t, err)
			require.Empty(t, rest)
			require.Len(t, got.(*packet.Publish).Payload, len(p.Payload))
		})
	}
}

func TestPublish_topic_of_65535_bytes_and_one_more(t *testing.T) {
	p := &packet.Publish{Topic: bytes.Repeat([]byte("t"), 65_535)}
	_, err := serializer.Append(nil, p, v4)
	require.NoError(t, err)
	p.Topic = append(p.Topic, 't')
	_, err = serializer.Append(nil, p, v4)
	require.ErrorIs(t, err, serializer.ErrInvalid)
}

func TestPublish_largest_packet_and_one_byte_more(t *testing.T) {
	p := &packet.Publish{Topic: []byte("t"), Payload: make([]byte, packet.MaxRemainingLength-3)}
	n, err := serializer.Size(p, v4)
	require.NoError(t, err)
	require.Equal(t, 5+packet.MaxRemainingLength, n)
	p.Payload = make([]byte, packet.MaxRemainingLength-2)
	_, err = serializer.Size(p, v4)
	require.ErrorIs(t, err, serializer.ErrTooLarge)
	dst, err := serializer.AppendPublish([]byte("kept"), p, v4)
	require.ErrorIs(t, err, serializer.ErrTooLarge)
	require.Equal(t, "kept", string(dst))
}

// One encoding serves many subscribers.
func TestPublishID_is_where_the_identifier_stands(t *testing.T) {
	for _, v := range allVersions {
		for _, topic := range []string{"a", strings.Repeat("t", 200), strings.Repeat("t", 65_535)} {
			for _, payload := range []int{0, 300, 1 << 21} {
				p := &packet.Publish{QoS: 1, ID: 0x1234, Topic: []byte(topic), Payload: make([]byte, payload)}
				frame, err := serializer.AppendPublish(nil, p, v)
				require.NoError(t, err)
				at := serializer.PublishID(frame)
				require.Equal(t, uint16(0x1234), binary.BigEndian.Uint16(frame[at:]))
				binary.BigEndian.PutUint16(frame[at:], 0xfffe)
				_, got, _, err := parser.New(parser.Options{Version: v}).Parse(frame, nil)
				require.NoError(t, err)
				require.Equal(t, packet.ID(0xfffe), got.(*packet.Publish).ID)
			}
		}
	}
}

func TestPublishID_of_anything_else_is_minus_one(t *testing.T) {
	for _, text := range []string{
		"", "32", "32 05", "32 05 00", "32 05 00 01", "32 05 00 01 61", "32 05 00 01 61 00", "32 80 80 80 80",
		"30 05 00 01 61 00 01", "40 02 00 01", "82 06 00 01 00 01 61 00",
	} {
		require.Equal(t, -1, serializer.PublishID(wire(t, text)), text)
	}
}
