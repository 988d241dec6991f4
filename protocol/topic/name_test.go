// SPDX-License-Identifier: Apache-2.0

package topic

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidName(t *testing.T) {
	slashes := func(levels int) string { return strings.Repeat("/", levels-1) }
	for _, c := range []struct {
		name, topic string
		lim         Limits
		want        error
	}{
		{"one level", "a", Limits{}, nil},
		{"a space is a character [v3.1.1 4.7.3]", " ", Limits{}, nil},
		{"a lone slash is two empty levels", "/", Limits{}, nil},
		{"empty levels inside", "a//b/", Limits{}, nil},
		{"a system topic", "$SYS/broker/uptime", Limits{}, nil},
		{"non-ASCII", "Accueil/température", Limits{}, nil},
		{"no character [v3.1.1 MQTT-4.7.3-1] [v5 MQTT-4.7.3-1]", "", Limits{}, ErrEmpty},
		{"plus [v3.1.1 MQTT-4.7.1-1] [v5 MQTT-4.7.0-1]", "a/+", Limits{}, ErrWildcard},
		{"hash [v3.1.1 MQTT-4.7.1-1] [v5 MQTT-4.7.0-1]", "a/#", Limits{}, ErrWildcard},
		{"plus inside a level", "a+b", Limits{}, ErrWildcard},
		{"U+0000 [v3.1.1 MQTT-4.7.3-2] [v5 MQTT-4.7.3-2]", "a\x00b", Limits{}, ErrNull},
		{"65 535 bytes [v3.1.1 MQTT-4.7.3-3] [v5 MQTT-4.7.3-3]", strings.Repeat("a", 65535), Limits{}, nil},
		{"65 536 bytes [v3.1.1 MQTT-4.7.3-3] [v5 MQTT-4.7.3-3]", strings.Repeat("a", 65536), Limits{}, ErrTooLong},
		{"a length limit cannot exceed the wire's", strings.Repeat("a", 65536), Limits{Length: 1 << 20}, ErrTooLong},
		{"at the length limit", "abcd", Limits{Length: 4}, nil},
		{"above the length limit", "abcde", Limits{Length: 4}, ErrTooLong},
		{"128 levels", slashes(128), Limits{}, nil},
		{"129 levels", slashes(129), Limits{}, ErrLevels},
		{"at the level limit", "a/b", Limits{Levels: 2}, nil},
		{"above the level limit", "a/b/c", Limits{Levels: 2}, ErrLevels},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, ValidName(c.topic, c.lim))
			require.Equal(t, c.want, ValidName([]byte(c.topic), c.lim))
		})
	}
}

func TestValidFilter(t *testing.T) {
	for _, c := range []struct {
		name, filter string
		lim          Limits
		want         error
	}{
		{"a name is a filter", "sport/tennis", Limits{}, nil},
		{"everything", "#", Limits{}, nil},
		{"one level of anything", "+", Limits{}, nil},
		{"plus first", "+/tennis/#", Limits{}, nil},
		{"plus in the middle", "sport/+/player1", Limits{}, nil},
		{"plus last", "sport/+", Limits{}, nil},
		{"empty level before hash", "/#", Limits{}, nil},
		{"empty level before plus", "/+", Limits{}, nil},
		{"no character [v3.1.1 MQTT-4.7.3-1] [v5 MQTT-4.7.3-1]", "", Limits{}, ErrEmpty},
		{"hash after text [v3.1.1 MQTT-4.7.1-2] [v5 MQTT-4.7.1-1]", "sport/tennis#", Limits{}, ErrHash},
		{"hash before a level [v3.1.1 MQTT-4.7.1-2] [v5 MQTT-4.7.1-1]", "sport/tennis/#/ranking", Limits{}, ErrHash},
		{"hash before text", "#a", Limits{}, ErrHash},
		{"hash before a slash", "#/", Limits{}, ErrHash},
		{"two hashes", "##", Limits{}, ErrHash},
		{"plus after text [v3.1.1 MQTT-4.7.1-3] [v5 MQTT-4.7.1-2]", "sport+", Limits{}, ErrPlus},
		{"plus before text [v3.1.1 MQTT-4.7.1-3] [v5 MQTT-4.7.1-2]", "a/+b/c", Limits{}, ErrPlus},
		{"two pluses", "a/++", Limits{}, ErrPlus},
		{"plus and hash in one level", "+#", Limits{}, ErrPlus},
		{"U+0000 [v3.1.1 MQTT-4.7.3-2] [v5 MQTT-4.7.3-2]", "a/\x00", Limits{}, ErrNull},
		{"65 535 bytes", strings.Repeat("a", 65535), Limits{}, nil},
		{"65 536 bytes", strings.Repeat("a", 65536), Limits{}, ErrTooLong},
		{"the hash is a level", "a/b/#", Limits{Levels: 3}, nil},
		{"above the level limit", "a/b/#", Limits{Levels: 2}, ErrLevels},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, ValidFilter(c.filter, c.lim))
			require.Equal(t, c.want, ValidFilter([]byte(c.filter), c.lim))
		})
	}
}

func TestParseShare(t *testing.T) {
	for _, c := range []struct {
		name, filter string
		want         Share
		shared       bool
		err          error
	}{
		{"a plain filter is not shared", "a/b", Share{}, false, nil},
		{"the prefix ends with a slash", "$share", Share{}, false, nil},
		{"a longer first level is another", "$shared/g/t", Share{}, false, nil},
		{"the prefix is case sensitive", "$Share/g/t", Share{}, false, nil},
		{"group and filter", "$share/g/a/+", Share{Group: "g", Filter: "a/+"}, true, nil},
		{"a filter that begins with a slash", "$share/g//a", Share{Group: "g", Filter: "/a"}, true, nil},
		{"a share inside a share is a plain filter", "$share/g/$share/h/t", Share{Group: "g", Filter: "$share/h/t"}, true, nil},
		{"emqttd's queue", "$queue/a/#", Share{Group: "$queue", Filter: "a/#", Queue: true}, true, nil},
		{"empty group [v5 MQTT-4.8.2-1]", "$share//t", Share{}, true, ErrShare},
		{"nothing after the prefix [v5 MQTT-4.8.2-1]", "$share/", Share{}, true, ErrShare},
		{"no slash after the group [v5 MQTT-4.8.2-2]", "$share/g", Share{}, true, ErrShare},
		{"no filter after the slash [v5 MQTT-4.8.2-2]", "$share/g/", Share{}, true, ErrShare},
		{"plus in the group [v5 MQTT-4.8.2-2]", "$share/g+/t", Share{}, true, ErrShare},
		{"hash in the group [v5 MQTT-4.8.2-2]", "$share/#/t", Share{}, true, ErrShare},
		{"a queue of nothing", "$queue/", Share{}, true, ErrShare},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, shared, err := ParseShare(c.filter)
			require.Equal(t, c.err, err)
			require.Equal(t, c.shared, shared)
			require.Equal(t, c.want, got)
			if shared && err == nil {
				require.Equal(t, c.filter, got.String())
			}
		})
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		filter, name string
		want         bool
	}{
		// [v3.1.1 4.7.1.2, v5 4.7.1.2]
		{"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
		{"sport/tennis/player1/#", "sport/tennis/player10", false},
		{"sport/#", "sport", true},
		{"sport/#", "sport/", true},
		{"#", "a/b/c", true},
		// [v3.1.1 4.7.1.3, v5 4.7.1.3]
		{"sport/tennis/+", "sport/tennis/player1", true},
		{"sport/tennis/+", "sport/tennis/player1/ranking", false},
		{"sport/+", "sport", false},
		{"sport/+", "sport/", true},
		{"+/+", "/finance", true},
		{"/+", "/finance", true},
		{"+", "/finance", false},
		{"+/#", "a", true},
		{"+/+/#", "a", false},
		{"/#", "/", true},
		{"/#", "a", false},
		// [v3.1.1 MQTT-4.7.2-1] [v5 MQTT-4.7.2-1]
		{"#", "$SYS/broker", false},
		{"+/broker", "$SYS/broker", false},
		{"+", "$SYS", false},
		{"$SYS/#", "$SYS", true},
		{"$SYS/#", "$SYS/broker", true},
		{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
		{"a/+", "a/$SYS", true},
		// [v3.1.1 MQTT-4.7.3-4] [v5 MQTT-4.7.3-4]
		{"ACCOUNTS", "Accounts", false},
		{"a", "a/", false},
		{"a/", "a", false},
		{"/a", "a", false},
		{"a//b", "a/b", false},
		{"a/b", "a/b/c", false},
		{"", "", false},
	} {
		require.Equal(t, c.want, Match(c.filter, c.name), "%q on %q", c.filter, c.name)
		require.Equal(t, c.want, Match([]byte(c.filter), []byte(c.name)), "%q on %q", c.filter, c.name)
	}
}

func TestNothingIsAllocatedForATopicInAReadBuffer(t *testing.T) {
	name, filter := []byte("site/1/dev/2/sensor/3"), []byte("site/+/dev/#")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if ValidName(name, Limits{}) != nil || ValidFilter(filter, Limits{}) != nil ||
			!Match(filter, name) || !HasWildcard(filter) || HasWildcard(name) {
			panic("a valid topic was refused")
		}
	}))
}
