// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDiffTellsWhatAReloadCanChange(t *testing.T) {
	base := `
auth: {chain: [{type: builtin}], users: {alice: one, bob: two}}
listeners: {ws: {gone: {bind: "127.0.0.1:1"}}}
`
	for _, tc := range []struct {
		name, file          string
		reloadable, restart []string
	}{
		{name: "nothing", file: base},
		{name: "a limit and a size of buffers", file: base + "mqtt: {max_packet_size: 2MiB}\nruntime: {read_buffer: 1MiB}",
			reloadable: []string{"mqtt.max_packet_size"}, restart: []string{"runtime.read_buffer"}},
		{name: "the same value written otherwise", file: base + "mqtt: {max_packet_size: 1024KiB, connect_timeout: 10000ms}"},
		{name: "users", file: `
auth: {chain: [{type: builtin}], users: {alice: uno, carol: three}}
listeners: {ws: {gone: {bind: "127.0.0.1:1"}}}`,
			reloadable: []string{"auth.users.alice", "auth.users.bob", "auth.users.carol"}},
		{name: "a listener comes and one goes", file: `
auth: {chain: [{type: builtin}], users: {alice: one, bob: two}}
listeners: {tcp: {new: {bind: "127.0.0.1:2"}}}`,
			restart: []string{"listeners.tcp.new", "listeners.ws.gone"}},
		{name: "a listener's keys", file: base + "\n" + `mqtt: {rate: {messages: 5}}
sys: {interval: 0}
node: {name: other}`,
			reloadable: []string{"mqtt.rate.messages", "sys.interval"}, restart: []string{"node.name"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, _, err := loadText(base, Sources{})
			require.NoError(t, err)
			after, _, err := loadText(tc.file, Sources{})
			require.NoError(t, err)
			reloadable, restart := Diff(before, after)
			require.Equal(t, tc.reloadable, reloadable)
			require.Equal(t, tc.restart, restart)
			reloadable, restart = Diff(after, before)
			require.Equal(t, tc.reloadable, reloadable, "the other way round")
			require.Equal(t, tc.restart, restart, "the other way round")
		})
	}
}

func TestAddressesAndEnginesNeedARestart(t *testing.T) {
	needRestart := []string{
		"node.data_dir", "runtime.engine", "runtime.loops", "listeners.tcp.default.bind", "listeners.ws.default.paths",
		"listeners.tcp.default.allow_anonymous", "store.engine", "store.min_free_bytes", "auth.allow_anonymous",
	}
	reloadable := []string{
		"log.level", "listeners.tls.default.tls.cert_file", "listeners.tcp.default.max_connections", "mqtt.max_packet_size",
		"session.max_expiry", "retained.max_count", "auth.chain", "acl.file", "ban.entries",
	}
	marked := map[string]bool{}
	walk(reflect.ValueOf(Default()).Elem(), "", func(key string, f *field, _ reflect.Value) { marked[key] = f.reload })
	for _, key := range needRestart {
		require.Contains(t, marked, key)
		require.False(t, marked[key], key)
	}
	for _, key := range reloadable {
		require.True(t, marked[key], key)
	}
}
