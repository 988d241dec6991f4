// SPDX-License-Identifier: Apache-2.0

package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAListenerThatOthersCanReachNeedsADecision(t *testing.T) {
	with := func(extra, rest string) string {
		return "listeners: {tcp: {default: {bind: '0.0.0.0:1883'" + extra + "}}}\n" + rest
	}
	for _, file := range []string{
		with("", "auth: {allow_anonymous: true}"),
		with(", allow_anonymous: true", ""),
		with("", "auth: {chain: [{type: builtin}]}"),
		with("", "auth: {chain: [{type: password_file, path: p}], allow_anonymous: false}"),
		"listeners: {tls: {default: {bind: ':8883', tls: {cert_file: c, key_file: k, ca_file: a, client_auth: require, peer_cert_as_username: cn}}}}",
		"listeners: {tcp: {default: {bind: 'unix:/tmp/s'}}}",
	} {
		_, _, err := loadText(file, Sources{})
		require.NoError(t, err, file)
	}

	_, _, err := loadText(with("", ""), Sources{})
	require.Equal(t, []string{"emqttd.yaml:1:35: listeners.tcp.default.bind: other machines can reach 0.0.0.0:1883, " +
		"and nothing says who may connect; write auth: {chain: [{type: password_file, path: /etc/emqttd/passwd}]} to ask " +
		"for passwords, auth: {allow_anonymous: true} to let everybody in, or bind to 127.0.0.1"}, mistakes(t, err))

	for name, file := range map[string]string{
		"refused everywhere":            with("", "auth: {allow_anonymous: false}"),
		"refused here":                  with(", allow_anonymous: false", "auth: {allow_anonymous: true}"),
		"refused on loopback":           "auth: {allow_anonymous: false}\nlisteners: {tcp: {default: {bind: ''}}}",
		"a certificate that is no duty": "listeners: {tls: {default: {bind: ':8883', tls: {cert_file: c, key_file: k, ca_file: a, client_auth: request, peer_cert_as_username: cn}}}}",
		"behind a proxy on loopback":    "listeners: {tcp: {default: {bind: '127.0.0.1:1883', proxy_protocol: v2}}}",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := loadText(file, Sources{})
			require.Regexp(t, "nobody could connect here|nothing says who may connect", err)
		})
	}
}

func TestAnonymousAccessIsDecidedByTheNearestKey(t *testing.T) {
	yes, no := true, false
	for _, tc := range []struct {
		name             string
		listener, global *bool
		chain            int
		bind             Address
		proxy            ProxyProtocol
		want             bool
	}{
		{"loopback without anything", nil, nil, 0, "127.0.0.1:1883", ProxyOff, true},
		{"unix socket without anything", nil, nil, 0, "unix:/s", ProxyOff, true},
		{"loopback behind a proxy", nil, nil, 0, "127.0.0.1:1883", ProxyBoth, false},
		{"loopback with a chain", nil, nil, 1, "127.0.0.1:1883", ProxyOff, false},
		{"other address", nil, nil, 0, ":1883", ProxyOff, false},
		{"allowed globally", nil, &yes, 1, ":1883", ProxyOff, true},
		{"refused globally", nil, &no, 0, "127.0.0.1:1883", ProxyOff, false},
		{"refused here, allowed globally", &no, &yes, 0, "127.0.0.1:1883", ProxyOff, false},
		{"allowed here, refused globally", &yes, &no, 1, ":1883", ProxyOff, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Default()
			c.Auth.AllowAnonymous = tc.global
			c.Auth.Chain = make([]Link, tc.chain)
			l := &Listener{Bind: tc.bind, ProxyProtocol: tc.proxy, AllowAnonymous: tc.listener}
			require.Equal(t, tc.want, c.AnonymousAllowed(l))
		})
	}
}

func TestKeysThatContradictEachOtherAreFound(t *testing.T) {
	for _, tc := range []struct{ name, file, want string }{
		{"node name", "node: {name: a/b}", "emqttd.yaml:1:14: node.name: must be a topic level: not empty, no '/', '+', '#' or blank"},
		{"data directory", "node: {data_dir: ''}", "emqttd.yaml:1:18: node.data_dir: must not be empty"},
		{"same port", "listeners: {tcp: {a: {bind: '127.0.0.1:1883'}}}",
			"listeners.tcp.default.bind: 127.0.0.1:1883 is taken by listeners.tcp.a.bind (127.0.0.1:1883)"},
		{"same port on every address", "auth: {allow_anonymous: true}\nlisteners: {tcp: {default: {bind: ':8083'}}}",
			"listeners.ws.default.bind: 127.0.0.1:8083 is taken by listeners.tcp.default.bind (:8083)"},
		{"same socket", "listeners: {tcp: {a: {bind: 'unix:/s'}, b: {bind: 'unix:/s'}}}",
			"emqttd.yaml:1:51: listeners.tcp.b.bind: unix:/s is taken by listeners.tcp.a.bind (unix:/s)"},
		{"no certificate", "listeners: {tls: {default: {bind: '127.0.0.1:8883'}}}",
			"listeners.tls.default.tls: cert_file and key_file are needed"},
		{"no authority", "listeners: {wss: {default: {bind: '127.0.0.1:8084', tls: {cert_file: c, key_file: k, client_auth: request}}}}",
			"listeners.wss.default.tls.ca_file: needed to check client certificates (client_auth: request)"},
		{"user name from no certificate", "listeners: {tls: {default: {bind: '127.0.0.1:8883', tls: {cert_file: c, key_file: k, peer_cert_as_username: cn}}}}",
			"emqttd.yaml:1:109: listeners.tls.default.tls.peer_cert_as_username: no certificate is asked for; write client_auth: require"},
		{"no path", "listeners: {ws: {default: {paths: []}}}", "emqttd.yaml:1:35: listeners.ws.default.paths: at least one path is needed"},
		{"relative path", "listeners: {ws: {default: {paths: [/, mqtt]}}}",
			`emqttd.yaml:1:39: listeners.ws.default.paths[1]: "mqtt" must begin with / and hold no '?', '#', '%' or blank`},
		{"origin with a path", "listeners: {ws: {default: {allowed_origins: ['*', 'https://a.example.org/x']}}}",
			`emqttd.yaml:1:51: listeners.ws.default.allowed_origins[1]: "https://a.example.org/x" is not an origin such as "https://app.example.org", without a path`},
		{"origin without host", "listeners: {ws: {default: {allowed_origins: ['https://']}}}",
			`emqttd.yaml:1:46: listeners.ws.default.allowed_origins[0]: "https://" is not an origin such as "https://app.example.org", without a path`},
		{"host with a scheme", "listeners: {ws: {default: {allowed_hosts: ['http://a']}}}",
			`emqttd.yaml:1:44: listeners.ws.default.allowed_hosts[0]: "http://a" is not a host name such as "broker.example.org"`},
		{"marks", "mqtt: {out_buffer_low: 1MiB}", "emqttd.yaml:1:24: mqtt.out_buffer_low: 1MiB must be below mqtt.out_buffer_high (1MiB)"},
		{"link without type", "auth: {chain: [{path: x}]}", "auth.chain[0]: type is missing; there are password_file, client_id_file, builtin"},
		{"link without path", "auth: {chain: [{type: builtin}, {type: password_file}]}", "auth.chain[1]: path is missing: the file that password_file reads"},
		{"link with a path it does not read", "auth: {chain: [{type: builtin, path: x}]}",
			"emqttd.yaml:1:38: auth.chain[0].path: builtin reads no file; write its users under auth.users"},
		{"builtin twice", "auth: {chain: [{type: builtin}, {type: builtin}]}", "auth.chain[1]: builtin is in the chain already"},
		{"users that nobody asks for", "auth: {users: {a: b}}", "auth.users: nothing asks for these users; write auth: {chain: [{type: builtin}]}"},
		{"reports without a pause", "sys: {interval: 999ms}", "emqttd.yaml:1:17: sys.interval: must be 0s (never) or at least 1s"},
		{"ban of nobody", "ban: {entries: [{reason: x}]}", "ban.entries[0]: exactly one of client_id, username and ip is needed"},
		{"ban of two", "ban: {entries: [{username: x, ip: ::1}]}", "ban.entries[0]: exactly one of client_id, username and ip is needed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := loadText(tc.file, Sources{})
			require.Equal(t, []string{tc.want}, mistakes(t, err))
		})
	}
}

func TestWhatIsOffIsNotJudged(t *testing.T) {
	_, _, err := loadText(`
listeners:
  tcp: {default: {bind: ""}, a: {bind: "127.0.0.1:0"}, b: {bind: "127.0.0.1:0"}, c: {bind: "127.0.0.2:7"}, d: {bind: "127.0.0.1:7"}}
  ws: {default: {bind: "", paths: [], allowed_hosts: [a b]}}
  tls: {default: {tls: {client_auth: require}}}
`, Sources{})
	require.NoError(t, err)
}

func TestAConfigurationMadeInGoIsJudgedToo(t *testing.T) {
	c := Default()
	require.NoError(t, c.Validate())
	c.Listeners.TCP["default"].Bind = ":1883"
	c.MQTT.OutBufferLow = 2 * MiB
	require.Len(t, mistakes(t, c.Validate()), 2)
}

func TestStatusIsAskedForWhereThisMachineCanReachIt(t *testing.T) {
	require.Equal(t, []string{"http://127.0.0.1:8083/status"}, Default().StatusURLs())

	c := Default()
	c.Listeners.WS = map[string]*Listener{}
	for name, bind := range map[string]Address{"a": ":80", "b": "[::]:81", "c": "unix:/s", "d": "127.0.0.1:0", "e": "", "f": "h:82"} {
		l := DefaultListener(WS)
		l.Bind = bind
		c.Listeners.WS[name] = l
	}
	c.Listeners.WS["f"].HTTPStatus = false
	c.Listeners.WS["proxy"] = DefaultListener(WS)
	c.Listeners.WS["proxy"].Bind, c.Listeners.WS["proxy"].ProxyProtocol = ":83", ProxyV2
	c.Listeners.WSS["default"].Bind = "10.0.0.1:443"
	require.Equal(t, []string{
		"http://127.0.0.1:80/status", "http://[::1]:81/status", "https://10.0.0.1:443/status",
	}, c.StatusURLs())
}

func TestEachFormOfAnOriginIsTaken(t *testing.T) {
	c, _, err := loadText(`listeners: {ws: {default: {allowed_origins: ["*", "null", app.example.org, "https://*.example.org", "http://h:8080"]}}}`, Sources{})
	require.NoError(t, err)
	require.Len(t, c.Listeners.WS["default"].AllowedOrigins, 5)
}
