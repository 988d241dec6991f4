// SPDX-License-Identifier: Apache-2.0

package packet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		v            packet.Version
		valid        bool
		name, spoken string
	}{
		{2, false, "MQTT", "level 2"},
		{packet.V31, true, "MQIsdp", "3.1"},
		{packet.V311, true, "MQTT", "3.1.1"},
		{packet.V5, true, "MQTT", "5.0"},
		{6, false, "MQTT", "level 6"},
	} {
		require.Equal(t, c.valid, c.v.Valid())
		require.Equal(t, c.name, c.v.Name())
		require.Equal(t, c.spoken, c.v.String())
	}
}

func TestPacket_types(t *testing.T) {
	for want, p := range map[packet.Type]packet.Packet{
		packet.CONNECT: &packet.Connect{}, packet.CONNACK: &packet.Connack{}, packet.PUBLISH: &packet.Publish{},
		packet.PUBREL: &packet.Ack{Kind: packet.PUBREL}, packet.SUBSCRIBE: &packet.Subscribe{}, packet.SUBACK: &packet.Suback{},
		packet.UNSUBSCRIBE: &packet.Unsubscribe{}, packet.UNSUBACK: &packet.Unsuback{}, packet.PINGREQ: &packet.Pingreq{},
		packet.PINGRESP: &packet.Pingresp{}, packet.DISCONNECT: &packet.Disconnect{}, packet.AUTH: &packet.Auth{},
	} {
		require.Equal(t, want, p.Type())
	}
	require.Equal(t, "PUBREL", packet.PUBREL.String())
}
