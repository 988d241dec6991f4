// SPDX-License-Identifier: Apache-2.0

package parser_test

import (
	"fmt"
	"testing"

	"emqttd/protocol/parser"
)

func BenchmarkParse(b *testing.B) {
	payload := fmt.Sprintf("%0128x", 1) // 64 bytes of hex
	for _, c := range []struct {
		name  string
		p     parser.Parser
		bytes string
	}{
		{"publish_qos0_64", server(v4), "30 51  00 0f" + " 73656e736f72732f726f6f6d2f3432" + payload},
		{"publish_qos1_64", server(v4), "32 53  00 0f" + " 73656e736f72732f726f6f6d2f3432" + " 00 07" + payload},
		{"publish_qos1_64_v5", server(v5), "32 54  00 0f" + " 73656e736f72732f726f6f6d2f3432" + " 00 07 00" + payload},
		{"puback", server(v4), "40 02 00 07"},
		{"connect", server(v0), `10 33  00 04 4d 51 54 54 04 c2 00 3c  00 0f 38 36 31 36 39 34 30 33 30 31 34 32 34 37 33
			00 0c 6c 69 62 61 69 6e 65 75 32 30 30 34  00 08 31 32 33 34 35 36 37 38`},
	} {
		b.Run(c.name, func(b *testing.B) {
			data, slab := wire(b, c.bytes), new(parser.Slab)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if _, pkt, _, err := c.p.Parse(data, slab); pkt == nil || err != nil {
					b.Fatal(err)
				}
				if n++; n == 64 { // a turn
					slab.Reset()
					n = 0
				}
			}
		})
	}
}
