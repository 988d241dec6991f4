// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

// ackCases are the acknowledgements: two bytes, and in 5.0 two more forms.
func ackCases() (cases []codecCase) {
	for _, a := range []struct {
		kind   packet.Type
		first  string
		failed packet.ReasonCode
		code   string
	}{
		{packet.PUBACK, "40", packet.NotAuthorized, "87"},
		{packet.PUBREC, "50", packet.NoMatchingSubscribers, "10"},
		{packet.PUBREL, "62", packet.PacketIDNotFound, "92"},
		{packet.PUBCOMP, "70", packet.PacketIDNotFound, "92"},
	} {
		for _, to := range []codecCase{{from: toServer}, {from: toClient}} {
			cases = append(cases,
				codecCase{a.kind.String(), to.from, allVersions, a.first + "02  12 34", &packet.Ack{Kind: a.kind, ID: 0x1234}},
				codecCase{a.kind.String() + " with a code", to.from, only5, a.first + "03  12 34 " + a.code,
					&packet.Ack{Kind: a.kind, ID: 0x1234, Code: a.failed}},
				codecCase{a.kind.String() + " with properties", to.from, only5,
					a.first + "10  12 34 " + a.code + " 0c 1f 00 02 6e 6f 26 00 01 61 00 01 62",
					&packet.Ack{Kind: a.kind, ID: 0x1234, Code: a.failed, Properties: with(func(p *packet.Properties) {
						p.ReasonString = "no"
						p.User = []packet.UserProperty{{Key: "a", Value: "b"}}
					}, packet.PropReasonString)}},
				codecCase{a.kind.String() + " of success with properties", to.from, only5,
					a.first + "09  12 34 00 05 1f 00 02 6f 6b",
					&packet.Ack{Kind: a.kind, ID: 0x1234, Properties: reasonString("ok")}})
		}
	}
	return cases
}

func TestAck(t *testing.T) { runAll(t, ackCases()) }

func TestSubscribe(t *testing.T) {
	runAll(t, []codecCase{
		{"two filters", toServer, before5, "82 0c  00 0a  00 03 61 2f 23 02  00 01 2b 00",
			&packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{{Filter: "a/#", QoS: 2}, {Filter: "+"}}}},
		{"every option", toServer, only5, `
			82 0f  00 0a  00                # id, no properties
			00 01 61 00
			00 01 62 0d                     # QoS 1, no local, retain as published
			00 01 63 22                     # QoS 2, retain handling 2
			`,
			&packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{
				{Filter: "a"},
				{Filter: "b", QoS: 1, NoLocal: true, RetainAsPublished: true},
				{Filter: "c", QoS: 2, RetainHandling: 2}}}},
		{"a subscription identifier", toServer, only5, "82 11  00 0a  0a 0b 80 01 26 00 01 61 00 01 62  00 01 61 01",
			&packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 1}},
				Properties: &packet.Properties{SubscriptionIDs: []uint32{128}, User: []packet.UserProperty{{Key: "a", Value: "b"}}}}},
		{"an empty filter, which the topic rules judge", toServer, only4, "82 05  00 0a  00 00 00",
			&packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{{}}}},
	})
}

func TestSuback(t *testing.T) {
	runAll(t, []codecCase{
		{"granted and refused", toClient, before5, "90 06  00 0a  00 01 02 80", &packet.Suback{ID: 10,
			Codes: []packet.ReasonCode{packet.Success, packet.GrantedQoS1, packet.GrantedQoS2, packet.UnspecifiedError}}},
		{"granted and refused", toClient, only5, "90 06  00 0a  00  01 87 9e", &packet.Suback{ID: 10,
			Codes: []packet.ReasonCode{packet.GrantedQoS1, packet.NotAuthorized, packet.SharedNotSupported}}},
		{"with a reason", toClient, only5, "90 09  00 0a  05 1f 00 02 6e 6f  80", &packet.Suback{ID: 10,
			Codes: []packet.ReasonCode{packet.UnspecifiedError}, Properties: reasonString("no")}},
	})
}

// [v3.1.1 MQTT-3.9.3-2]
func TestSuback_before_5_0_has_one_code_for_every_failure(t *testing.T) {
	out, err := serializer.Append(nil, &packet.Suback{ID: 1,
		Codes:      []packet.ReasonCode{packet.GrantedQoS2, packet.NotAuthorized, packet.WildcardNotSupported},
		Properties: reasonString("left out")}, v4)
	require.NoError(t, err)
	require.Equal(t, wire(t, "90 05  00 01  02 80 80"), out)
}

func TestUnsubscribe(t *testing.T) {
	runAll(t, []codecCase{
		{"two filters", toServer, before5, "a2 0a  00 0a  00 03 61 2f 23  00 01 2b",
			&packet.Unsubscribe{ID: 10, Filters: []string{"a/#", "+"}}},
		{"one filter", toServer, only5, "a2 06  00 0a  00  00 01 61", &packet.Unsubscribe{ID: 10, Filters: []string{"a"}}},
		{"a user property", toServer, only5, "a2 0d  00 0a  07 26 00 01 61 00 01 62  00 01 61",
			&packet.Unsubscribe{ID: 10, Filters: []string{"a"}, Properties: &packet.Properties{User: []packet.UserProperty{{Key: "a", Value: "b"}}}}},
		{"answered", toClient, before5, "b0 02  00 0a", &packet.Unsuback{ID: 10}},
		{"answered", toClient, only5, "b0 06  00 0a  00  00 11 87", &packet.Unsuback{ID: 10,
			Codes: []packet.ReasonCode{packet.Success, packet.NoSubscriptionExisted, packet.NotAuthorized}}},
	})
}

func TestPing(t *testing.T) {
	runAll(t, []codecCase{
		{"request", toServer, allVersions, "c0 00", &packet.Pingreq{}},
		{"response", toClient, allVersions, "d0 00", &packet.Pingresp{}},
	})
}

func TestDisconnect(t *testing.T) {
	runAll(t, []codecCase{
		{"normal", toServer, allVersions, "e0 00", &packet.Disconnect{}},
		{"normal, from the server", toClient, only5, "e0 00", &packet.Disconnect{}},
		{"with the will", toServer, only5, "e0 01 04", &packet.Disconnect{Code: packet.DisconnectWithWill}},
		{"with another session expiry", toServer, only5, "e0 07  00  05 11 00 00 00 3c", &packet.Disconnect{
			Properties: with(func(p *packet.Properties) { p.SessionExpiry = 60 }, packet.PropSessionExpiry)}},
		{"to another server", toClient, only5, "e0 0a  9c  08 1c 00 05 62 3a 31 38 38", &packet.Disconnect{Code: packet.UseAnotherServer,
			Properties: with(func(p *packet.Properties) { p.ServerReference = "b:188" }, packet.PropServerReference)}},
	})
}

func TestAuth(t *testing.T) {
	method := with(func(p *packet.Properties) { p.AuthMethod, p.AuthData = "m", []byte{0xff} }, packet.PropAuthMethod, packet.PropAuthData)
	runAll(t, []codecCase{
		{"shortest", toClient, only5, "f0 00", &packet.Auth{}},
		{"continued", toServer, only5, "f0 0a  18  08 15 00 01 6d 16 00 01 ff", &packet.Auth{Code: packet.ContinueAuthentication, Properties: method}},
		{"done", toClient, only5, "f0 0a  00  08 15 00 01 6d 16 00 01 ff", &packet.Auth{Properties: method}},
		{"again", toServer, only5, "f0 0a  19  08 15 00 01 6d 16 00 01 ff", &packet.Auth{Code: packet.ReAuthenticate, Properties: method}},
	})
}

// What 5.0 added is left out before 5.0.
func TestAppend_leaves_out_what_the_version_does_not_have(t *testing.T) {
	no := reasonString("no")
	for _, c := range []struct {
		name   string
		packet packet.Packet
		bytes  string
	}{
		{"CONNACK", &packet.Connack{Code: packet.ServerBusy, Properties: no}, "20 02 00 03"},
		{"PUBLISH", &packet.Publish{Topic: []byte("a"), Properties: no}, "30 03 00 01 61"},
		{"PUBACK", &packet.Ack{Kind: packet.PUBACK, ID: 1, Code: packet.QuotaExceeded, Properties: no}, "40 02 00 01"},
		{"SUBSCRIBE", &packet.Subscribe{ID: 1, Properties: no, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 1, NoLocal: true, RetainHandling: 1}}}, "82 06 00 01 00 01 61 01"},
		{"UNSUBACK", &packet.Unsuback{ID: 1, Codes: []packet.ReasonCode{packet.NotAuthorized}, Properties: no}, "b0 02 00 01"},
		{"DISCONNECT", &packet.Disconnect{Code: packet.ServerShuttingDown, Properties: no}, "e0 00"},
		{"CONNECT", &packet.Connect{Properties: no, Will: &packet.Will{Properties: no}}, "10 10 00 04 4d 51 54 54 04 04 00 00 00 00 00 00 00 00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := serializer.Append(nil, c.packet, v4)
			require.NoError(t, err)
			require.Equal(t, wire(t, c.bytes), out)
		})
	}
}
