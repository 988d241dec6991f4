// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/cast"
)

func rule(t *testing.T, text string) (r Rule) {
	require.NoError(t, r.UnmarshalText([]byte(text)))
	return r
}

func TestRulesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Rule{
		"memory topic telemetry/#":                 {Level: cast.Memory, Topic: "telemetry/#"},
		"synced client s-*":                        {Client: "s-*"},
		" memory  user u\ttopic +/x  client a*b* ": {Level: cast.Memory, Client: "a*b*", User: "u", Topic: "+/x"},
	} {
		r := rule(t, text)
		require.Equal(t, want, r)
		again, err := r.MarshalText()
		require.NoError(t, err)
		require.Equal(t, want, rule(t, string(again)))
	}
	for _, text := range []string{"", "memory", "memory all", "memory topic", "fast topic a", "memory topic a topic b", "memory topic a/#/b",
		"memory sensor a", "topic a memory", "memory client"} {
		require.Error(t, new(Rule).UnmarshalText([]byte(text)), "%q", text)
	}
}

func TestTheFirstRuleThatFitsDecides(t *testing.T) {
	l := Levels{Default: cast.Memory, Rules: []Rule{
		rule(t, "synced client exact"), rule(t, "synced user u topic a/#"), rule(t, "memory client e*"), rule(t, "synced topic a/#"),
	}}
	for _, c := range []struct {
		client, user, topic string
		want                cast.Durability
	}{
		{"exact", "", "", cast.Synced},
		{"exact", "", "z", cast.Synced},
		{"exac", "", "a/b", cast.Memory},
		{"exac", "u", "a/b", cast.Synced},
		{"exac", "u", "", cast.Memory},
		{"c", "", "a", cast.Synced},
		{"c", "", "b", cast.Memory},
		{"c", "", "", cast.Memory},
	} {
		if c.topic == "" {
			require.Equal(t, c.want, l.Of(c.client, c.user), c)
		} else {
			require.Equal(t, c.want, l.OfTopic(c.client, c.user, c.topic), c)
		}
	}
	require.Equal(t, "synced", l.Name(cast.Synced))
	l.Volatile = true
	require.Equal(t, "memory", l.Name(cast.Synced))
}

func TestAReleaseIsAsDurableAsWhatItMayRelease(t *testing.T) {
	l := Levels{Default: cast.Memory, Rules: []Rule{
		rule(t, "memory topic fast/#"), rule(t, "synced user u topic a/#"), rule(t, "memory client e*"), rule(t, "synced topic bills/#"),
	}}
	require.Equal(t, cast.Memory, l.OfRelease("e", ""), "the rule about all its topics comes before the one about bills")
	require.Equal(t, cast.Synced, l.OfRelease("e", "u"), "a/b is synced")
	require.Equal(t, cast.Synced, l.OfRelease("c", ""), "bills/1 is synced")
	l.Rules = l.Rules[:1]
	require.Equal(t, cast.Memory, l.OfRelease("c", ""))
	l.Default = cast.Synced
	require.Equal(t, cast.Synced, l.OfRelease("c", ""))
}

func TestAStarStandsForAnyBytes(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a", "", false},
		{"*", "", true}, {"*", "a/b", true}, {"a*", "a", true}, {"a*", "ba", false},
		{"*a", "bca", true}, {"*a", "bcab", false}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "acb", false},
		{"**", "x", true}, {"a**b", "ab", true}, {"a*a", "a", false}, {"*ab", "aab", true},
		{"*" + strings.Repeat("a", 50) + "*b", strings.Repeat("a", 10_000), false},
	} {
		require.Equal(t, c.want, like(c.pattern, c.text), "%q %q", c.pattern, c.text)
	}
}
