// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"

	"emqttd/protocol/conformance"
	"emqttd/protocol/packet"
)

// What a statement looks like: this is the one about PINGREQ.
func ExampleStatements() {
	for _, s := range conformance.Statements(packet.V5) {
		if s.ID == "MQTT-3.12.4-1" {
			fmt.Println(s.Name(), "-", s.Meaning)
			fmt.Print(s.Source)
		}
	}
	// Output:
	// 5.0 MQTT-3.12.4-1 - PINGREQ is answered with PINGRESP.
	// connect a
	// a> pingreq
	// a< pingresp
}
