// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// loadText loads a file with the given text, as emqttd.yaml.
func loadText(text string, s Sources) (*Config, *Origins, error) {
	s.File = "emqttd.yaml"
	return load(s, text)
}

// mistakes returns the lines of a configuration error.
func mistakes(t *testing.T, err error) []string {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	var out []string
	for _, p := range e.Problems {
		out = append(out, p.String())
	}
	return out
}

func TestWithoutSourcesTheConfigurationIsTheDefault(t *testing.T) {
	c, o, err := Load(Sources{})
	require.NoError(t, err)
	require.Equal(t, Default(), c)
	for _, e := range o.Effective(c) {
		require.Equal(t, LayerDefault, e.Origin.Layer, e.Key)
	}
}

func TestTheDefaultListensOnLoopbackOnly(t *testing.T) {
	c := Default()
	var active []string
	for _, l := range c.Listeners.Active() {
		active = append(active, l.Key()+" "+string(l.Bind))
		require.True(t, l.Bind.Loopback())
		require.True(t, c.AnonymousAllowed(l.Listener))
	}
	require.Equal(t, []string{"listeners.tcp.default 127.0.0.1:1883", "listeners.ws.default 127.0.0.1:8083"}, active)
	require.Equal(t, []string{"/mqtt"}, c.Listeners.WS["default"].Paths)
}

func TestAHigherLayerOverridesALowerOne(t *testing.T) {
	file := "log: {level: warn}\nmqtt:\n  max_packet_size: 64KiB\n  max_qos: 1\nsys:\n  interval: 5s\n"
	c, o, err := loadText(file, Sources{
		Env:  []string{"EMQTTD_MQTT__MAX_PACKET_SIZE=128KiB", "EMQTTD_SYS__INTERVAL=6s"},
		Sets: []string{"sys.interval=7s", "sys.interval=8s"},
	})
	require.NoError(t, err)
	require.Equal(t, LogWarn, c.Log.Level)
	require.Equal(t, 1, c.MQTT.MaxQoS)
	require.Equal(t, 128*KiB, c.MQTT.MaxPacketSize)
	require.Equal(t, 8*time.Second, c.Sys.Interval)
	require.Equal(t, "emqttd.yaml:1:14", o.Of("log.level").String())
	require.Equal(t, "emqttd.yaml:4:12", o.Of("mqtt.max_qos").String())
	require.Equal(t, "EMQTTD_MQTT__MAX_PACKET_SIZE", o.Of("mqtt.max_packet_size").String())
	require.Equal(t, "--set sys.interval", o.Of("sys.interval").String())
	require.Equal(t, "default", o.Of("mqtt.max_client_id").String())
}

func TestAFileIsReadFromDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "emqttd.yaml")
	require.NoError(t, os.WriteFile(path, []byte("\uFEFFnode:\r\n  name: n1\r\n"), 0o600))
	c, o, err := Load(Sources{File: path})
	require.NoError(t, err)
	require.Equal(t, "n1", c.Node.Name)
	require.Equal(t, path+":2:9", o.Of("node.name").String())

	_, _, err = Load(Sources{File: path + ".missing"})
	require.ErrorContains(t, err, "no such file")

	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("#", maxText+1)), 0o600))
	_, _, err = Load(Sources{File: path})
	require.ErrorContains(t, err, "longer than 1048576 bytes")
}

func TestEveryShapeOfValueIsRead(t *testing.T) {
	c, _, err := loadText(`
# a comment
node:
  data_dir: |-
    /var/lib/emqttd
auth:            # every key below is commented out
  # cache_ttl: 1h
session:
  max_expiry: 7d
  max_queued_messages: 1_000
listeners:
  tcp:
    default: {bind: ""}
    lan:
      bind: 127.0.0.1:1884
      access:
        - allow 10.0.0.0/8
        - deny all
      proxy_protocol: off
      allow_anonymous: null
    unix: {bind: "unix:/run/emqttd.sock", allow_anonymous: yes}
  wss:
    default: {tls: {min_version: 1.3}}
ban:
  entries:
    - {client_id: bad, until: 2027-01-31T12:00:00Z, reason: "too: loud"}
    - ip: 10.0.0.0/8
mqtt: {keep_alive_factor: 2}
`, Sources{})
	require.NoError(t, err)
	require.Equal(t, "/var/lib/emqttd", c.Node.DataDir)
	require.Equal(t, Default().Auth, c.Auth)
	require.Equal(t, 7*24*time.Hour, c.Session.MaxExpiry)
	require.Equal(t, 1000, c.Session.MaxQueuedMessages)
	require.True(t, c.Listeners.TCP["default"].Bind.Off())
	lan := c.Listeners.TCP["lan"]
	require.Equal(t, `["allow 10.0.0.0/8", "deny all"]`, effective(t, c, "listeners.tcp.lan.access"))
	require.Equal(t, ProxyOff, lan.ProxyProtocol)
	require.Nil(t, lan.AllowAnonymous)
	require.Equal(t, DefaultListener(TCP).MaxConnections, lan.MaxConnections, "a new listener starts from the defaults")
	require.True(t, *c.Listeners.TCP["unix"].AllowAnonymous)
	require.Equal(t, TLS13, c.Listeners.WSS["default"].TLS.MinVersion)
	require.Equal(t, "2027-01-31T12:00:00Z", c.Ban.Entries[0].Until.Format(time.RFC3339))
	require.Equal(t, "too: loud", c.Ban.Entries[0].Reason)
	require.Equal(t, "10.0.0.0/8", c.Ban.Entries[1].IP.String())
	require.InDelta(t, 2.0, c.MQTT.KeepAliveFactor, 0)
}

// effective returns the printed value of a key.
func effective(t *testing.T, c *Config, key string) string {
	t.Helper()
	for _, e := range (*Origins)(nil).Effective(c) {
		if e.Key == key {
			return e.Value
		}
	}
	require.Fail(t, "no key "+key)
	return ""
}

func TestVariablesAndSetsReachEveryKey(t *testing.T) {
	env := []string{
		"EMQTTD_LISTENERS__TCP__DEFAULT__BIND=",
		"EMQTTD_LISTENERS__WS__WEB__BIND=127.0.0.1:9001",
		`EMQTTD_AUTH__CHAIN=[{type: password_file, path: /etc/a}, {type: builtin}]`,
		"EMQTTD_AUTH__USERS__ALICE='not unquoted: #1'",
		"EMQTTD_AUTH__ALLOW_ANONYMOUS=null",
		"EMQTTD_PORT=tcp://10.0.0.1:1883", // what Kubernetes sets for a service of this name
		"EMQTTD_SERVICE_HOST=10.0.0.1",
		"OTHER__LOG__LEVEL=debug",
	}
	sets := []string{
		"listeners.ws.web.paths=/mqtt, /ws",
		"listeners.ws.default.paths=[/a]",
		"listeners.ws.default.allowed_origins=",
		`node.name="n 1"`[:len(`node.name="n`)] + `1"`,
		"mqtt.rate={messages: 5, bytes: 1MB}",
		"ban.entries=[{ip: ::1}]",
	}
	c, o, err := Load(Sources{Env: env, Sets: sets})
	require.NoError(t, err)
	require.True(t, c.Listeners.TCP["default"].Bind.Off())
	require.Equal(t, []string{"/mqtt", "/ws"}, c.Listeners.WS["web"].Paths)
	require.Equal(t, []string{"/a"}, c.Listeners.WS["default"].Paths)
	require.Nil(t, c.Listeners.WS["default"].AllowedOrigins)
	require.Equal(t, []Link{{LinkPasswordFile, "/etc/a"}, {LinkBuiltin, ""}}, c.Auth.Chain)
	require.Equal(t, Secret("'not unquoted: #1'"), c.Auth.Users["alice"], "a secret is taken as it stands")
	require.Nil(t, c.Auth.AllowAnonymous)
	require.Equal(t, "n1", c.Node.Name)
	require.Equal(t, Rate{Messages: 5, Bytes: 1_000_000}, c.MQTT.Rate)
	require.Equal(t, "::1", effective(t, c, "ban.entries")[len(`[{ip: "`):len(`[{ip: "::1`)])
	require.Equal(t, "EMQTTD_LISTENERS__WS__WEB__BIND", o.Of("listeners.ws.web.bind").String())
	require.Equal(t, "EMQTTD_AUTH__CHAIN", o.Of("auth.chain[0].path").String())
}

func TestAVariableFindsANameWhateverItsCase(t *testing.T) {
	c, _, err := loadText("listeners: {tcp: {LAN: {bind: '127.0.0.1:1'}}}",
		Sources{Env: []string{"EMQTTD_LISTENERS__TCP__LAN__BACKLOG=7"}})
	require.NoError(t, err)
	require.Equal(t, 7, c.Listeners.TCP["LAN"].Backlog)
	require.NotContains(t, c.Listeners.TCP, "lan")
}

func TestMistakesNamePlaceKeyAndWhatToWrite(t *testing.T) {
	for _, tc := range []struct{ name, file, env, set, want string }{
		{name: "unknown key", file: "mqtt: {max_paket_size: 1}",
			want: "emqttd.yaml:1:8: mqtt.max_paket_size: unknown key; did you mean mqtt.max_packet_size?"},
		{name: "unknown section", file: "\n\nlisteneres: {}", want: "emqttd.yaml:3:1: listeneres: unknown key; did you mean listeners?"},
		{name: "dashes for underscores", file: "log: {hex-bytes: 1}", want: "emqttd.yaml:1:7: log.hex-bytes: unknown key; did you mean log.hex_bytes?"},
		{name: "nothing like it", file: "log: {colour: 1}", want: "emqttd.yaml:1:7: log.colour: unknown key; there are level, format, hex_bytes"},
		{name: "unknown kind", file: "listeners: {udp: {}}", want: "emqttd.yaml:1:13: listeners.udp: unknown key; did you mean listeners.tcp?"},
		{name: "key of another kind", file: "listeners: {tcp: {default: {paths: [/x]}}}",
			want: "emqttd.yaml:1:29: listeners.tcp.default.paths: only listeners of the kinds ws and wss have this key"},
		{name: "key of a section taken for a value", file: "log: debug", want: "emqttd.yaml:1:6: log: expected a section with keys such as level and format, not a single value"},
		{name: "list for a section", file: "[]", want: "emqttd.yaml:1:1: expected a section with keys such as node and runtime, not a list"},
		{name: "section for a value", file: "log: {level: {}}", want: "emqttd.yaml:1:14: log.level: expected a single value, not a section with keys"},
		{name: "value for a list", file: "listeners: {ws: {default: {paths: /mqtt}}}",
			want: "emqttd.yaml:1:35: listeners.ws.default.paths: expected a list such as [a, b], not a single value"},
		{name: "no value", file: "node:\n  name:\n", want: `emqttd.yaml:2:9: node.name: no value; write "" for an empty one`},
		{name: "number", file: "mqtt: {max_client_id: many}", want: `emqttd.yaml:1:23: mqtt.max_client_id: expected a whole number, not "many"`},
		{name: "fraction", file: "mqtt: {max_qos: 1.5}", want: `emqttd.yaml:1:17: mqtt.max_qos: expected a whole number, not "1.5"`},
		{name: "above the bound", file: "mqtt: {max_qos: 3}", want: "emqttd.yaml:1:17: mqtt.max_qos: 3 is too much; the most is 2"},
		{name: "below the bound", file: "mqtt: {max_client_id: 22}", want: "emqttd.yaml:1:23: mqtt.max_client_id: 22 is too little; the least is 23"},
		{name: "size above the bound", file: "mqtt: {max_packet_size: 257MiB}", want: "emqttd.yaml:1:25: mqtt.max_packet_size: 257MiB is too much; the most is 268435460"},
		{name: "not a size", file: "mqtt: {max_packet_size: 1.5MiB}", want: "emqttd.yaml:1:25: mqtt.max_packet_size: expected a size such as 512, 64KiB or 1MiB"},
		{name: "size beyond 64 bits", file: "runtime: {gomemlimit: 9000000TiB}", want: "emqttd.yaml:1:23: runtime.gomemlimit: the size is too large for 64 bits"},
		{name: "time without unit", file: "sys: {interval: 60}", want: "emqttd.yaml:1:17: sys.interval: a duration needs a unit, for example 60s"},
		{name: "not a time", file: "sys: {interval: soon}", want: "emqttd.yaml:1:17: sys.interval: expected a duration such as 500ms, 30s, 5m, 48h or 7d"},
		{name: "negative time", file: "sys: {interval: -1s}", want: "emqttd.yaml:1:17: sys.interval: -1s is too little; the least is 0s"},
		{name: "not a factor", file: "mqtt: {keep_alive_factor: .nan}", want: `emqttd.yaml:1:27: mqtt.keep_alive_factor: expected a number, not ".nan"`},
		{name: "boolean", file: "sys: {presence: 1}", want: `emqttd.yaml:1:17: sys.presence: expected true or false, not "1"`},
		{name: "enum", file: "log: {level: warning}", want: `emqttd.yaml:1:14: log.level: expected one of debug, info, warn, error, not "warning"; did you mean warn?`},
		{name: "enum of two", file: "store: {engine: sqlite}", want: `emqttd.yaml:1:17: store.engine: expected one of pebble, memory, not "sqlite"`},
		{name: "enum that may not be empty", file: "store: {engine: ''}", want: `emqttd.yaml:1:17: store.engine: expected one of pebble, memory, not ""`},
		{name: "bare port", file: "listeners: {tcp: {default: {bind: 1884}}}",
			want: "emqttd.yaml:1:35: listeners.tcp.default.bind: expected an address and a port: write 127.0.0.1:1884 for this machine only, 0.0.0.0:1884 for every address"},
		{name: "rule", file: "listeners: {ws: {default: {access: [permit all]}}}",
			want: `emqttd.yaml:1:37: listeners.ws.default.access[0]: expected a rule such as "allow 10.0.0.0/8" or "deny all"`},
		{name: "network", file: "ban: {entries: [{ip: 10.0.0.0/33}]}",
			want: "emqttd.yaml:1:22: ban.entries[0].ip: expected an address or a network such as 10.1.2.3, 10.0.0.0/8 or fd00::/8"},
		{name: "date", file: "ban: {entries: [{username: u, until: tomorrow}]}",
			want: "emqttd.yaml:1:38: ban.entries[0].until: expected a time such as 2027-01-31T12:00:00Z"},
		{name: "listener name", file: "listeners: {tcp: {a.b: {}}}", want: "emqttd.yaml:1:19: listeners.tcp.a.b: a name has 1 to 64 letters, digits, '_' and '-'"},
		{name: "mask", file: `auth: {chain: [{type: builtin}], users: {alice: "********"}}`,
			want: "emqttd.yaml:1:49: auth.users.alice: this is what stands for a secret in printed configurations; write the secret itself"},
		{name: "control character", file: `node: {data_dir: "a\nb"}`, want: "emqttd.yaml:1:18: node.data_dir: the control character U+000A is not allowed"},
		{name: "too long", file: "node: {name: " + strings.Repeat("x", 256) + "}", want: "emqttd.yaml:1:14: node.name: 256 is too much; the most is 255 bytes"},
		{name: "key twice", file: "log: {level: info, level: warn}", want: `emqttd.yaml:1:20: not YAML: mapping key "level" already defined at [1:7]`},
		{name: "not YAML", file: "log: [", want: "emqttd.yaml:1:6: not YAML: sequence end token ']' not found"},
		{name: "stray bracket", file: "log:\n}", want: "emqttd.yaml:2:1: log: expected a section with keys such as level and format, not a single value"},
		{name: "two documents", file: "log: {}\n---\nlog: {}\n", want: "emqttd.yaml:3:4: a second YAML document; one is expected"},
		{name: "alias", file: "node: {name: *x}", want: `emqttd.yaml:1:14: "*": anchors, aliases, tags, merges, complex keys and directives are not used here; write the value in full, or in quotes`},
		{name: "list as a key in braces", file: "{[a]: b}", want: "emqttd.yaml:1:5: not YAML: found an invalid key for this map"},
		{name: "complex key", file: "? log\n: {}", want: `emqttd.yaml:1:1: "?": anchors, aliases, tags, merges, complex keys and directives are not used here; write the value in full, or in quotes`},
		{name: "not a number", file: "mqtt: {max_qos: .inf}", want: `emqttd.yaml:1:17: mqtt.max_qos: expected a whole number, not ".inf"`},
		{name: "entry without value in a list", file: "listeners:\n  ws: {default: {access: [deny all, ], paths: [/, null]}}",
			want: `emqttd.yaml:2:51: listeners.ws.default.paths[1]: no value; write "" for an empty one`},
		{name: "list as a key", file: "[a]: b", want: "emqttd.yaml:1:4: not YAML: found an invalid key for this map"},
		{name: "variable", env: "EMQTTD_LOG__LEVLE=info", want: "EMQTTD_LOG__LEVLE: log.levle: unknown key; did you mean log.level?"},
		{name: "variable with empty part", env: "EMQTTD_LOG____LEVEL=info", want: "EMQTTD_LOG____LEVEL: a part of the key is empty"},
		{name: "variable for a section", env: "EMQTTD_LISTENERS__TCP=1883", want: "EMQTTD_LISTENERS__TCP: listeners.tcp: expected names, each with its value, not a single value"},
		{name: "set", set: "log.level=loud", want: `--set log.level: expected one of debug, info, warn, error, not "loud"`},
		{name: "set without value", set: "log.level", want: "--set log.level: expected section.key=value"},
		{name: "set of a list that is no YAML", set: "auth.chain=[", want: "--set auth.chain: not YAML: sequence end token ']' not found"},
		{name: "set into a list", set: "auth.chain.type=builtin", want: "--set auth.chain.type: auth.chain: expected a list such as [a, b], not a section with keys"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s Sources
			if tc.env != "" {
				s.Env = []string{tc.env}
			}
			if tc.set != "" {
				s.Sets = []string{tc.set}
			}
			c, o, err := loadText(tc.file, s)
			require.Equal(t, []string{tc.want}, mistakes(t, err))
			require.Nil(t, c)
			require.Nil(t, o)
		})
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	_, _, err := loadText("node: {nam: x}\nlog: {level: loud}\nmqtt: {max_qos: 9}\n", Sources{Sets: []string{"x"}})
	require.Len(t, mistakes(t, err), 4)
	require.Equal(t, "configuration: 4 mistakes", strings.SplitN(err.Error(), "\n", 2)[0])
}

func TestWhatFollowsFromAMistakeIsNotReported(t *testing.T) {
	// Anonymous access is missing only because the key is misspelt, or wrong.
	for _, auth := range []string{"{alow_anonymous: true}", "{allow_anonymous: treu}", "{chain: [{type: psswd}]}", "3"} {
		_, _, err := loadText("listeners: {tcp: {default: {bind: '0.0.0.0:1883'}}}\nauth: "+auth, Sources{})
		require.Len(t, mistakes(t, err), 1, auth)
	}
}

func TestTheReportIsBounded(t *testing.T) {
	var file strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&file, "key%d: 1\n", i)
	}
	_, _, err := loadText(file.String(), Sources{})
	require.Len(t, mistakes(t, err), maxProblems)
}

func TestASecretIsInNoError(t *testing.T) {
	_, _, err := loadText("auth: {users: {u: geheim, v: [geheim], x: {geheim: 1}}}", Sources{
		Env:  []string{"EMQTTD_AUTH__USERS__W=geheim\x01"},
		Sets: []string{"auth.users.y=" + strings.Repeat("geheim", 1000), "auth.users=geheim"},
	})
	require.Len(t, mistakes(t, err), 5)
	require.NotContains(t, err.Error(), "geheim")
}

func TestNestingWithoutEndIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"flow":   strings.Repeat("[", 100_000),
		"maps":   strings.Repeat("{a: ", 100_000),
		"dashes": strings.Repeat("- ", 100_000),
		"block":  nestedBlock(600),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := loadText(text, Sources{})
			require.ErrorContains(t, err, "nested too deeply")
		})
	}
}

func nestedBlock(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestKeysWithoutEndAreRefused(t *testing.T) {
	users := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%d: x\n", i)
		}
		return b.String()
	}
	_, err := parse(users(1000))
	require.NoError(t, err)
	_, err = parse(users(maxKeys + 1))
	require.EqualError(t, err, "more than 20000 keys")
}

func TestAKeyIsShownOnOneLine(t *testing.T) {
	_, _, err := loadText(`"a\nb": 1`+"\n"+strings.Repeat("x", 1000)+": 1", Sources{})
	lines := mistakes(t, err)
	require.Contains(t, lines[0], `emqttd.yaml:1:1: "a\nb": unknown key`)
	require.Less(t, len(lines[1]), 500)
}

func TestUsersHaveBounds(t *testing.T) {
	var users strings.Builder
	users.WriteString("auth: {chain: [{type: builtin}], users: {")
	for i := range 10_000 {
		fmt.Fprintf(&users, "u%d: x,", i)
	}
	c, _, err := loadText(users.String()+"}}", Sources{})
	require.NoError(t, err)
	require.Len(t, c.Auth.Users, 10_000)
	_, _, err = loadText(users.String()+"one more: x}}", Sources{})
	require.ErrorContains(t, err, "auth.users.one more: 10001 is too much; the most is 10000 entries")

	_, _, err = loadText(`auth: {chain: [{type: builtin}], users: {"": x, "a\nb": x, c: `+strings.Repeat("x", 1025)+`}}`, Sources{})
	lines := mistakes(t, err)
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], "a user name has 1 to 1024 bytes and no control characters")
	require.Contains(t, lines[1], `"auth.users.a\nb": a user name has 1 to 1024 bytes`)
	require.Contains(t, lines[2], "auth.users.c: 1025 is too much; the most is 1024 bytes")
}

func TestOverlaysHaveBounds(t *testing.T) {
	for name, set := range map[string]string{
		"path":  strings.Repeat("a.", maxDepth) + "a=1",
		"value": "log.level=" + strings.Repeat("x", maxText+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Load(Sources{Sets: []string{set}})
			require.ErrorContains(t, err, ": too long")
		})
	}
	_, _, err := Load(Sources{Sets: []string{"node.data_dir=" + strings.Repeat("x", maxScalar+1)}})
	require.ErrorContains(t, err, "node.data_dir: longer than 65535 bytes")
	_, _, err = Load(Sources{Sets: []string{"node.data_dir=\xff"}})
	require.ErrorContains(t, err, "node.data_dir: not UTF-8")
	_, _, err = Load(Sources{Sets: []string{"log.level=" + strings.Repeat("é", 100)}})
	require.ErrorContains(t, err, strings.Repeat("é", 32)+`..."`)
}
