// SPDX-License-Identifier: Apache-2.0

package ws_test

import (
	"fmt"
	"strings"

	"emqttd/listeners/ws"
)

// What a loop does with the bytes of one connection, here the capture of the
// seeds: the upgrade with a PINGREQ right behind it, answered in the same turn.
func Example() {
	upgrader := ws.NewUpgrader(ws.Config{}) // per listener
	shared := ws.NewShared()                // per loop
	var driver ws.Driver                    // per connection
	driver.Trace = func(ev ws.FrameEvent) {
		fmt.Printf("frame out=%t fin=%t opcode=%d masked=%t key=% x length=%d\n", ev.Out, ev.Fin, ev.Opcode, ev.Masked, ev.Key, ev.Length)
	}

	in := []byte("GET /mqtt HTTP/1.1\r\nHost: localhost:8083\r\n" +
		"Upgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n" +
		"Sec-WebSocket-Key: MTMtMTU0NDE1NjY2MjM2NA==\r\n\r\n" +
		"\x82\x82\x8f\x06\x5d\x55\x4f\x06")

	result, out := upgrader.Upgrade(shared, &driver, in, nil)
	fmt.Println(strings.TrimSpace(strings.ReplaceAll(string(out), "\r", "")))
	out = out[:0]
	if result.Outcome == ws.Upgraded {
		var data []byte
		var err error
		data, out, err = driver.Feed(shared, in[result.Consumed:], nil, out)
		fmt.Printf("data % x, error %v\n", data, err)
		out = driver.AppendMessage(out, []byte{0xd0, 0})
	}
	fmt.Printf("out % x\n", out)

	// Output:
	// HTTP/1.1 101 Switching Protocols
	// Upgrade: websocket
	// Connection: Upgrade
	// Sec-WebSocket-Accept: pC5iSVAHF4dkYCnA6rA0VDfEpuI=
	// Sec-WebSocket-Protocol: mqtt
	// frame out=false fin=true opcode=2 masked=true key=8f 06 5d 55 length=2
	// data c0 00, error <nil>
	// frame out=true fin=true opcode=2 masked=false key=00 00 00 00 length=2
	// out 82 02 d0 00
}
