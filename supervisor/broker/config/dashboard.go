// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net"
	"strconv"
	"time"
)

// Dashboard is the one HTTP origin of administration: the page, REST, metrics.
type Dashboard struct {
	// Address of the page, of /api/v1, /metrics, /livez, /readyz and /status, and of
	// MQTT over WebSocket at /mqtt. Empty: off. The first password (admin, public)
	// is taken on loopback only, and only until it is changed.
	Bind Address `yaml:"bind"`

	// Certificate chain in PEM. With it and key_file the address speaks HTTPS.
	CertFile string `yaml:"cert_file" max:"4096"`

	// Private key in PEM, not encrypted.
	KeyFile string `yaml:"key_file" max:"4096"`

	// Serve MQTT over WebSocket at /mqtt, so that the page needs no second port.
	MQTT bool `yaml:"mqtt"`

	// Web pages that may connect to /mqtt besides those of the same host name; see
	// listeners.ws.default.allowed_origins. REST is for the page of this address
	// only, and for programs.
	AllowedOrigins []string `yaml:"allowed_origins" max:"1000"`

	// Names accepted in the Host header besides localhost, 127.0.0.0/8 and ::1
	// where this address is loopback. Others are answered 403.
	AllowedHosts []string `yaml:"allowed_hosts" max:"1000"`

	// Administrators besides those made on the page: name, then the password or a
	// hash of it, as in auth.users.
	Administrators map[string]Secret `yaml:"administrators" max:"1000"`

	// The same for users who may look and change nothing.
	Viewers map[string]Secret `yaml:"viewers" max:"1000"`

	// Users and API keys that can be made on the page or by REST. A further one is
	// answered 409.
	MaxUsers int `yaml:"max_users" min:"1" max:"100000"`

	// A session of the page ends after this time without a request.
	SessionTTL time.Duration `yaml:"session_ttl" min:"1m" max:"720h"`

	// Sessions of the page at one time. The one longest without a request ends for
	// a further one.
	MaxSessions int `yaml:"max_sessions" min:"1" max:"1000000"`

	// Wrong passwords or keys from one address (IPv6: one /64) within login_window,
	// and ten times as many for one user name. A further attempt is answered 429
	// unread until the window has passed.
	LoginFailures int `yaml:"login_failures" min:"1" max:"100000"`

	// See login_failures.
	LoginWindow time.Duration `yaml:"login_window" min:"1s" max:"24h"`

	// Connections at one time; further ones wait.
	MaxConnections int `yaml:"max_connections" min:"1" max:"100000"`

	// Body of a request; a larger one is answered 413.
	MaxBody Bytes `yaml:"max_body" min:"1KiB" max:"256MiB"`

	// Entries on a page of a list. A request for more is answered 400.
	MaxPage int `yaml:"max_page" min:"10" max:"100000"`

	// How far into a filtered or sorted list a page may lie. Beyond: 400, and the
	// advice to filter.
	MaxOffset int `yaml:"max_offset" min:"1000" max:"10000000"`

	// Entries that one request may look at. What lies behind is not found, and the
	// answer says so (truncated).
	MaxScan int `yaml:"max_scan" min:"1000" max:"1000000000"`

	// How long a request may take, but for streams; its header at most ten seconds.
	Timeout time.Duration `yaml:"timeout" min:"1s" max:"10m"`

	// Longest profile of CPU that may be asked for; for a longer one the answer is
	// 400. One profile is taken at a time; for a further one it is 409.
	MaxProfile time.Duration `yaml:"max_profile" min:"1s" max:"10m"`

	// Live streams at one time. A further one is answered 503.
	MaxStreams int `yaml:"max_streams" min:"1" max:"100000"`

	// Events that wait for one slow reader of a stream; further ones are left out,
	// and it is told how many.
	StreamBuffer int `yaml:"stream_buffer" min:"8" max:"100000"`

	// Size of the audit log in node.data_dir (audit.log); then it is renamed to
	// audit.log.1, of which there is one.
	AuditFile Bytes `yaml:"audit_file" min:"4KiB" max:"16GiB"`

	// Changes that the page shows; the older ones are in the file only.
	AuditEntries int `yaml:"audit_entries" min:"10" max:"1000000"`

	// Let everybody who reaches the address read /metrics; otherwise a user or an
	// API key is needed.
	OpenMetrics bool `yaml:"open_metrics"`

	// The page #/websocket, which looks at connections byte by byte.
	Microscope Microscope `yaml:"microscope"`
}

// Microscope bounds the connections that the page #/websocket opens from the
// broker's process, and its look at those of clients.
type Microscope struct {
	// Serve it at all.
	Enabled bool `yaml:"enabled"`

	// Let administrators connect to other hosts than this broker. The request goes
	// out from here; link-local and multicast addresses are refused in any case,
	// and loopback unless the administrator sits at this machine.
	OtherHosts bool `yaml:"other_hosts"`

	// Connections of one user, closed ones that can still be looked at included. The
	// oldest closed one of the tab makes room for a further one; without one, it is
	// refused.
	MaxConnections int `yaml:"max_connections" min:"1" max:"1000"`

	// Connections of all users; a further one as above.
	MaxTotal int `yaml:"max_total" min:"1" max:"10000"`

	// Kept of what happened in one tab of a browser. The oldest events are dropped,
	// and the page says how many.
	MaxBytes Bytes `yaml:"max_bytes" min:"64KiB" max:"1GiB"`

	// One packet or frame, either way. A larger one is not sent; one that is
	// received ends the connection.
	MaxPacket Bytes `yaml:"max_packet" min:"1KiB" max:"16MiB"`

	// Bytes a second that are taken apart of a client's connection which an
	// administrator watches. What goes beyond it is passed over up to the next
	// packet that fits, and the page says how much; the client notices nothing.
	MaxRate Bytes `yaml:"max_rate" min:"1KiB" max:"64MiB"`

	// The connections of a tab that nobody looks at are closed after this time.
	Idle time.Duration `yaml:"idle" min:"1s" max:"24h"`

	// For connecting with TLS, for the answer to the upgrade, and for one write;
	// beyond it the connection ends.
	Timeout time.Duration `yaml:"timeout" min:"100ms" max:"5m"`
}

// Local reports whether only this machine can reach the dashboard.
func (d *Dashboard) Local() bool { return d.Bind.Loopback() }

// TLS reports whether the address speaks HTTPS.
func (d *Dashboard) TLS() bool { return d.CertFile != "" }

// URL is where a program on this machine reaches the dashboard, "" when it is
// off, on a unix socket or on a port that the system chooses.
func (d *Dashboard) URL() string {
	if d.Bind.Off() || d.Bind.Network() != "tcp" || d.Bind.Port() == 0 {
		return ""
	}
	scheme := "http"
	if d.TLS() {
		scheme = "https"
	}
	host := d.Bind.Host()
	switch host { // every address: this machine is one of them
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return scheme + "://" + net.JoinHostPort(host, strconv.Itoa(d.Bind.Port()))
}

func defaultDashboard() Dashboard {
	return Dashboard{
		Bind: "127.0.0.1:18083", MQTT: true, MaxUsers: 1000, SessionTTL: 8 * time.Hour, MaxSessions: 1000,
		LoginFailures: 10, LoginWindow: time.Minute, MaxConnections: 1000, MaxBody: MiB, MaxPage: 1000, MaxOffset: 100_000,
		MaxScan: 2_000_000, Timeout: 15 * time.Second, MaxProfile: time.Minute, MaxStreams: 64, StreamBuffer: 256,
		AuditFile: 8 * MiB, AuditEntries: 10_000, OpenMetrics: true,
		Microscope: Microscope{Enabled: true, OtherHosts: true, MaxConnections: 8, MaxTotal: 64, MaxBytes: 4 * MiB, MaxPacket: 256 * KiB, MaxRate: 64 * KiB,
			Idle: 5 * time.Minute, Timeout: 10 * time.Second},
	}
}

func (c *Config) checkDashboard(say report) {
	d := &c.Dashboard
	if d.Bind.Off() {
		return
	}
	if (d.CertFile == "") != (d.KeyFile == "") {
		say([]string{"dashboard.cert_file", "dashboard.key_file"}, "cert_file and key_file are needed together")
	}
	checkOrigins("dashboard", d.AllowedOrigins, d.AllowedHosts, say)
	for name := range d.Viewers {
		if _, both := d.Administrators[name]; both {
			say([]string{"dashboard.viewers." + name, "dashboard.administrators." + name}, "is an administrator already")
		}
	}
	for _, l := range c.Listeners.Active() {
		if clash(l.Bind, d.Bind) {
			say([]string{"dashboard.bind", l.Key() + ".bind"}, "%s is taken by %s.bind (%s)", d.Bind, l.Key(), l.Bind)
			return
		}
	}
}
