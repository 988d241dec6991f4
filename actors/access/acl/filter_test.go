// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/topic"
)

// words of which filters are made, and more words for names, so that a name
// exists that meets '+' and no plain level.
var filterWords = []string{"a", "b", "", "$x", "+", "%c"}
var nameWords = []string{"a", "b", "", "$x", "other", "me"}

// topicsOf are all topics of one to depth levels from words.
func topicsOf(words []string, depth int) []string {
	var all []string
	last := []string{}
	for d := range depth {
		var next []string
		if d == 0 {
			next = append(next, words...)
		}
		for _, t := range last {
			for _, w := range words {
				next = append(next, t+"/"+w)
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// topic.Match is what a filter means in this broker; a rule must mean the same.
func TestPatternAgreesWithEveryNameThereIs(t *testing.T) {
	var filters []string
	for _, f := range topicsOf(filterWords, 2) {
		if f == "" {
			continue
		}
		filters = append(filters, f, f+"/#")
	}
	filters = append(filters, "#", "a/+/b", "a/+/b/#", "+/+/+/#")
	all := topicsOf(nameWords, 4)
	n := names{s: &Subject{ClientID: "me"}}
	plain := func(f string) string { return strings.ReplaceAll(f, "%c", "me") }

	matched := make(map[string][]bool, len(filters))
	for _, f := range filters {
		p, err := parsePattern(f, true, false)
		require.NoError(t, err, f)
		row := make([]bool, len(all))
		for i, name := range all {
			row[i] = topic.Match(plain(f), name)
			if name != "" && row[i] != p.matches(name, n) {
				require.Fail(t, "disagree", "%s matches %s: want %t", f, name, row[i])
			}
		}
		matched[f] = row
	}
	for _, f := range filters {
		p, _ := parsePattern(f, true, false)
		for _, g := range filters {
			covers, overlaps := true, false
			for i := range all {
				covers = covers && (matched[f][i] || !matched[g][i])
				overlaps = overlaps || matched[f][i] && matched[g][i]
			}
			require.Equal(t, covers, p.covers(plain(g), n), "%s covers %s", f, g)
			require.Equal(t, overlaps, p.overlaps(plain(g), n), "%s overlaps %s", f, g)
		}
	}
}

func TestVariableIsNeverSubstitutedIntoAFilter(t *testing.T) {
	cases := []struct {
		name             string
		filter, clientID string
		published        string
		allow, deny      bool // what matches says in a rule that allows, that denies
	}{
		{"plain client id", "dev/%c/x", "c1", "dev/c1/x", true, true},
		{"another client", "dev/%c/x", "c1", "dev/c2/x", false, false},
		{"client called plus", "dev/%c/x", "+", "dev/c2/x", false, true},
		{"client called hash", "dev/%c", "#", "dev/c2", false, true},
		{"client with a slash", "dev/%c/x", "c1/x", "dev/c1/x", false, true},
		{"client with a slash that spells the levels", "dev/%c/x", "a/b", "dev/a/b/x", false, false},
		{"no client id", "dev/%c/x", "", "dev//x", false, false},
		{"inside a level", "dev-%c-%u", "c1", "dev-c1-u1", true, true},
		{"inside a level, moved border", "%c%u", "c1", "c1u1", true, true},
		{"inside a level, text after it", "%c-x", "c1", "c1-xy", false, false},
		{"variable at the first level and $SYS", "%c/#", "$SYS", "$SYS/broker", false, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := parsePattern(c.filter, true, false)
			require.NoError(t, err)
			s := &Subject{ClientID: c.clientID, Username: "u1"}
			require.Equal(t, c.allow, p.matches(c.published, names{s, false}))
			require.Equal(t, c.deny, p.matches(c.published, names{s, true}))
		})
	}
}

func TestVariableDoesNotCoverTheWildcardOfARequest(t *testing.T) {
	p, err := parsePattern("dev/%c/#", true, false)
	require.NoError(t, err)
	plus := names{&Subject{ClientID: "+"}, false}
	require.False(t, p.covers("dev/+/#", plus), "a client called + must not read every device")
	require.False(t, p.overlaps("dev/+/#", plus))
	require.True(t, p.covers("dev/c1/+", names{&Subject{ClientID: "c1"}, false}))
	require.False(t, p.covers("dev/+/+", names{&Subject{ClientID: "c1"}, false}))
}

func TestPatternWithoutUserNameIsSilent(t *testing.T) {
	p, err := parsePattern("users/%u", true, false)
	require.NoError(t, err)
	for _, wide := range []bool{false, true} {
		n := names{&Subject{ClientID: "c"}, wide}
		require.False(t, p.matches("users/%u", n))
		require.False(t, p.matches("users/", n))
		require.False(t, p.overlaps("users/+", n))
	}
}

func TestParsePatternRefuses(t *testing.T) {
	deep := strings.Repeat("a/", topic.DefaultLevels-1) + "a"
	long := strings.Repeat("a", topic.MaxLength)
	for _, good := range []string{"a", "/", "+", "#", "a/+/#", "$SYS/#", deep, long} {
		_, err := parsePattern(good, true, false)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{"", "a+", "a/#/b", "#/a", "a#", "a/b+/c", "a\x00", "a\xff", deep + "/a", long + "a"} {
		_, err := parsePattern(bad, true, false)
		require.Error(t, err, bad)
	}
}
