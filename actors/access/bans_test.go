// SPDX-License-Identifier: Apache-2.0

package access

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var banTime = time.Unix(10_000, 0).UTC()

func TestBansKeepOut(t *testing.T) {
	b := NewBans()
	for _, ban := range []Ban{
		{Kind: BanClient, Value: "mallory"},
		{Kind: BanUser, Value: "eve"},
		{Kind: BanAddress, Value: "192.0.2.1"},
		{Kind: BanAddress, Value: "198.51.100.77/24"},
		{Kind: BanAddress, Value: "2001:db8::/32"},
	} {
		require.NoError(t, b.Add(banTime, ban))
	}
	cases := []struct {
		name, client, user, addr string
		want                     string // value of the ban
	}{
		{"client", "mallory", "", "", "mallory"},
		{"user", "c", "eve", "203.0.113.1", "eve"},
		{"a client called like a banned user", "eve", "mallory", "203.0.113.1", ""},
		{"address", "c", "u", "192.0.2.1", "192.0.2.1/32"},
		{"address over IPv6", "", "", "::ffff:192.0.2.1", "192.0.2.1/32"},
		{"next address", "", "", "192.0.2.2", ""},
		{"network", "", "", "198.51.100.200", "198.51.100.0/24"},
		{"IPv6 network with a zone", "", "", "2001:db8::1%eth0", "2001:db8::/32"},
		{"other IPv6", "", "", "2001:db9::1", ""},
		{"no names, no address", "", "", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var addr netip.Addr
			if c.addr != "" {
				addr = netip.MustParseAddr(c.addr)
			}
			ban, banned := b.Check(banTime, c.client, c.user, addr)
			require.Equal(t, c.want != "", banned)
			require.Equal(t, c.want, ban.Value)
		})
	}
}

func TestABanEnds(t *testing.T) {
	b := NewBans()
	until := banTime.Add(time.Hour)
	require.NoError(t, b.Add(banTime, Ban{Kind: BanAddress, Value: "10.0.0.0/8", Until: until, At: banTime, By: "admin", Reason: "floods"}))
	require.NoError(t, b.Add(banTime, Ban{Kind: BanClient, Value: "c"}))
	addr := netip.MustParseAddr("10.1.2.3")
	_, banned := b.Check(until.Add(-1), "", "", addr)
	require.True(t, banned)
	_, banned = b.Check(until, "", "", addr)
	require.False(t, banned, "until is the first moment without the ban")
	require.Len(t, b.List(until.Add(-1)), 2)
	require.Len(t, b.List(until), 1)
	require.Zero(t, b.Expire(until.Add(-1)))
	require.Equal(t, 1, b.Expire(until))
	require.Zero(t, b.Expire(until))
	require.Equal(t, [2][129]int{}, b.width)
	_, banned = b.Check(until.Add(time.Hour), "c", "", addr)
	require.True(t, banned, "a ban without an end stays")
}

func TestBansAreReplacedAndDeleted(t *testing.T) {
	b := NewBans()
	require.NoError(t, b.Add(banTime, Ban{Kind: BanAddress, Value: "10.9.9.9/8", Reason: "one"}))
	require.NoError(t, b.Add(banTime, Ban{Kind: BanAddress, Value: "10.0.0.0/8", Reason: "two"}))
	require.Equal(t, []Ban{{Kind: BanAddress, Value: "10.0.0.0/8", Reason: "two"}}, b.List(banTime))
	require.False(t, b.Delete(BanAddress, "10.0.0.0/9"))
	require.False(t, b.Delete(BanUser, "10.0.0.0/8"))
	require.False(t, b.Delete(BanAddress, "nonsense"))
	require.True(t, b.Delete(BanAddress, "10.1.1.1/8"), "in whatever form it is written")
	_, banned := b.Check(banTime, "", "", netip.MustParseAddr("10.0.0.1"))
	require.False(t, banned)
	require.False(t, b.Delete(BanAddress, "10.0.0.0/8"))
	require.Equal(t, [2][129]int{}, b.width)
}

func TestBansAreRefused(t *testing.T) {
	b := NewBans()
	for name, ban := range map[string]Ban{
		"no value":     {Kind: BanUser},
		"no kind":      {Value: "x"},
		"no address":   {Kind: BanAddress, Value: "localhost"},
		"over already": {Kind: BanUser, Value: "x", Until: banTime},
		"long value":   {Kind: BanUser, Value: strings.Repeat("x", maxBanText+1)},
		"long reason":  {Kind: BanUser, Value: "x", Reason: strings.Repeat("x", maxBanText+1)},
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, b.Add(banTime, ban))
			require.Empty(t, b.List(banTime))
		})
	}
}

func TestBansAreBounded(t *testing.T) {
	b := NewBans()
	for i := range maxBans {
		until := time.Time{}
		if i == 7 {
			until = banTime.Add(time.Minute)
		}
		require.NoError(t, b.Add(banTime, Ban{Kind: BanClient, Value: fmt.Sprint(i), Until: until}))
	}
	one := Ban{Kind: BanUser, Value: "one more"}
	require.ErrorIs(t, b.Add(banTime, one), ErrBans)
	require.NoError(t, b.Add(banTime, Ban{Kind: BanClient, Value: "3", Reason: "again"}), "to replace one needs no room")
	require.NoError(t, b.Add(banTime.Add(time.Minute), one), "an ended ban makes room")
	require.ErrorIs(t, b.Add(banTime.Add(time.Minute), Ban{Kind: BanUser, Value: "and one"}), ErrBans)
}

func TestBansSurviveAStore(t *testing.T) {
	b := NewBans()
	require.NoError(t, b.Add(banTime, Ban{Kind: BanUser, Value: "eve", Until: banTime.Add(time.Hour), At: banTime, By: "admin", Reason: "spam"}))
	require.NoError(t, b.Add(banTime, Ban{Kind: BanAddress, Value: "fd00::/8"}))
	kept, err := json.Marshal(b.List(banTime))
	require.NoError(t, err)
	var bans []Ban
	require.NoError(t, json.Unmarshal(kept, &bans))
	again := NewBans()
	for _, ban := range bans {
		require.NoError(t, again.Add(banTime, ban))
	}
	require.Equal(t, b.List(banTime), again.List(banTime))
}

func BenchmarkBansCheck(b *testing.B) {
	bans := NewBans()
	for i := range 10_000 {
		if err := bans.Add(banTime, Ban{Kind: BanClient, Value: fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range []string{"10.0.0.0/8", "192.0.2.0/24", "198.51.100.7"} {
		if err := bans.Add(banTime, Ban{Kind: BanAddress, Value: n}); err != nil {
			b.Fatal(err)
		}
	}
	addr := netip.MustParseAddr("203.0.113.5")
	b.ReportAllocs()
	for b.Loop() {
		if _, banned := bans.Check(banTime, "client", "user", addr); banned {
			b.Fatal("banned")
		}
	}
}
