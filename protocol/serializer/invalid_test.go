// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

type stranger struct{}

func (stranger) Type() packet.Type { return packet.RESERVED }

func TestAppend_refuses_what_cannot_be_said(t *testing.T) {
	long := strings.Repeat("x", 65_536)
	prop := func(set func(p *packet.Properties), ids ...packet.Property) *packet.Connack {
		return &packet.Connack{Properties: with(set, ids...)}
	}
	none := func(*packet.Properties) {}
	for _, c := range []struct {
		name   string
		packet packet.Packet
		v      packet.Version
	}{
		{"no version", &packet.Pingreq{}, 0},
		{"an unknown version", &packet.Publish{Topic: []byte("a")}, 6},
		{"no packet of ours", stranger{}, v4},
		{"QoS 3", &packet.Publish{QoS: 3, ID: 1, Topic: []byte("a")}, v4},
		{"QoS 1 without identifier", &packet.Publish{QoS: 1, Topic: []byte("a")}, v4},
		{"QoS 0 with DUP", &packet.Publish{Dup: true, Topic: []byte("a")}, v4},
		{"QoS 0 with DUP in 5.0", &packet.Publish{Dup: true, Topic: []byte("a")}, v5},
		{"neither topic nor alias", &packet.Publish{}, v5},
		{"a topic alias 0", &packet.Publish{Properties: with(none, packet.PropTopicAlias)}, v5},
		{"a reason string in PUBLISH", &packet.Publish{Topic: []byte("a"), Properties: reasonString("x")}, v5},
		{"a subscription identifier 0", &packet.Publish{Topic: []byte("a"), Properties: &packet.Properties{SubscriptionIDs: []uint32{0}}}, v5},
		{"a subscription identifier too large", &packet.Publish{Topic: []byte("a"), Properties: &packet.Properties{SubscriptionIDs: []uint32{1 << 28}}}, v5},
		{"two identifiers in SUBSCRIBE", &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a"}}, Properties: &packet.Properties{SubscriptionIDs: []uint32{1, 2}}}, v5},
		{"receive maximum 0", prop(none, packet.PropReceiveMaximum), v5},
		{"maximum packet size 0", prop(none, packet.PropMaximumPacketSize), v5},
		{"maximum QoS 2", prop(func(p *packet.Properties) { p.MaximumQoS = 2 }, packet.PropMaximumQoS), v5},
		{"a reason string too long", prop(func(p *packet.Properties) { p.ReasonString = long }, packet.PropReasonString), v5},
		{"authentication data too long", prop(func(p *packet.Properties) { p.AuthData = []byte(long) }, packet.PropAuthMethod, packet.PropAuthData), v5},
		{"authentication data without a method", prop(none, packet.PropAuthData), v5},
		{"a user property too long", &packet.Connack{Properties: &packet.Properties{User: []packet.UserProperty{{Value: long}}}}, v5},
		{"a property that does not exist", prop(none, 0x2B), v5},
		{"a CONNACK code that CONNACK has not", &packet.Connack{Code: packet.KeepAliveTimeout}, v5},
		{"an acknowledgement of another kind", &packet.Ack{Kind: packet.SUBACK, ID: 1}, v4},
		{"an acknowledgement without identifier", &packet.Ack{Kind: packet.PUBACK}, v4},
		{"a PUBREL code that PUBREL has not", &packet.Ack{Kind: packet.PUBREL, ID: 1, Code: packet.QuotaExceeded}, v5},
		{"SUBSCRIBE without identifier", &packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: "a"}}}, v4},
		{"SUBSCRIBE without a filter", &packet.Subscribe{ID: 1}, v4},
		{"SUBSCRIBE with QoS 3", &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 3}}}, v4},
		{"SUBSCRIBE with retain handling 3", &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", RetainHandling: 3}}}, v5},
		{"a filter too long", &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: long}}}, v4},
		{"UNSUBSCRIBE without a filter", &packet.Unsubscribe{ID: 1}, v5},
		{"UNSUBSCRIBE with a filter too long", &packet.Unsubscribe{ID: 1, Filters: []string{long}}, v4},
		{"SUBACK without a code", &packet.Suback{ID: 1}, v4},
		{"SUBACK with a code it has not", &packet.Suback{ID: 1, Codes: []packet.ReasonCode{packet.ServerBusy}}, v4},
		{"UNSUBACK without a code in 5.0", &packet.Unsuback{ID: 1}, v5},
		{"DISCONNECT with a code it has not", &packet.Disconnect{Code: packet.Banned}, v5},
		{"AUTH before 5.0", &packet.Auth{}, v4},
		{"AUTH without a method", &packet.Auth{Code: packet.ContinueAuthentication}, v5},
		{"CONNECT of another version", &packet.Connect{Version: v5}, v4},
		{"CONNECT of a bridge in 5.0", &packet.Connect{Bridge: true}, v5},
		{"CONNECT with a password alone", &packet.Connect{HasPassword: true}, v4},
		{"CONNECT with a client id too long", &packet.Connect{ClientID: long}, v4},
		{"CONNECT with will QoS 3", &packet.Connect{Will: &packet.Will{QoS: 3}}, v4},
		{"CONNECT with a will too long", &packet.Connect{Will: &packet.Will{Payload: []byte(long)}}, v4},
		{"CONNECT with a session expiry in the will", &packet.Connect{Will: &packet.Will{Properties: with(none, packet.PropSessionExpiry)}}, v5},
	} {
		t.Run(c.name, func(t *testing.T) {
			dst, err := serializer.Append([]byte("kept"), c.packet, c.v)
			require.ErrorIs(t, err, serializer.ErrInvalid)
			require.Equal(t, "kept", string(dst))
			_, err = serializer.Size(c.packet, c.v)
			require.ErrorIs(t, err, serializer.ErrInvalid)
		})
	}
}

func TestAppend_into_enough_capacity_allocates_nothing(t *testing.T) {
	buf := make([]byte, 0, 256)
	for _, p := range []packet.Packet{
		&packet.Publish{QoS: 1, ID: 1, Topic: []byte("a/b"), Payload: []byte("x")},
		&packet.Ack{Kind: packet.PUBACK, ID: 1},
		&packet.Pingresp{},
		&packet.Suback{ID: 1, Codes: []packet.ReasonCode{packet.GrantedQoS1}},
	} {
		for _, v := range allVersions {
			require.Zero(t, testing.AllocsPerRun(100, func() {
				if _, err := serializer.Append(buf, p, v); err != nil {
					panic(err)
				}
			}), "%v in %v", p.Type(), v)
		}
	}
}
