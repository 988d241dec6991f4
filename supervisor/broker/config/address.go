// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Address is where a listener listens: HOST:PORT, unix:PATH, or empty for
// nowhere. A loaded Address is well formed.
type Address string

// unixPathMax is the longest path of a unix socket: sun_path is 108 bytes on
// Linux, with a zero at its end.
const unixPathMax = 107

// UnmarshalText checks the form; it resolves no name.
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" || len(path) > unixPathMax {
			return fmt.Errorf("expected unix: and a path of 1 to %d bytes", unixPathMax)
		}
		*a = Address(s)
		return nil
	}
	if s == "" {
		*a = ""
		return nil
	}
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		return fmt.Errorf("expected an address and a port: write 127.0.0.1:%s for this machine only, "+
			"0.0.0.0:%s for every address", s, s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /*") {
		return errors.New("expected HOST:PORT such as 127.0.0.1:1883, 0.0.0.0:1883 or [::1]:1883, " +
			"unix:PATH, or nothing for off")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("expected a port number from 0 to 65535, not %q", port)
	}
	*a = Address(s)
	return nil
}

// Off reports whether nothing listens.
func (a Address) Off() bool { return a == "" }

// Network is "tcp" or "unix", and with Path or Host what net.Listen takes.
func (a Address) Network() string {
	if strings.HasPrefix(string(a), "unix:") {
		return "unix"
	}
	return "tcp"
}

// Target is the second argument of net.Listen: HOST:PORT or the socket's path.
func (a Address) Target() string { return strings.TrimPrefix(string(a), "unix:") }

// Host is the part before the port, empty for every address and for a unix
// socket.
func (a Address) Host() string {
	if a.Network() == "unix" {
		return ""
	}
	host, _, _ := net.SplitHostPort(string(a))
	return host
}

// Port is the port, 0 for a unix socket.
func (a Address) Port() int {
	if a.Network() == "unix" {
		return 0
	}
	_, port, _ := net.SplitHostPort(string(a))
	n, _ := strconv.ParseUint(port, 10, 16)
	return int(n)
}

// Loopback reports whether only this machine can reach the address: a unix
// socket, localhost, 127.0.0.0/8 or ::1.
func (a Address) Loopback() bool {
	if a.Network() == "unix" {
		return true
	}
	host := a.Host()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Prefix is a network, or a single address as the network of its own.
type Prefix struct{ netip.Prefix }

// UnmarshalText reads 10.0.0.0/8, 10.1.2.3, fd00::/8 or ::1. Bits behind the
// prefix length are cleared.
func (p *Prefix) UnmarshalText(text []byte) error {
	s := string(text)
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		p.Prefix = netip.PrefixFrom(ip, ip.BitLen())
		return nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil || n.Addr().Is4In6() {
		return errors.New("expected an address or a network such as 10.1.2.3, 10.0.0.0/8 or fd00::/8")
	}
	p.Prefix = n.Masked()
	return nil
}

// MarshalText writes a single address without its length.
func (p Prefix) MarshalText() ([]byte, error) {
	switch {
	case !p.IsValid():
		return nil, nil
	case p.IsSingleIP():
		return p.Addr().MarshalText()
	}
	return p.Prefix.MarshalText()
}

// AccessRule allows or denies peers by address.
type AccessRule struct {
	Allow bool
	From  Prefix // invalid: everybody
}

// UnmarshalText reads "allow 10.0.0.0/8", "deny 10.1.2.3", "allow all".
func (r *AccessRule) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) != 2 || words[0] != "allow" && words[0] != "deny" {
		return errors.New(`expected a rule such as "allow 10.0.0.0/8" or "deny all"`)
	}
	rule := AccessRule{Allow: words[0] == "allow"}
	if words[1] != "all" {
		if err := rule.From.UnmarshalText([]byte(words[1])); err != nil {
			return err
		}
	}
	*r = rule
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (r AccessRule) MarshalText() ([]byte, error) {
	out := []byte("deny ")
	if r.Allow {
		out = []byte("allow ")
	}
	if !r.From.IsValid() {
		return append(out, "all"...), nil
	}
	from, err := r.From.MarshalText()
	return append(out, from...), err
}

// Allowed applies the rules in order; the first that fits decides, and a peer
// that none fits is allowed.
func Allowed(rules []AccessRule, peer netip.Addr) bool {
	peer = peer.Unmap().WithZone("")
	for _, r := range rules {
		if !r.From.IsValid() || r.From.Contains(peer) {
			return r.Allow
		}
	}
	return true
}
