// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"strings"
	"time"

	"emqttd/supervisor/chaos"
)

// Validate checks what no key can be judged by alone. Load has done it; it is
// for configurations made in Go. The error is an *Error.
func (c *Config) Validate() error {
	d := &decoder{cfg: c}
	d.validate()
	return d.err()
}

// A check reports mistakes through report: key is where it shows, keys are all
// that it depends on, and it stays silent if one of them is wrong in itself.
type report func(keys []string, format string, args ...any)

func (d *decoder) validate() {
	say := func(keys []string, format string, args ...any) {
		for _, key := range keys {
			if d.blamed(key) {
				return
			}
		}
		d.add(d.origins.where(keys[0]), keys[0], format, args...)
	}
	c := d.cfg
	c.checkNode(say)
	for _, l := range c.Listeners.Active() {
		c.checkReach(l, say)
		checkTLS(l, say)
		checkWebSocket(l, say)
	}
	c.checkBinds(say)
	c.checkDashboard(say)
	c.checkMQTT(say)
	c.checkAuth(say)
	c.checkBan(say)
	c.checkSys(say)
	c.checkChaos(say)
}

func (c *Config) checkNode(say report) {
	if c.Node.Name == "" || strings.ContainsAny(c.Node.Name, "/+# ") {
		say([]string{"node.name"}, "must be a topic level: not empty, no '/', '+', '#' or blank")
	}
	if c.Node.DataDir == "" {
		say([]string{"node.data_dir"}, "must not be empty")
	}
}

// checkReach wants a decision where clients could otherwise walk in from
// another machine, or could not get in at all.
func (c *Config) checkReach(l Named, say report) {
	byCert := l.TLS.PeerCertAsUsername == PeerCertCN && l.TLS.ClientAuth == ClientAuthRequire
	if len(c.Auth.Chain) > 0 || byCert || c.AnonymousAllowed(l.Listener) {
		return
	}
	keys := []string{l.Key() + ".bind", "auth.allow_anonymous", "auth.chain"}
	for _, name := range []string{"allow_anonymous", "proxy_protocol", "tls.client_auth", "tls.peer_cert_as_username"} {
		keys = append(keys, join(l.Key(), name))
	}
	if l.AllowAnonymous != nil || c.Auth.AllowAnonymous != nil {
		say(keys, "nobody could connect here: anonymous clients are refused and auth.chain is empty; "+
			"write who may, for example auth: {chain: [{type: password_file, path: /etc/emqttd/passwd}]}")
		return
	}
	say(keys, "other machines can reach %s, and nothing says who may connect; write "+
		"auth: {chain: [{type: password_file, path: /etc/emqttd/passwd}]} to ask for passwords, "+
		"auth: {allow_anonymous: true} to let everybody in, or bind to 127.0.0.1", l.Bind)
}

func checkTLS(l Named, say report) {
	if l.Kind != TLS && l.Kind != WSS {
		return
	}
	t, key := l.TLS, l.Key()+".tls"
	if t.CertFile == "" || t.KeyFile == "" {
		say([]string{key, key + ".cert_file", key + ".key_file"}, "cert_file and key_file are needed")
	}
	if t.ClientAuth != ClientAuthNone && t.CAFile == "" {
		say([]string{key + ".ca_file", key + ".client_auth"}, "needed to check client certificates (client_auth: %s)", t.ClientAuth)
	}
	if t.PeerCertAsUsername != PeerCertNone && t.ClientAuth == ClientAuthNone {
		say([]string{key + ".peer_cert_as_username", key + ".client_auth"}, "no certificate is asked for; write client_auth: require")
	}
}

func checkWebSocket(l Named, say report) {
	if l.Kind != WS && l.Kind != WSS {
		return
	}
	if len(l.Paths) == 0 {
		say([]string{l.Key() + ".paths"}, "at least one path is needed")
	}
	for i, path := range l.Paths {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?# %") {
			say([]string{fmt.Sprintf("%s.paths[%d]", l.Key(), i), l.Key() + ".paths"}, "%q must begin with / and hold no '?', '#', '%%' or blank", cut(path))
		}
	}
	checkOrigins(l.Key(), l.AllowedOrigins, l.AllowedHosts, say)
}

// checkOrigins holds the two lists to the forms that they are compared in.
func checkOrigins(key string, origins, hosts []string, say report) {
	for i, origin := range origins {
		scheme, host, ok := strings.Cut(origin, "://")
		if !ok {
			scheme, host = "any", origin
		}
		if scheme == "" || host == "" || strings.ContainsAny(host, "/?#@ ") {
			say([]string{fmt.Sprintf("%s.allowed_origins[%d]", key, i), key + ".allowed_origins"},
				`%q is not an origin such as "https://app.example.org", without a path`, cut(origin))
		}
	}
	for i, host := range hosts {
		if host == "" || strings.ContainsAny(host, "/@ ") {
			say([]string{fmt.Sprintf("%s.allowed_hosts[%d]", key, i), key + ".allowed_hosts"},
				`%q is not a host name such as "broker.example.org"`, cut(host))
		}
	}
}

// checkBinds finds two listeners on one address. Port 0 is a port of its own
// each time; host names are compared as written.
func (c *Config) checkBinds(say report) {
	active := c.Listeners.Active()
	for i, l := range active {
		for _, earlier := range active[:i] {
			if clash(earlier.Bind, l.Bind) {
				key, taken := l.Key()+".bind", earlier.Key()+".bind"
				say([]string{key, taken}, "%s is taken by %s (%s)", l.Bind, taken, earlier.Bind)
				break
			}
		}
	}
}

func clash(a, b Address) bool {
	if a.Network() != b.Network() {
		return false
	}
	if a.Network() == "unix" {
		return a == b
	}
	every := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	same := strings.EqualFold(a.Host(), b.Host()) || every(a.Host()) || every(b.Host())
	return a.Port() != 0 && a.Port() == b.Port() && same
}

func (c *Config) checkMQTT(say report) {
	if c.MQTT.OutBufferLow >= c.MQTT.OutBufferHigh {
		say([]string{"mqtt.out_buffer_low", "mqtt.out_buffer_high"}, "%s must be below mqtt.out_buffer_high (%s)", c.MQTT.OutBufferLow, c.MQTT.OutBufferHigh)
	}
}

func (c *Config) checkAuth(say report) {
	builtin := false
	for i, link := range c.Auth.Chain {
		key := fmt.Sprintf("auth.chain[%d]", i)
		switch {
		case link.Type == "":
			say([]string{key, "auth.chain"}, "type is missing; there are %s", strings.Join(link.Type.Values(), ", "))
		case link.Type == LinkBuiltin && link.Path != "":
			say([]string{key + ".path", "auth.chain"}, "builtin reads no file; write its users under auth.users")
		case link.Type == LinkBuiltin && builtin:
			say([]string{key, "auth.chain"}, "builtin is in the chain already")
		case link.Type != LinkBuiltin && link.Path == "":
			say([]string{key, "auth.chain"}, "path is missing: the file that %s reads", link.Type)
		}
		builtin = builtin || link.Type == LinkBuiltin
	}
	if len(c.Auth.Users) > 0 && !builtin {
		say([]string{"auth.users", "auth.chain"}, "nothing asks for these users; write auth: {chain: [{type: builtin}]}")
	}
}

func (c *Config) checkSys(say report) {
	if i := c.Sys.Interval; i > 0 && i < time.Second {
		say([]string{"sys.interval"}, "must be 0s (never) or at least 1s")
	}
}

func (c *Config) checkBan(say report) {
	for i, b := range c.Ban.Entries {
		n := 0
		for _, given := range []bool{b.ClientID != "", b.Username != "", b.IP.IsValid()} {
			if given {
				n++
			}
		}
		if n != 1 {
			say([]string{fmt.Sprintf("ban.entries[%d]", i), "ban.entries"}, "exactly one of client_id, username and ip is needed")
		}
	}
}

func (c *Config) checkChaos(say report) {
	if len(c.Chaos.Faults) > 0 && !c.Chaos.Enabled {
		say([]string{"chaos.faults", "chaos.enabled"}, "needs chaos.enabled: true")
	}
	for i, line := range c.Chaos.Faults {
		f, err := chaos.Parse(line)
		if err == nil {
			err = f.Validate()
		}
		if err != nil {
			say([]string{"chaos.faults"}, "fault %d: %v", i+1, err)
		}
	}
}
