// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// The property has a reason string of 5 bytes on the wire and a user property
// of 7.
func TestFitReason(t *testing.T) {
	full := func() *packet.Properties {
		return with(func(p *packet.Properties) {
			p.ReasonString = "no"
			p.User = []packet.UserProperty{{Key: "a", Value: "b"}}
		}, packet.PropReasonString)
	}
	packets := map[string]struct {
		make func() packet.Packet
		bare uint32 // bytes without properties
	}{
		"CONNACK": {func() packet.Packet { return &packet.Connack{Code: packet.ServerBusy, Properties: full()} }, 5},
		"PUBACK": {func() packet.Packet {
			return &packet.Ack{Kind: packet.PUBACK, ID: 1, Code: packet.QuotaExceeded, Properties: full()}
		}, 5},
		"SUBACK": {func() packet.Packet {
			return &packet.Suback{ID: 1, Codes: []packet.ReasonCode{0x87}, Properties: full()}
		}, 6},
		"UNSUBACK": {func() packet.Packet {
			return &packet.Unsuback{ID: 1, Codes: []packet.ReasonCode{0x87}, Properties: full()}
		}, 6},
		"DISCONNECT": {func() packet.Packet { return &packet.Disconnect{Code: packet.ServerBusy, Properties: full()} }, 3},
	}
	for name, p := range packets {
		t.Run(name, func(t *testing.T) {
			whole, err := serializer.Size(p.make(), v5)
			require.NoError(t, err)
			for _, c := range []struct {
				max          uint32
				fits         bool
				reason, user bool // still there
			}{
				{0, true, true, true},
				{uint32(whole), true, true, true},
				{uint32(whole) - 1, true, false, true},
				{uint32(whole) - 5, true, false, true},
				{uint32(whole) - 6, true, false, false},
				{p.bare, true, false, false},
				{p.bare - 1, false, false, false},
			} {
				m := p.make()
				require.Equal(t, c.fits, serializer.FitReason(m, v5, c.max), "max %d", c.max)
				props := propertiesOf(m)
				require.Equal(t, c.reason, props.Has(packet.PropReasonString), "max %d", c.max)
				require.Equal(t, c.user, props.Has(packet.PropUserProperty), "max %d", c.max)
				n, err := serializer.Size(m, v5)
				require.NoError(t, err)
				require.Equal(t, c.fits, c.max == 0 || uint32(n) <= c.max)
			}
		})
	}
}

func propertiesOf(p packet.Packet) *packet.Properties {
	switch m := p.(type) {
	case *packet.Connack:
		return m.Properties
	case *packet.Ack:
		return m.Properties
	case *packet.Suback:
		return m.Properties
	case *packet.Unsuback:
		return m.Properties
	case *packet.Disconnect:
		return m.Properties
	}
	return nil
}

func TestFitReason_leaves_shared_properties_alone(t *testing.T) {
	shared := reasonString("no")
	m := &packet.Disconnect{Code: packet.ServerBusy, Properties: shared}
	require.True(t, serializer.FitReason(m, v5, 4))
	require.Equal(t, reasonString("no"), shared)
}

func TestFitReason_never_changes_a_publish(t *testing.T) {
	m := &packet.Publish{Topic: []byte("a"), Properties: &packet.Properties{User: []packet.UserProperty{{Key: "a"}}}}
	require.True(t, serializer.FitReason(m, v5, 12))
	require.False(t, serializer.FitReason(m, v5, 11))
	require.Len(t, m.Properties.User, 1)
}

func TestFitReason_before_5_0_only_reports(t *testing.T) {
	m := &packet.Suback{ID: 1, Codes: []packet.ReasonCode{0, 0, 0}, Properties: reasonString("no")}
	require.True(t, serializer.FitReason(m, v4, 7))
	require.False(t, serializer.FitReason(m, v4, 6))
	require.NotNil(t, m.Properties)
}
