// SPDX-License-Identifier: Apache-2.0

package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheKeyThatWasMeantIsSuggested(t *testing.T) {
	keys := names(reflect.TypeFor[MQTT](), "")
	for written, want := range map[string]string{
		"max_packet_szie":                     "max_packet_size", // neighbours swapped
		"max_packetsize":                      "max_packet_size",
		"MaxPacketSize":                       "max_packet_size",
		"max-packet-size":                     "max_packet_size",
		"keepalive_factor":                    "keep_alive_factor",
		"connect_timout":                      "connect_timeout",
		"shared_subscription":                 "shared_subscriptions",
		"out_buffer_hi":                       "out_buffer_high",
		"rates":                               "rate",
		"colour":                              "",
		"x":                                   "",
		"":                                    "",
		"zzzzzzzzzzzzzzzz":                    "",
		strings.Repeat("max_packet_size", 10): "",
	} {
		require.Equal(t, want, suggest(written, keys), written)
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "abd", 1}, {"abc", "xabc", 1},
		{"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abcd", "badc", 2},
	} {
		require.Equal(t, tc.want, distance(tc.a, tc.b), "%s %s", tc.a, tc.b)
		require.Equal(t, tc.want, distance(tc.b, tc.a), "%s %s", tc.b, tc.a)
	}
}
