// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
	"emqttd/protocol/serializer"
)

var connectCases = []codecCase{
	{"shortest", toServer, only3, `
		10 0e  00 06 4d 51 49 73 64 70  # MQIsdp
		03 00  00 00                    # level, flags, keep alive
		00 00                           # client id`,
		&packet.Connect{Version: v3}},
	{"shortest", toServer, only4, "10 0c  00 04 4d 51 54 54  04 00  00 00  00 00", &packet.Connect{Version: v4}},
	{"shortest", toServer, only5, "10 0d  00 04 4d 51 54 54  05 00  00 00  00  00 00", &packet.Connect{Version: v5}},
	{"a bridge", toServer, only3, "10 0e  00 06 4d 51 49 73 64 70  83 02  00 00  00 00",
		&packet.Connect{Version: v3, Bridge: true, CleanStart: true}},
	{"a bridge", toServer, only4, "10 0c  00 04 4d 51 54 54  84 02  00 00  00 00",
		&packet.Connect{Version: v4, Bridge: true, CleanStart: true}},
	{"empty user name and password are not absent", toServer, only4, `
		10 10  00 04 4d 51 54 54  04 c0  ff ff
		00 00  00 00  00 00`,
		&packet.Connect{Version: v4, KeepAlive: 65_535, HasUsername: true, HasPassword: true, Password: []byte{}}},
	{"an empty will", toServer, only4, "10 10  00 04 4d 51 54 54  04 04  00 00  00 00  00 00  00 00",
		&packet.Connect{Version: v4, Will: &packet.Will{Payload: []byte{}}}},
	{"a will of QoS 2, retained, with a binary payload", toServer, only3, `
		10 16  00 06 4d 51 49 73 64 70  03 36  00 00
		00 01 63                        # client id
		00 01 77  00 02 ff 00           # will`,
		&packet.Connect{Version: v3, CleanStart: true, ClientID: "c",
			Will: &packet.Will{QoS: 2, Retain: true, Topic: "w", Payload: []byte{0xff, 0}}}},
	{"a byte order mark is text", toServer, only4, "10 0f  00 04 4d 51 54 54  04 02  00 00  00 03 ef bb bf",
		&packet.Connect{Version: v4, CleanStart: true, ClientID: "\ufeff"}},
	{"a password without user name", toServer, only5, `
		10 11  00 04 4d 51 54 54  05 40  00 00  00
		00 00
		00 02 00 ff                     # password, binary`,
		&packet.Connect{Version: v5, HasPassword: true, Password: []byte{0, 0xff}}},
	{"every property", toServer, only5, `
		10 75  00 04 4d 51 54 54  05 ee  00 0a
		2f                              # 47 bytes of properties
		11 ff ff ff ff                  # session expiry: never
		15 00 05 53 43 52 41 4d         # authentication method
		16 00 02 00 ff                  # authentication data
		17 00                           # request problem information
		19 01                           # request response information
		21 00 0a                        # receive maximum
		22 ff ff                        # topic alias maximum
		26 00 01 61 00 01 62            # user property, twice
		26 00 01 61 00 01 62
		27 00 10 00 00                  # maximum packet size
		00 01 63                        # client id
		28                              # 40 bytes of will properties
		01 01                           # payload format
		02 00 00 00 3c                  # message expiry
		03 00 02 74 2f                  # content type
		08 00 01 72                     # response topic
		09 00 02 ff fe                  # correlation data
		18 00 00 00 05                  # will delay
		26 00 01 78 00 00               # user property
		26 00 01 79 00 02 c3 a9
		00 02 77 2f                     # will topic
		00 03 62 79 65                  # will payload
		00 01 75                        # user name
		00 01 70                        # password`,
		&packet.Connect{
			Version: v5, CleanStart: true, KeepAlive: 10, ClientID: "c",
			HasUsername: true, Username: "u", HasPassword: true, Password: []byte("p"),
			Properties: with(func(p *packet.Properties) {
				p.SessionExpiry = 0xffff_ffff
				p.AuthMethod, p.AuthData = "SCRAM", []byte{0, 0xff}
				p.RequestProblemInformation, p.RequestResponseInformation = 0, 1
				p.ReceiveMaximum, p.TopicAliasMaximum = 10, 65_535
				p.User = []packet.UserProperty{{Key: "a", Value: "b"}, {Key: "a", Value: "b"}}
				p.MaximumPacketSize = 1 << 20
			}, packet.PropSessionExpiry, packet.PropAuthMethod, packet.PropAuthData, packet.PropRequestProblemInformation,
				packet.PropRequestResponseInfo, packet.PropReceiveMaximum, packet.PropTopicAliasMaximum, packet.PropMaximumPacketSize),
			Will: &packet.Will{QoS: 1, Retain: true, Topic: "w/", Payload: []byte("bye"),
				Properties: with(func(p *packet.Properties) {
					p.PayloadFormat, p.MessageExpiry, p.WillDelay = 1, 60, 5
					p.ContentType, p.ResponseTopic, p.CorrelationData = "t/", "r", []byte{0xff, 0xfe}
					p.User = []packet.UserProperty{{Key: "x"}, {Key: "y", Value: "é"}}
				}, packet.PropPayloadFormat, packet.PropMessageExpiry, packet.PropContentType, packet.PropResponseTopic,
					packet.PropCorrelationData, packet.PropWillDelay)},
		}},
}

func TestConnect(t *testing.T) { runAll(t, connectCases) }

func TestConnect_of_the_captures(t *testing.T) {
	_, p, _, err := parser.New(parser.Options{}).Parse(seed(t, "connect_tcp.hex"), nil)
	require.NoError(t, err)
	out, err := serializer.Append(nil, p, v4)
	require.NoError(t, err)
	require.Equal(t, seed(t, "connect_tcp.hex"), out)
	require.Equal(t, seed(t, "connect_websocket.hex"), out)
	for name, p := range map[string]packet.Packet{
		"connack.hex": &packet.Connack{}, "pingreq.hex": &packet.Pingreq{}, "pingresp.hex": &packet.Pingresp{},
	} {
		out, err := serializer.Append(nil, p, v4)
		require.NoError(t, err)
		require.Equal(t, seed(t, name), out, name)
	}
}

// What 3.1 allows and nobody writes: parsed, and said canonically afterwards.
func TestConnect_of_3_1_is_lenient(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"the user name is promised and missing",
			"10 0f  00 06 4d 51 49 73 64 70  03 82  00 00  00 01 63",
			"10 0f  00 06 4d 51 49 73 64 70  03 02  00 00  00 01 63"},
		{"user name and password are promised and missing",
			"10 0f  00 06 4d 51 49 73 64 70  03 c2  00 00  00 01 63",
			"10 0f  00 06 4d 51 49 73 64 70  03 02  00 00  00 01 63"},
		{"the password is promised and missing",
			"10 12  00 06 4d 51 49 73 64 70  03 c0  00 00  00 01 63  00 01 75",
			"10 12  00 06 4d 51 49 73 64 70  03 80  00 00  00 01 63  00 01 75"},
		{"will bits without a will, and bit 0",
			"10 0f  00 06 4d 51 49 73 64 70  03 3b  00 00  00 01 63",
			"10 0f  00 06 4d 51 49 73 64 70  03 02  00 00  00 01 63"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, p, _, err := parser.New(parser.Options{}).Parse(wire(t, c.in), nil)
			require.NoError(t, err)
			out, err := serializer.Append(nil, p, v3)
			require.NoError(t, err)
			require.Equal(t, wire(t, c.out), out)
		})
	}
}

func TestConnack(t *testing.T) {
	runAll(t, []codecCase{
		{"accepted", toClient, before5, "20 02  00 00", &packet.Connack{}}, // type+len, flags, return code
		{"accepted, session present", toClient, only4, "20 02  01 00", &packet.Connack{SessionPresent: true}},
		{"unacceptable level", toClient, before5, "20 02  00 01", &packet.Connack{Code: packet.UnsupportedProtocolVersion}},
		{"client id rejected", toClient, before5, "20 02  00 02", &packet.Connack{Code: packet.ClientIDNotValid}},
		{"server unavailable", toClient, before5, "20 02  00 03", &packet.Connack{Code: packet.ServerUnavailable}},
		{"bad user name or password", toClient, before5, "20 02  00 04", &packet.Connack{Code: packet.BadUserNameOrPassword}},
		{"not authorized", toClient, before5, "20 02  00 05", &packet.Connack{Code: packet.NotAuthorized}},
		{"accepted", toClient, only5, "20 03  00 00  00", &packet.Connack{}},
		{"refused with a reason", toClient, only5, "20 08  00 9d  05 1f 00 02 6e 6f",
			&packet.Connack{Code: packet.ServerMoved, Properties: reasonString("no")}},
		{"every property", toClient, only5, `
			20 4c  01 00
			49                              # 73 bytes of properties
			11 00 00 00 00                  # session expiry
			12 00 03 61 62 63               # assigned client id
			13 00 00                        # server keep alive
			15 00 01 6d                     # authentication method
			16 00 00                        # authentication data
			1a 00 02 72 2f                  # response information
			1c 00 0b 65 78 61 6d 70 6c 65 3a 38 38 33  # server reference
			1f 00 02 6f 6b                  # reason string
			21 ff ff                        # receive maximum
			22 00 00                        # topic alias maximum
			24 01                           # maximum QoS
			25 00                           # retain available
			26 00 01 6b 00 01 76            # user property
			27 00 00 00 01                  # maximum packet size
			28 00 29 01 2a 00               # wildcard, identifiers, shared`,
			&packet.Connack{SessionPresent: true, Properties: with(func(p *packet.Properties) {
				p.AssignedClientID, p.AuthMethod, p.AuthData = "abc", "m", []byte{}
				p.ResponseInformation, p.ServerReference, p.ReasonString = "r/", "example:883", "ok"
				p.ReceiveMaximum, p.MaximumQoS, p.SubscriptionIDAvailable = 65_535, 1, 1
				p.User = []packet.UserProperty{{Key: "k", Value: "v"}}
				p.MaximumPacketSize = 1
			}, packet.PropSessionExpiry, packet.PropAssignedClientID, packet.PropServerKeepAlive, packet.PropAuthMethod,
				packet.PropAuthData, packet.PropResponseInformation, packet.PropServerReference, packet.PropReasonString,
				packet.PropReceiveMaximum, packet.PropTopicAliasMaximum, packet.PropMaximumQoS, packet.PropRetainAvailable,
				packet.PropMaximumPacketSize, packet.PropWildcardAvailable, packet.PropSubscriptionIDAvailable, packet.PropSharedAvailable)}},
	})
}

func TestConnack_of_a_server_that_does_not_know_5_0_is_understood(t *testing.T) {
	_, p, _, err := parser.New(parser.Options{Role: toClient, Version: v5}).Parse(wire(t, "20 02 00 01"), nil)
	require.NoError(t, err)
	require.Equal(t, &packet.Connack{Code: packet.UnsupportedProtocolVersion}, p)
}

// [v3.1.1 MQTT-3.2.2-4, v5 MQTT-3.2.2-6]; 3.1 has no such flag at all.
func TestConnack_leaves_session_present_out_where_it_may_not_be(t *testing.T) {
	for _, c := range []struct {
		v     packet.Version
		code  packet.ReasonCode
		bytes string
	}{
		{v3, packet.Success, "20 02 00 00"},
		{v4, packet.NotAuthorized, "20 02 00 05"},
		{v5, packet.NotAuthorized, "20 03 00 87 00"},
	} {
		out, err := serializer.Append(nil, &packet.Connack{SessionPresent: true, Code: c.code}, c.v)
		require.NoError(t, err)
		require.Equal(t, wire(t, c.bytes), out)
	}
}
