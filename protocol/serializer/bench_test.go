// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"testing"

	"emqttd/protocol/packet"
	"emqttd/protocol/serializer"
)

func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct {
		name   string
		v      packet.Version
		packet packet.Packet
	}{
		{"publish_qos1_64", v4, &packet.Publish{QoS: 1, ID: 7, Topic: []byte("sensors/room/42"), Payload: make([]byte, 64)}},
		{"publish_qos1_64_v5", v5, &packet.Publish{QoS: 1, ID: 7, Topic: []byte("sensors/room/42"), Payload: make([]byte, 64)}},
		{"publish_v5_properties", v5, &packet.Publish{Topic: []byte("sensors/room/42"), Payload: make([]byte, 64),
			Properties: with(func(p *packet.Properties) {
				p.MessageExpiry, p.ContentType = 60, "text/plain"
				p.User = []packet.UserProperty{{Key: "trace", Value: "4711"}}
			}, packet.PropMessageExpiry, packet.PropContentType)}},
		{"puback", v4, &packet.Ack{Kind: packet.PUBACK, ID: 7}},
		{"suback", v5, &packet.Suback{ID: 7, Codes: []packet.ReasonCode{packet.GrantedQoS1}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			buf := make([]byte, 0, 512)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := serializer.Append(buf, c.packet, c.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
