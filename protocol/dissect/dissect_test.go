// SPDX-License-Identifier: Apache-2.0

package dissect_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/dissect"
	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

func TestPacketsAreTakenApart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		v     packet.Version
		role  parser.Role
		bytes string
		title string
		want  []string
	}{
		{"connect of the capture", 0, parser.Server, `
			10 33 0004 4d515454 04 c2 003c 000f 383631363934303330313432343733
			000c 6c696261696e657532303034 0008 3132333435363738`, "CONNECT 861694030142473", []string{
			"10 type and flags = 0x10",
			"33 remaining length = 51 (bytes behind this field)",
			"0004 protocol name length = 4",
			"4d515454 protocol name = MQTT",
			"04 protocol level = 4 (MQTT 3.1.1)",
			"c2 connect flags = 0xc2",
			"003c keep alive = 60 (seconds; silence of more than 90 is the end)",
			"000f client identifier length = 15",
			"383631363934303330313432343733 client identifier = 861694030142473",
			"000c user name length = 12",
			"6c696261696e657532303034 user name = libaineu2004",
			"0008 password length = 8",
			"3132333435363738 password",
		}},
		{"connack of the capture", packet.V311, parser.Client, "20 02 00 00", "CONNACK connection accepted", []string{
			"20 type and flags = 0x20",
			"02 remaining length = 2 (bytes behind this field)",
			"00 connect acknowledge flags = 0x00",
			"00 return code = 0 (connection accepted)",
		}},
		{"pingreq", packet.V311, parser.Server, "c0 00", "PINGREQ", []string{
			"c0 type and flags = 0xc0",
			"00 remaining length = 0 (bytes behind this field)",
		}},
		{"connect of 5.0 with a will", 0, parser.Server, `
			10 20 0004 4d515454 05 2e 0000 05 11 0000000a 0001 61
			 05 18 00000003 0001 77 0002 6869`, "CONNECT a", []string{
			"10 type and flags = 0x10",
			"20 remaining length = 32 (bytes behind this field)",
			"0004 protocol name length = 4",
			"4d515454 protocol name = MQTT",
			"05 protocol level = 5 (MQTT 5.0)",
			"2e connect flags = 0x2e",
			"0000 keep alive = 0 (off)",
			"05 property length = 5",
			"11 property = 0x11 (session expiry interval)",
			"0000000a session expiry interval = 10",
			"0001 client identifier length = 1",
			"61 client identifier = a",
			"05 property length = 5",
			"18 property = 0x18 (will delay interval)",
			"00000003 will delay interval = 3",
			"0001 will topic length = 1",
			"77 will topic = w",
			"0002 will message length = 2",
			"6869 will message",
		}},
		{"publish of 5.0", packet.V5, parser.Server, "34 12 0003 612f62 0007 09 23 0001 26 0001 6b 0000 78", "PUBLISH a/b #7", []string{
			"34 type and flags = 0x34",
			"12 remaining length = 18 (bytes behind this field)",
			"0003 topic name length = 3",
			"612f62 topic name = a/b",
			"0007 packet identifier = 7",
			"09 property length = 9",
			"23 property = 0x23 (topic alias)",
			"0001 topic alias = 1",
			"26 property = 0x26 (user property)",
			"0001 user property name length = 1",
			"6b user property name = k",
			"0000 user property value length = 0",
			"78 application message",
		}},
		{"suback", packet.V311, parser.Client, "90 04 0001 00 80", "SUBACK #1 granted qos 0 unspecified error", []string{
			"90 type and flags = 0x90",
			"04 remaining length = 4 (bytes behind this field)",
			"0001 packet identifier = 1",
			"00 reason code = 0 (granted qos 0)",
			"80 reason code = 128 (unspecified error)",
		}},
		{"unsubscribe", packet.V311, parser.Server, "a2 06 0009 0002 612f", "UNSUBSCRIBE #9 a/", []string{
			"a2 type and flags = 0xa2",
			"06 remaining length = 6 (bytes behind this field)",
			"0009 packet identifier = 9",
			"0002 topic filter length = 2",
			"612f topic filter = a/",
		}},
		{"a topic that is cut off", packet.V311, parser.Server, "30 04 0005 6162", "PUBLISH, refused", []string{
			"30 type and flags = 0x30",
			"04 remaining length = 4 (bytes behind this field)",
			"0005 topic name length = 5",
			"6162 topic name, cut off",
		}},
		{"more than it says", packet.V311, parser.Client, "40 03 0001 00", "PUBACK, refused", []string{
			"40 type and flags = 0x40",
			"03 remaining length = 3 (bytes behind this field)",
			"0001 packet identifier = 1",
			"00 bytes behind the last field",
		}},
		{"less than it says", packet.V311, parser.Client, "90 04 0001", "SUBACK #1", []string{
			"90 type and flags = 0x90",
			"04 remaining length = 4 (bytes behind this field; 2 of them are missing)",
			"0001 packet identifier = 1",
		}},
		{"an unknown property", packet.V5, parser.Client, "40 06 0001 00 02 7f01", "PUBACK, refused", []string{
			"40 type and flags = 0x40",
			"06 remaining length = 6 (bytes behind this field)",
			"0001 packet identifier = 1",
			"00 reason code = 0 (success)",
			"02 property length = 2",
			"7f01 unknown property",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := dissect.One(wire(t, tt.bytes), tt.v, tt.role)
			requireCovered(t, p)
			require.Equal(t, tt.want, table(p))
			require.Equal(t, tt.title, p.Title())
		})
	}
}

func TestPasswordsAndMessagesAreMarked(t *testing.T) {
	kinds := map[string]dissect.Kind{}
	for _, b := range []string{
		"10 1c 0004 4d515454 04 c4 0000 0001 61 0001 74 0001 6d 0001 75 0001 70",
		"30 04 0001 74 6d",
	} {
		for _, f := range dissect.One(wire(t, b), 0, parser.Server).Fields {
			kinds[f.Name] = f.Kind
		}
	}
	require.Equal(t, dissect.Secret, kinds["password"])
	require.Equal(t, dissect.Data, kinds["will message"])
	kinds = map[string]dissect.Kind{}
	for _, f := range dissect.One(wire(t, "f0 0b 18 09 15 0001 6d 16 0002 7365"), packet.V5, parser.Server).Fields {
		kinds[f.Name] = f.Kind
	}
	require.Equal(t, dissect.Secret, kinds["authentication data"])
}

func TestStreamFollowsTheThirteenFrames(t *testing.T) {
	pieces := seed(t, "connect_websocket.hex")
	require.Len(t, pieces, 13)
	s := dissect.NewStream(parser.Server, 1000)
	var wants []int
	var got []dissect.Packet
	for _, p := range pieces {
		require.NoError(t, s.Feed(p, func(p dissect.Packet) { got = append(got, p) }))
		_, _, want := s.Continuation()
		wants = append(wants, want)
	}
	require.Equal(t, []int{1, 51, 49, 45, 44, 43, 41, 39, 24, 22, 10, 8, 2}, wants)
	require.Len(t, got, 1)
	require.NoError(t, got[0].Err)
	require.Equal(t, bytes.Join(pieces, nil), got[0].Bytes)
	require.Equal(t, packet.V311, got[0].Version)
}

func TestStreamEndsAtWhatIsNotMQTT(t *testing.T) {
	s := dissect.NewStream(parser.Client, 1000)
	s.SetVersion(packet.V5)
	var got []dissect.Packet
	keep := func(p dissect.Packet) { got = append(got, p) }
	require.NoError(t, s.Feed(wire(t, "20 03 00 00 00 d0 00 00 d0"), keep))
	require.Len(t, got, 3)
	require.NoError(t, got[1].Err)
	require.Equal(t, packet.FaultReservedType, errFault(t, got[2].Err))
	requireCovered(t, got[2])
	require.ErrorIs(t, s.Feed([]byte{0xd0}, keep), dissect.ErrNotMQTT)
	require.NoError(t, s.Feed(nil, keep))

	s = dissect.NewStream(parser.Client, 4)
	got = nil
	require.NoError(t, s.Feed(wire(t, "90 03 0001 00"), keep))
	require.Equal(t, packet.FaultPacketTooLarge, errFault(t, got[0].Err))
}

func errFault(t *testing.T, err error) packet.Fault {
	t.Helper()
	var f packet.Fault
	require.ErrorAs(t, err, &f)
	return f
}
