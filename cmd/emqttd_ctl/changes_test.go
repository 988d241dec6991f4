// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/supervisor/broker/brokertest"
)

func TestChanges(t *testing.T) {
	d := newDeskOf(t, brokertest.AllowCrashes, []string{"chaos.enabled=true"})
	d.join("alice", "room/+")

	d.ok("subscriptions", "add", "alice", "hall/#", "1")
	require.Regexp(t, `(?m)^alice +hall/# +1 `, d.ok("subscriptions", "show", "alice"))
	d.ok("subscriptions", "del", "alice", "hall/#")
	require.NotContains(t, d.ok("subscriptions", "show", "alice"), "hall/#")

	d.ok("publish", "room/4", "21.5", "--qos", "1", "--retain")
	require.Regexp(t, `(?m)^room/4 +1 +4 `, d.ok("retained", "list"))
	require.Contains(t, d.ok("retained", "show", "room/4"), "21.5")
	d.ok("retained", "delete", "room/4")
	require.NotContains(t, d.ok("retained", "list"), "room/4")
	d.in = "from the input"
	d.ok("publish", "room/5", "--retain")
	require.Contains(t, d.ok("retained", "show", "room/5"), "from the input")
	require.Equal(t, "1 deleted\n", d.ok("retained", "purge", "room/#"))

	require.Contains(t, d.ok("bans", "add", "client", "mallory", "--reason", "rude", "--for", "1h"), "rude")
	require.Regexp(t, `(?m)^client +mallory `, d.ok("bans", "list"))
	d.ok("bans", "del", "client", "mallory")
	require.NotContains(t, d.ok("bans", "list"), "mallory")

	require.Contains(t, d.ok("tree"), "emqttd_sup")
	d.ok("actors", "crash", "router/0")
	require.Eventually(t, func() bool {
		return regexp.MustCompile(`(?m)^router +emqttd_router +1 +1 +1 `).MatchString(d.ok("actors", "kinds"))
	}, 10*time.Second, 10*time.Millisecond, "crashed once, restarted once")

	require.Contains(t, d.ok("audit"), "retained.delete")
	d.ok("clients", "kick", "alice")
	require.Eventually(t, func() bool {
		code, _, _ := d.run("clients", "show", "alice")
		return code == exitRefused
	}, 10*time.Second, 10*time.Millisecond)
	code, _, _ := d.run("clients", "kick", "alice")
	require.Equal(t, exitRefused, code)
}
