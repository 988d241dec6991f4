// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressesAreWellFormed(t *testing.T) {
	for _, tc := range []struct {
		text, network, target, host string
		port                        int
		loopback                    bool
	}{
		{"127.0.0.1:1883", "tcp", "127.0.0.1:1883", "127.0.0.1", 1883, true},
		{"127.8.9.10:0", "tcp", "127.8.9.10:0", "127.8.9.10", 0, true},
		{"localhost:65535", "tcp", "localhost:65535", "localhost", 65535, true},
		{"[::1]:1883", "tcp", "[::1]:1883", "::1", 1883, true},
		{"[::ffff:127.0.0.1]:1883", "tcp", "[::ffff:127.0.0.1]:1883", "::ffff:127.0.0.1", 1883, true},
		{"0.0.0.0:1883", "tcp", "0.0.0.0:1883", "0.0.0.0", 1883, false},
		{":1883", "tcp", ":1883", "", 1883, false},
		{"[::]:1883", "tcp", "[::]:1883", "::", 1883, false},
		{"128.0.0.1:1883", "tcp", "128.0.0.1:1883", "128.0.0.1", 1883, false},
		{"localhost.example.org:1883", "tcp", "localhost.example.org:1883", "localhost.example.org", 1883, false},
		{"unix:/run/emqttd.sock", "unix", "/run/emqttd.sock", "", 0, true},
	} {
		var a Address
		require.NoError(t, a.UnmarshalText([]byte(tc.text)), tc.text)
		require.False(t, a.Off())
		require.Equal(t, tc.network, a.Network(), tc.text)
		require.Equal(t, tc.target, a.Target(), tc.text)
		require.Equal(t, tc.host, a.Host(), tc.text)
		require.Equal(t, tc.port, a.Port(), tc.text)
		require.Equal(t, tc.loopback, a.Loopback(), tc.text)
	}
	for _, bad := range []string{
		"1883", "127.0.0.1", "::1:1883", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:mqtt", "127.0.0.1:", "tcp://127.0.0.1:1883",
		"*:1883", "a b:1", "unix:", "unix:" + strings.Repeat("x", unixPathMax+1),
	} {
		a := Address("before")
		require.Error(t, a.UnmarshalText([]byte(bad)), bad)
		require.Equal(t, Address("before"), a)
	}
	var off Address
	require.NoError(t, off.UnmarshalText(nil))
	require.True(t, off.Off())
	require.False(t, off.Loopback())
	var longest Address
	require.NoError(t, longest.UnmarshalText([]byte("unix:"+strings.Repeat("x", unixPathMax))))
}

func TestTheFirstAccessRuleThatFitsDecides(t *testing.T) {
	rules := accessRules(t, "allow 10.1.2.3", "deny 10.0.0.0/8", "deny fd00::/8", "allow all", "deny all")
	for peer, want := range map[string]bool{
		"10.1.2.3": true, "10.1.2.4": false, "::ffff:10.1.2.4": false, "11.0.0.1": true, "fd12::1": false, "fe80::1%eth0": true,
	} {
		require.Equal(t, want, Allowed(rules, netip.MustParseAddr(peer)), peer)
	}
	require.True(t, Allowed(nil, netip.MustParseAddr("10.0.0.1")))
	require.False(t, Allowed(accessRules(t, "allow fe80::/10", "deny all"), netip.Addr{}), "a peer without address is nobody")
	require.True(t, Allowed(accessRules(t, "allow fe80::/10", "deny all"), netip.MustParseAddr("fe80::1%eth0")))
}

func accessRules(t *testing.T, texts ...string) []AccessRule {
	t.Helper()
	rules := make([]AccessRule, len(texts))
	for i, text := range texts {
		require.NoError(t, rules[i].UnmarshalText([]byte(text)))
		back, err := rules[i].MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, string(back))
	}
	return rules
}

func TestAccessRulesThatSayNothingAreRefused(t *testing.T) {
	for _, bad := range []string{"", "allow", "all", "permit all", "allow 10.0.0.0/8 192.168.0.0/16", "allow host.example.org", "deny 10.0.0.0/33", "deny ::ffff:10.0.0.0/104", "deny fe80::1%eth0"} {
		var r AccessRule
		require.Error(t, r.UnmarshalText([]byte(bad)), bad)
	}
}
