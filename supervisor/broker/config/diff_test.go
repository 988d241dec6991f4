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

// TestWhatIsInForceAfterAReload: what it takes over, and nothing else; so that
// whoever asks is not told of keys that wait for a restart.
func TestWhatIsInForceAfterAReload(t *testing.T) {
	before, _, err := loadText("listeners: {tcp: {default: {bind: '127.0.0.1:1', max_connections: 5}, old: {bind: '127.0.0.1:2'}}}\n"+
		"mqtt: {max_topic_levels: 9}\nauth: {chain: [{type: builtin}], users: {ann: secret}}\nnode: {name: a@b}\n", Sources{})
	require.NoError(t, err)
	after, _, err := loadText("listeners: {tcp: {default: {bind: '127.0.0.1:3', max_connections: 6}, new: {bind: '127.0.0.1:4'}}}\n"+
		"mqtt: {max_topic_levels: 8, max_client_id: 77}\nauth: {chain: [{type: builtin}], users: {eve: secret}}\nnode: {name: c@d}\nchaos: {enabled: true}\n", Sources{})
	require.NoError(t, err)
	is := InForce(before, after)
	require.Equal(t, "a@b", is.Node.Name)
	require.False(t, is.Chaos.Enabled)
	require.Equal(t, 9, is.MQTT.MaxTopicLevels)
	require.Equal(t, 77, is.MQTT.MaxClientID)
	require.Equal(t, map[string]Secret{"eve": "secret"}, is.Auth.Users)
	tcp := is.Listeners.TCP
	require.Len(t, tcp, 2)
	require.Equal(t, Address("127.0.0.1:1"), tcp["default"].Bind)
	require.Equal(t, 6, tcp["default"].MaxConnections)
	require.Equal(t, Address("127.0.0.1:2"), tcp["old"].Bind)

	_, restart := Diff(before, after)
	reloadable, still := Diff(is, after)
	require.Equal(t, restart, still, "what waits for a restart waits on")
	require.Empty(t, reloadable)
	reloadable, restart = Diff(is, InForce(is, is))
	require.Empty(t, append(reloadable, restart...))
	require.Equal(t, 5, before.Listeners.TCP["default"].MaxConnections, "neither is changed")
	require.Equal(t, Address("127.0.0.1:3"), after.Listeners.TCP["default"].Bind)
}
