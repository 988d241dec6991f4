// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Viewer is who looks: the user of a request.
type Viewer struct {
	Name  string
	Admin bool
	// Local says that the request came from this machine itself, and not through
	// a proxy on it.
	Local bool
	// Host is the name by which the viewer reached the dashboard, Here the local
	// address of that connection.
	Host string
	Here netip.Addr
}

// Door is a WebSocket listener of this broker.
type Door struct {
	Name     string         `json:"name"` // ws:default
	TLS      bool           `json:"tls"`
	Path     string         `json:"path"`
	Addr     netip.AddrPort `json:"address"` // bound; unspecified: every address
	Loopback bool           `json:"loopback"`
}

// RefusedError says why the microscope does not connect to a URL.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// target is where a connection goes: the URL as asked for and the addresses to
// dial, which have been checked. Nothing is looked up again after the check.
type target struct {
	url   *url.URL
	own   *Door
	addrs []netip.AddrPort
}

// maxURL bounds a URL, in bytes.
const maxURL = 2 << 10

// aim decides whether v may connect to rawURL. The rules, and why:
//
//   - A listener of this broker may be looked at by everybody who may use the
//     page: the broker asks for credentials there as from anybody. The address
//     dialled is the listener's own, whatever the name resolves to. A listener on
//     loopback only, which may ask for none, is for viewers on this machine and
//     administrators: others would borrow the machine's trust.
//   - Other hosts are for administrators, and only where the configuration lets
//     them: the request goes out from inside the operator's network.
//   - Never link-local addresses, where clouds keep their credentials, nor
//     multicast. Loopback (another service of this machine) only for an
//     administrator who is on this machine and could connect anyway.
func (m *Microscope) aim(ctx context.Context, rawURL string, v *Viewer) (*target, error) {
	u, err := url.Parse(rawURL)
	if err != nil || len(rawURL) > maxURL || u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" {
		return nil, refuse("A URL such as ws://host:8083/mqtt or wss://host:8084/mqtt is needed.")
	}
	if u.User != nil {
		return nil, refuse("A user name in the URL is not sent; put it into CONNECT.")
	}
	u.Fragment, u.RawFragment = "", ""
	port, err := portOf(u)
	if err != nil {
		return nil, err
	}
	if d := m.door(u, port, v); d != nil {
		return ownTarget(u, d, port, v)
	}
	if !v.Admin {
		return nil, refuse("Viewers look at this broker's own listeners; other hosts are for administrators.")
	}
	if !m.limits.OtherHosts {
		return nil, refuse("Other hosts are turned off here (dashboard.microscope.other_hosts).")
	}
	return m.resolve(ctx, u, port, v)
}

func portOf(u *url.URL) (uint16, error) {
	if u.Port() == "" {
		return map[string]uint16{"ws": 80, "wss": 443}[u.Scheme], nil
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || n == 0 {
		return 0, refuse("The port has to be between 1 and 65535.")
	}
	return uint16(n), nil
}

// door is the listener of this broker that u means, if any: its port, under a
// name of this machine.
func (m *Microscope) door(u *url.URL, port uint16, v *Viewer) *Door {
	name := strings.ToLower(u.Hostname())
	ip, _ := netip.ParseAddr(name)
	ip = ip.Unmap()
	doors := m.doors()
	for i := range doors {
		d := &doors[i]
		here := d.Addr.Addr().Unmap()
		mine := name == "localhost" || ip.IsLoopback() || ip == here || name == strings.ToLower(v.Host) || ip.IsValid() && ip == v.Here.Unmap()
		if d.Addr.Port() == port && mine {
			return d
		}
	}
	return nil
}

func ownTarget(u *url.URL, d *Door, port uint16, v *Viewer) (*target, error) {
	if d.Loopback && !v.Admin && !v.Local {
		return nil, refuse("The listener %s is for this machine only, and you come from another.", d.Name)
	}
	addr := d.Addr.Addr()
	if addr.IsUnspecified() {
		// By the address the viewer came to: a client from elsewhere is not to
		// look like one from loopback to the broker's rules.
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if !v.Local && v.Here.IsValid() {
			addr = v.Here
		}
	}
	return &target{url: u, own: d, addrs: []netip.AddrPort{netip.AddrPortFrom(addr, port)}}, nil
}

// resolve looks the host up and keeps the addresses that may be dialled.
func (m *Microscope) resolve(ctx context.Context, u *url.URL, port uint16, v *Viewer) (*target, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, refuse("The name %s is not known.", u.Hostname())
	}
	t := &target{url: u}
	for _, ip := range ips {
		if ip = ip.Unmap(); mayDial(ip, v) {
			t.addrs = append(t.addrs, netip.AddrPortFrom(ip, port))
		}
	}
	if len(t.addrs) == 0 {
		return nil, refuse("%s leads to an address that the microscope does not connect to: loopback, link-local or multicast.", u.Hostname())
	}
	return t, nil
}

func mayDial(ip netip.Addr, v *Viewer) bool {
	switch {
	case ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast():
		return false
	case ip.IsLoopback():
		return v.Local
	}
	return ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
