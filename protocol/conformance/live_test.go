// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"emqttd/protocol/conformance"
	"emqttd/protocol/packet"
)

// TestAgainstBroker plays every statement against the broker whose TCP address
// is in EMQTT_CHECK_ADDRESS. It fails where the broker does.
func TestAgainstBroker(t *testing.T) {
	address := os.Getenv("EMQTT_CHECK_ADDRESS")
	if address == "" {
		t.Skip("EMQTT_CHECK_ADDRESS names no broker")
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", address)
	}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		counts := map[conformance.Verdict]int{}
		for _, r := range conformance.Run(t.Context(), dial, conformance.Statements(v), conformance.Options{Parallel: 8}) {
			counts[r.Verdict]++
			if r.Verdict != conformance.Pass {
				t.Log(r)
			}
			if r.Verdict == conformance.Fail || r.Verdict == conformance.Error {
				for _, e := range r.Trace {
					t.Log("   ", e)
				}
				t.Fail()
			}
		}
		t.Log(v, counts)
	}
}
