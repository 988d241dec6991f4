// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/dashboard/browsertest"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// TestDeadLettersOnThePage: an operator sees what crashed a session, hands it in
// again and deletes it, and is asked before either.
func TestDeadLettersOnThePage(t *testing.T) {
	v := visit(t, browsertest.Start(t), brokertest.AllowCrashes)
	v.login("admin", "public")
	v.WaitText("What the broker holds")
	v.to("dead_letters")
	v.WaitText("No session has a dead letter.")

	weak := join(t, v.b, kept(packet.V5, "weak"))
	weak.subscribe(packet.QoS1, "t/#")
	off := hooked(t, ofSubscriber{"weak"})
	p := join(t, v.b, clean(packet.V5, "p"))
	for _, text := range []string{"one", "two", "three"} {
		p.publish(packet.QoS1, 1, "t/poison", text)
	}
	eventually(t, "they are buried", func() bool { return len(v.b.Graves()) == 1 && v.b.Graves()[0].Letters == 3 })
	off()
	v.Reload()
	v.Press("weak")
	v.Wait("document.querySelectorAll('tbody tr').length === 3")
	v.Shot(browsertest.Shots(t), "dead-letters")
	v.Press("Payload of t/poison")
	v.WaitText("one")

	v.Press("Replay t/poison")
	v.WaitText("gets this message again, as new messages")
	v.Press("Cancel")
	require.Equal(t, 3, v.b.Graves()[0].Letters)
	v.Press("Replay t/poison")
	v.Press("Replay")
	v.WaitText("1 message replayed.")
	weak.hears("t/poison", "one")
	v.Wait("document.querySelectorAll('tbody tr').length === 2")

	v.Size(390, 844)
	require.Empty(t, v.Overflow())
	v.Shot(browsertest.Shots(t), "dead-letters-390")
	v.to("dead_letters")
	v.Press("Delete all of weak")
	v.WaitText("never gets all its 2 dead letters. This cannot be undone.")
	v.Press("Delete")
	v.WaitText("2 messages deleted.")
	v.WaitText("No session has a dead letter.")
	require.Empty(t, v.b.Graves())
}
