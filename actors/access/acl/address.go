// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"fmt"
	"net/netip"
	"strings"
)

// ParseNetwork reads an address or a network as access files write them. Bits
// of the host are dropped: emqttd's own example is "192.168.0.1/24".
func ParseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not an IP address", clip(s))
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is not a network as in 192.168.0.0/24", clip(s))
	}
	return p.Masked(), nil
}

// PlainAddr is the address of a peer as such a network compares it: without a
// zone, and IPv4 also where it came in through an IPv6 socket.
func PlainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
