// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

// target is the broker to load.
type target struct {
	scheme   string // mqtt, mqtts, ws, wss
	hostPort string // as the URL has it, with a port
	path     string // of the upgrade
	addr     netip.AddrPort
	tls      *tls.Config // for mqtts and wss

	username, password string
	hasUser, hasPass   bool
}

var schemes = map[string]struct{ name, port string }{
	"mqtt": {"mqtt", "1883"}, "tcp": {"mqtt", "1883"},
	"mqtts": {"mqtts", "8883"}, "ssl": {"mqtts", "8883"}, "tls": {"mqtts", "8883"},
	"ws": {"ws", "80"}, "wss": {"wss", "443"},
}

// newTarget reads the URL and refuses machines that may be somebody else's: a
// load generator pointed at a broker by mistake is an attack.
func newTarget(address string, conf *tls.Config, mine bool) (*target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("bench: --url: %w", err)
	}
	scheme, ok := schemes[u.Scheme]
	if !ok || u.Hostname() == "" {
		return nil, fmt.Errorf("bench: --url %q: want mqtt, mqtts, ws or wss://HOST[:PORT][/PATH]", address)
	}
	t := &target{scheme: scheme.name, hostPort: u.Host, path: u.RequestURI()}
	port := u.Port()
	if port == "" {
		port = scheme.port
		t.hostPort = net.JoinHostPort(u.Hostname(), port)
	}
	if u.Path == "" {
		t.path = "/mqtt"
	}
	if u.User != nil {
		t.username, t.hasUser = u.User.Username(), true
		t.password, t.hasPass = u.User.Password()
	}
	if t.secure() {
		t.tls = conf.Clone()
		if t.tls == nil {
			t.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if t.tls.ServerName == "" {
			t.tls.ServerName = u.Hostname()
		}
	}
	return t, t.resolve(u.Hostname(), port, mine)
}

func (t *target) secure() bool    { return t.scheme == "mqtts" || t.scheme == "wss" }
func (t *target) webSocket() bool { return t.scheme == "ws" || t.scheme == "wss" }

// resolve looks the host up once: the address that was judged is the one that
// is loaded.
func (t *target) resolve(host, port string, mine bool) error {
	a, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return fmt.Errorf("bench: --url: %w", err)
	}
	t.addr = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
	if !t.addr.Addr().IsLoopback() && !mine {
		return fmt.Errorf("bench: %s is %s, which is not this machine: give --i-own-this-target if you may load it", host, t.addr.Addr())
	}
	return nil
}

// portsPerSource is how many connections share one local address: an address
// has 28,232 ephemeral ports by default, and some of them are taken.
const portsPerSource = 20_000

// source is the n-th local address to connect from, n > 0: 127.0.0.0/8 has
// enough of them for any number of connections to one port. An invalid address
// leaves the choice to the system.
func (t *target) source(n int) netip.Addr {
	if n == 0 || !t.addr.Addr().Is4() || !t.addr.Addr().IsLoopback() {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte{127, byte(1 + n>>16), byte(n >> 8), byte(n)})
}
