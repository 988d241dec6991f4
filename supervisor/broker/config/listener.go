// SPDX-License-Identifier: Apache-2.0

package config

import (
	"maps"
	"slices"
	"time"
)

// Kind is the transport of a listener, the key right under listeners.
type Kind string

const (
	TCP Kind = "tcp"
	TLS Kind = "tls"
	WS  Kind = "ws"
	WSS Kind = "wss"
)

// Listeners holds the listeners by kind, then by name. The standard ones are
// named "default".
type Listeners struct {
	// MQTT over TCP.
	TCP map[string]*Listener `yaml:"tcp"`

	// MQTT over TLS.
	TLS map[string]*Listener `yaml:"tls"`

	// MQTT over WebSocket.
	WS map[string]*Listener `yaml:"ws"`

	// MQTT over WebSocket over TLS.
	WSS map[string]*Listener `yaml:"wss"`
}

// Listener is one address on which clients are served. The tag "only" names
// the kinds that have a key; it is refused under the others.
type Listener struct {
	// 127.0.0.1:1883 (this machine), 0.0.0.0:1883 or :1883 (every address),
	// [::1]:1883, or unix:/path/of/a/socket. Port 0: any free port. Empty: off.
	// An address that others can reach needs authentication, or
	// auth.allow_anonymous: true.
	Bind Address `yaml:"bind"`

	// Connections at one time. A further one is closed at once, before
	// anything of it is read, and counted.
	MaxConnections int `yaml:"max_connections" min:"1" max:"10000000" reload:"yes"`

	// New connections per second; a burst of one second's worth is let through.
	// A CONNECT above it is refused with 0x9F (return code 3 before MQTT 5).
	// 0: no limit.
	MaxConnectRate int `yaml:"max_connect_rate" min:"0" max:"10000000" reload:"yes"`

	// Connections the system holds until they are accepted; what it does with
	// further ones is its own affair (Linux: the client tries again).
	Backlog int `yaml:"backlog" min:"1" max:"65535"`

	// PROXY protocol header in front of every connection: off, v1, v2 or both.
	// Unless off the header is required: a connection without it is closed, so
	// let only the proxy reach this listener.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`

	// How long the PROXY header may take; then the connection is closed.
	ProxyProtocolTimeout time.Duration `yaml:"proxy_protocol_timeout" min:"10ms" max:"10m" reload:"yes"`

	// Rules for the peer's address (behind PROXY protocol: the client's), in
	// order, the first that fits decides: "allow 10.0.0.0/8", "deny all". None
	// fits: allowed. A denied connection is closed at once.
	Access []AccessRule `yaml:"access" max:"1000" reload:"yes"`

	// Overrides auth.allow_anonymous for this listener: true or false.
	AllowAnonymous *bool `yaml:"allow_anonymous"`

	// What acknowledgements of this listener's clients wait for: synced, memory,
	// or default: what store.durability says. Rules of store come first.
	Durability ListenerDurability `yaml:"durability" reload:"yes"`

	// Certificates of this listener.
	TLS TLSConfig `yaml:"tls" only:"tls wss"`

	// The HTTP side of WebSocket.
	WebSocket `yaml:",inline" only:"ws wss"`
}

// TLSConfig is the tls section of a tls or wss listener.
type TLSConfig struct {
	// Certificate chain in PEM, this server's certificate first. Files are read
	// again on reload and when they have changed (runtime.certificate_check); new
	// connections then get the new certificate, and a broken file leaves the old
	// one in use.
	CertFile string `yaml:"cert_file" max:"4096" reload:"yes"`

	// Private key in PEM, not encrypted.
	KeyFile string `yaml:"key_file" max:"4096" reload:"yes"`

	// Certificates in PEM of those who may sign client certificates.
	CAFile string `yaml:"ca_file" max:"4096" reload:"yes"`

	// Client certificate: none (not asked for), request (checked if it is
	// sent), require (no connection without).
	ClientAuth ClientAuth `yaml:"client_auth" reload:"yes"`

	// Oldest TLS version accepted: 1.2 or 1.3.
	MinVersion TLSVersion `yaml:"min_version" reload:"yes"`

	// cn: the common name of a verified client certificate is the user name,
	// whatever the CONNECT says, and the client is authenticated by it.
	PeerCertAsUsername PeerCertAsUsername `yaml:"peer_cert_as_username"`

	// Bytes that a handshake may take; then the connection is closed. As many of
	// what a client says behind it are held until it is complete; then reading
	// stops until it is.
	MaxHandshake Bytes `yaml:"max_handshake" min:"4KiB" max:"16MiB" reload:"yes"`
}

// WebSocket is what a ws or wss listener has besides.
type WebSocket struct {
	// Paths that are upgraded to MQTT. Another one is answered 404.
	Paths []string `yaml:"paths" max:"100"`

	// Web pages that may connect besides those of the same host name:
	// "https://app.example.org", "https://*.example.org", "app.example.org" (any
	// scheme and port), "null" (files), or "*" for every page. An upgrade with
	// another Origin is answered 403.
	AllowedOrigins []string `yaml:"allowed_origins" max:"1000" reload:"yes"`

	// Names accepted in the Host header besides localhost, 127.0.0.0/8 and ::1
	// where this listener is bound to loopback. Others are answered 403.
	AllowedHosts []string `yaml:"allowed_hosts" max:"1000" reload:"yes"`

	// Take text frames as binary ones, as emqttd did. Otherwise a text frame
	// closes the connection with 1003.
	AllowTextFrames bool `yaml:"allow_text_frames"`

	// Accept permessage-deflate when a client offers it.
	Compression bool `yaml:"compression"`

	// A compressed message larger than this on the wire closes the connection
	// with 1009. Messages that are not compressed are streamed, not collected.
	MaxMessage Bytes `yaml:"max_message" min:"1KiB" max:"256MiB"`

	// A compressed message that inflates to more than this closes the
	// connection with 1009.
	MaxInflated Bytes `yaml:"max_inflated" min:"1KiB" max:"256MiB"`

	// Request line and headers of an upgrade; a longer one is answered 431.
	MaxHeader Bytes `yaml:"max_header" min:"1KiB" max:"64KiB"`

	// Serve GET /status, emqttd's line of text for health checks.
	HTTPStatus bool `yaml:"http_status"`

	// Serve POST /mqtt/publish, for whoever authenticates as an MQTT client would.
	HTTPPublish bool `yaml:"http_publish"`
}

// Local reports whether only this machine can reach the listener. One behind a
// proxy is not local, wherever it is bound: the proxy speaks for anybody.
func (l *Listener) Local() bool { return l.Bind.Loopback() && l.ProxyProtocol == ProxyOff }

// DefaultListener returns the values a listener of the kind has where the
// configuration says nothing. It is off: bind is empty.
func DefaultListener(kind Kind) *Listener {
	l := &Listener{
		MaxConnections:       100_000,
		Backlog:              1024,
		ProxyProtocol:        ProxyOff,
		ProxyProtocolTimeout: 3 * time.Second,
		Durability:           ListenerDurabilityDefault,
	}
	if kind == TLS || kind == WSS {
		l.TLS = TLSConfig{
			ClientAuth: ClientAuthNone, MinVersion: TLS12, PeerCertAsUsername: PeerCertNone,
			MaxHandshake: 64 * KiB,
		}
	}
	if kind == WS || kind == WSS {
		l.WebSocket = WebSocket{
			Paths:      []string{"/mqtt"},
			MaxMessage: MiB, MaxInflated: MiB, MaxHeader: 8 * KiB,
			HTTPStatus: true, HTTPPublish: true,
		}
	}
	return l
}

// defaultListeners has one listener of each kind; those that need a
// certificate are off until they are given one and a bind.
func defaultListeners() Listeners {
	at := func(kind Kind, bind Address) map[string]*Listener {
		l := DefaultListener(kind)
		l.Bind = bind
		return map[string]*Listener{"default": l}
	}
	return Listeners{
		TCP: at(TCP, "127.0.0.1:1883"),
		TLS: at(TLS, ""),
		WS:  at(WS, "127.0.0.1:8083"),
		WSS: at(WSS, ""),
	}
}

// Named is a listener together with where it stands in the configuration.
type Named struct {
	Kind Kind
	Name string
	*Listener
}

// Key is the listener's key, as in "listeners.tcp.default".
func (n Named) Key() string { return "listeners." + string(n.Kind) + "." + n.Name }

// All returns every listener, also those that are off, in a fixed order: tcp,
// tls, ws, wss, each by name.
func (l *Listeners) All() []Named {
	var out []Named
	for _, kind := range []Kind{TCP, TLS, WS, WSS} {
		byName := l.of(kind)
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			out = append(out, Named{kind, name, byName[name]})
		}
	}
	return out
}

// Active returns the listeners that are on, in the order of All.
func (l *Listeners) Active() []Named {
	return slices.DeleteFunc(l.All(), func(n Named) bool { return n.Bind.Off() })
}

func (l *Listeners) of(kind Kind) map[string]*Listener {
	switch kind {
	case TCP:
		return l.TCP
	case TLS:
		return l.TLS
	case WS:
		return l.WS
	default:
		return l.WSS
	}
}
