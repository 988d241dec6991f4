// SPDX-License-Identifier: Apache-2.0

package sys_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"emqttd/actors/cast"
	"emqttd/actors/metrics"
	"emqttd/actors/sys"
	"emqttd/protocol/packet"
	"emqttd/protocol/topic"
	"emqttd/supervisor/cell"
)

const at = 1795295790 * int64(time.Second)

var loopback = netip.MustParseAddrPort("127.0.0.1:63018")

func TestPresenceIsEmqttds(t *testing.T) {
	for _, tc := range []struct {
		name string
		msg  cell.Message
		want string
	}{
		// The first and the last but two are captures of emqttd 1.1.3, the last but
		// two with our word for the reason.
		{"a client without user name", &cast.ClientConnected{ClientID: "wsl0", Peer: loopback, Version: packet.V311, CleanStart: true, At: at},
			`wsl0/connected {"clientid":"wsl0","username":"undefined","ipaddress":"127.0.0.1","session":false,"protocol":4,"connack":0,"ts":1795295790}`},
		{"a persistent one with user name", &cast.ClientConnected{ClientID: "a", Username: "bob", HasUsername: true, Peer: loopback, Version: packet.V5, At: at},
			`a/connected {"clientid":"a","username":"bob","ipaddress":"127.0.0.1","session":true,"protocol":5,"connack":0,"ts":1795295790}`},
		{"an empty user name is one", &cast.ClientConnected{ClientID: "a", HasUsername: true, Peer: loopback, Version: packet.V31, At: at},
			`a/connected {"clientid":"a","username":"","ipaddress":"127.0.0.1","session":true,"protocol":3,"connack":0,"ts":1795295790}`},
		{"an address of version 4 in version 6", &cast.ClientConnected{ClientID: "a", Peer: netip.MustParseAddrPort("[::ffff:10.1.2.3]:1"), Version: packet.V311, At: at},
			`a/connected {"clientid":"a","username":"undefined","ipaddress":"10.1.2.3","session":true,"protocol":4,"connack":0,"ts":1795295790}`},
		{"no address", &cast.ClientConnected{ClientID: "a", Version: packet.V311, At: at},
			`a/connected {"clientid":"a","username":"undefined","ipaddress":"undefined","session":true,"protocol":4,"connack":0,"ts":1795295790}`},
		{"quotes and angles", &cast.ClientConnected{ClientID: `a"<b>`, Username: "ü&", HasUsername: true, Peer: loopback, Version: packet.V311, At: at},
			`a"<b>/connected {"clientid":"a\"<b>","username":"ü&","ipaddress":"127.0.0.1","session":true,"protocol":4,"connack":0,"ts":1795295790}`},
		{"a client that is gone", &cast.ClientDisconnected{ClientID: "ka2tcp", Reason: metrics.CloseKeepAlive, At: at + int64(time.Second) - 1},
			`ka2tcp/disconnected {"clientid":"ka2tcp","reason":"keep_alive_timeout","ts":1795295790}`},
		{"a client id that is no level", &cast.ClientDisconnected{ClientID: "a/+/#%\x1f", Reason: metrics.CloseNormal, At: at},
			`a%2F%2B%2F%23%25%1F/disconnected {"clientid":"a/+/#%\u001f","reason":"normal","ts":1795295790}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, sys.Settings{Presence: true}, nil, node+"clients/+/+")
			w.send(tc.msg)
			require.Equal(t, []string{node + "clients/" + tc.want}, w.heard())
			require.Empty(t, w.retained("$SYS/#"))
		})
	}
}

func TestPresenceCanBeTurnedOff(t *testing.T) {
	w := newWorld(t, sys.Settings{Interval: time.Minute, Mosquitto: true}, nil, node+"clients/#")
	w.send(&cast.ClientConnected{ClientID: "a"})
	w.send(&cast.ClientDisconnected{ClientID: "a"})
	require.Empty(t, w.heard())
	sys.Configure(w.sys, everything)
	w.send(&cast.ClientDisconnected{ClientID: "a"})
	require.Len(t, w.heard(), 1)
}

func TestAClientIDThatIsTooLongForATopicIsNotAnnounced(t *testing.T) {
	w := newWorld(t, everything, nil, node+"clients/#")
	room := 4096 - len(node+"clients//connected")
	w.send(&cast.ClientConnected{ClientID: strings.Repeat("x", room)})
	require.Len(t, w.heard(), 1)
	w.send(&cast.ClientConnected{ClientID: strings.Repeat("x", room+1)})
	require.Empty(t, w.heard())
	w.send(&cast.ClientConnected{ClientID: strings.Repeat("/", room/3+1)})
	require.Empty(t, w.heard())
}

func TestAnyTwoClientIDsHaveTopicsOfTheirOwn(t *testing.T) {
	w := newWorld(t, everything, nil, node+"clients/+/connected")
	seen := map[string]string{}
	rapid.Check(t, func(r *rapid.T) {
		id := rapid.OneOf(rapid.StringMatching(`[a%/+#2FB35\x{7f}\n]{1,6}`), rapid.StringN(1, 20, 100)).Draw(r, "client id")
		if strings.ContainsRune(id, 0) {
			return // no client identifier [v3.1.1 MQTT-1.5.3-2, v5 MQTT-1.5.4-2]
		}
		w.send(&cast.ClientConnected{ClientID: id})
		require.Len(t, w.got, 1, "one level, as the filter says")
		m := w.got[0]
		require.NoError(t, topic.ValidName(m.Topic, topic.Limits{}))
		other, had := seen[m.Topic]
		require.True(t, !had || other == id, "%q and %q", other, id)
		seen[m.Topic] = id
		var said struct{ ClientID string }
		require.NoError(t, json.Unmarshal(m.Payload, &said))
		require.Equal(t, id, said.ClientID)
	})
}
