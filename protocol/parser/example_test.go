// SPDX-License-Identifier: Apache-2.0

package parser_test

import (
	"fmt"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// A connection keeps the continuation and the rest; that is all its state.
func ExampleParser_Parse() {
	reads := [][]byte{
		{0x10, 0x0c, 0, 4, 'M', 'Q'},                        // a CONNECT begins,
		{'T', 'T', 4, 2, 0, 60, 0, 0, 0xc0, 0x00, 0x30},     // ends, a PINGREQ, the first byte of a PUBLISH,
		{0x05, 0, 1, 'a', 'h', 'i', 0x20, 0x02, 0x00, 0x00}, // its rest, and what no client may send
	}
	p := parser.New(parser.Options{MaxPacketSize: 1 << 20})
	for _, data := range reads {
		for len(data) > 0 {
			next, pkt, rest, err := p.Parse(data, nil)
			if err != nil {
				fmt.Println(err)
				return
			}
			switch m := pkt.(type) {
			case nil:
				fmt.Printf("{more, %s, %d bytes wanted}\n", next.Stage(), next.Want())
			case *packet.Publish:
				fmt.Printf("%v %s %s\n", m.Type(), m.Topic, m.Payload)
			default:
				fmt.Println(m.Type())
			}
			p, data = next, rest
		}
	}
	// Output:
	// {more, body, 8 bytes wanted}
	// CONNECT
	// PINGREQ
	// {more, remaining length, 1 bytes wanted}
	// PUBLISH a hi
	// parse CONNACK: wrong_direction: a packet that only the other side may send
}
