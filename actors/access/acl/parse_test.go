// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFaultsOfAnEmqttdFileAreNamedWithTheirLine(t *testing.T) {
	cases := []struct{ name, src, want string }{
		{"no full stop", "{allow, all}", "f:1: the file ends inside a rule; is a full stop missing?"},
		{"open bracket", "{allow, all}.\n{allow, [", "f:2: the file ends inside a rule; is a full stop missing?"},
		{"wrong bracket", "{allow, all].", `f:1: "]" is not expected here`},
		{"comma at the end", "{allow, all,}.", `f:1: "}" is not expected here`},
		{"two commas", "{allow,, all}.", `f:1: "," is not expected here`},
		{"no comma", "\n{allow all}.", `f:2: "all" is not expected here`},
		{"stop without a term", ".", `f:1: "." is not expected here`},
		{"variable", "{Allow, all}.", `f:1: character 'A' is not expected here`},
		{"number", "{allow, 1}.", `f:1: character '1' is not expected here`},
		{"open quotes", `{allow, "a`, "f:1: the file ends inside quotes"},
		{"quotes over a line", "{allow, \"a\n\"}.", "f:1: the line ends inside quotes"},
		{"unknown escape", `{allow, {user, "a\x41"}, publish, ["t"]}.`, `f:1: of the escapes only \", \' and \\ are known`},
		{"open binary", `{allow, <<"a">}.`, `f:1: a binary is written <<"text">>`},
		{"neither allow nor deny", "\n\n{permit, all}.", "f:3: " + errRule.Error()},
		{"action", `{allow, all, read, ["a"]}.`, "f:1: " + errRule.Error()},
		{"topics are an atom", `{allow, all, publish, all}.`, "f:1: " + errRule.Error()},
		{"topic is an atom", `{allow, all, publish, [a]}.`, `f:1: a topic is "filter" or {eq, "text"}`},
		{"bad filter", `{allow, all, publish, ["a/#/b"]}.`, `f:1: filter "a/#/b": topic: # is not alone in the last level`},
		{"who", `{allow, {group, "a"}, publish, ["a"]}.`, "f:1: " + errWho.Error()},
		{"user is an atom", `{allow, {user, bob}, publish, ["a"]}.`, "f:1: " + errWho.Error()},
		{"address", `{allow, {ipaddr, "localhost"}, publish, ["a"]}.`, `f:1: "localhost" is not an IP address`},
		{"network", `{allow, {ipaddr, "10.0.0.0/33"}, publish, ["a"]}.`, `f:1: "10.0.0.0/33" is not a network as in 192.168.0.0/24`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseRules("f", c.src)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestFaultsOfAMosquittoFileAreNamedWithTheirLine(t *testing.T) {
	cases := []struct{ name, src, want string }{
		{"unknown line", "\nallow a", `f:2: a line begins with topic, user, pattern or #, not with "allow"`},
		{"comment after blanks", "  # a", `f:1: a line begins with topic, user, pattern or #, not with "#"`},
		{"tab for a space", "topic\tread a", `f:1: a line begins with topic, user, pattern or #, not with "topic\tread"`},
		{"no topic", "topic", "f:1: line without a topic"},
		{"no user", "user  ", "f:1: user line without a name"},
		{"access", "topic readwrit a", `f:1: access is read, write, readwrite or deny, not "readwrit"; a topic with a space needs it`},
		{"filter", "pattern read %c#", `f:1: filter "%c#": topic: # is not alone in the last level`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseMosquitto("f", c.src)
			require.EqualError(t, err, c.want)
		})
	}
}

func TestBoundsOfARuleFile(t *testing.T) {
	nested := func(n int) string {
		return `{allow, ` + strings.Repeat(`{'and', [`, n) + `all` + strings.Repeat(`]}`, n) + `, publish, ["a"]}.`
	}
	conds := func(n int) string {
		return `{allow, {'or', [` + strings.TrimSuffix(strings.Repeat(`all,`, n), ",") + `]}, publish, ["a"]}.`
	}
	for name, pair := range map[string][2]string{
		"brackets":   {nested(7), nested(8)}, // two brackets a level, and the rule's own
		"conditions": {conds(maxConds - 1), conds(maxConds)},
		"rules":      {strings.Repeat("{deny,all}.\n", maxTerms), strings.Repeat("{deny,all}.\n", maxTerms+1)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRules("f", pair[0])
			require.NoError(t, err)
			_, err = ParseRules("f", pair[1])
			require.ErrorContains(t, err, "more than")
		})
	}
	_, err := ParseMosquitto("f", strings.Repeat("topic a\n", maxTerms))
	require.NoError(t, err)
	_, err = ParseMosquitto("f", strings.Repeat("topic a\n", maxTerms+1))
	require.EqualError(t, err, fmt.Sprintf("f:%d: more than %d entries", maxTerms+1, maxTerms))
}

func TestEmptyFilesDecideNothingOrDeny(t *testing.T) {
	rules, err := ParseRules("f", "%% nothing\n")
	require.NoError(t, err)
	require.Equal(t, Decision{}, rules.Check(&Subject{}, Operation{Topic: "a"}))
	m, err := ParseMosquitto("f", "# nothing\r\n\r\n")
	require.NoError(t, err)
	require.Equal(t, Deny, m.Check(&Subject{}, Operation{Topic: "a"}).Effect)
}

func TestConditionsNest(t *testing.T) {
	cases := []struct {
		who  string
		want bool
	}{
		{`{'and', []}`, true},
		{`{'or', []}`, false},
		{`{'and', [{user, "u"}, {client, "c"}]}`, true},
		{`{'and', [{user, "u"}, {client, "x"}]}`, false},
		{`{'or', [{user, "x"}, {client, "c"}]}`, true},
		{`{'or', [{user, "x"}, {'and', [{user, "u"}, {'or', [{client, "x"}, {client, "c"}]}]}]}`, true},
		{`{'and', [{'or', [{user, "x"}, {user, "y"}]}, {client, "c"}]}`, false},
		{`{'and', [{'and', []}, {'or', [{'or', []}, all]}]}`, true},
		{`{client, all}`, true},
	}
	for _, c := range cases {
		t.Run(c.who, func(t *testing.T) {
			rules, err := ParseRules("f", `{allow, `+c.who+`, pubsub, ["t"]}.`)
			require.NoError(t, err)
			d := rules.Check(&Subject{ClientID: "c", Username: "u"}, Operation{Topic: "t"})
			require.Equal(t, c.want, d.Allowed())
		})
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add(readTestdata(f, "emqttd.acl"), "a/b")
	f.Add(`{deny, {'and', [{client, "c"}, {'or', []}]}, pubsub, ["%c-%u/+", {eq, "#"}]}.`, "$share/g/a/+/#")
	fuzzParser(f, func(src string) (Authorizer, error) { return ParseRules("f", src) })
}

func FuzzParseMosquitto(f *testing.F) {
	f.Add(readTestdata(f, "mosquitto.acl"), "a/b")
	f.Add("user a b\ntopic deny x/+\npattern write %c/%u/#", "$queue/x/#")
	fuzzParser(f, func(src string) (Authorizer, error) { return ParseMosquitto("f", src) })
}

// fuzzParser reads src and asks every question about topic: nothing panics, a
// fault is named with file and line, and what may be subscribed may be received.
func fuzzParser(f *testing.F, parse func(string) (Authorizer, error)) {
	f.Fuzz(func(t *testing.T, src, topic string) {
		a, err := parse(src)
		if err != nil {
			require.Regexp(t, `^f:\d+: `, err.Error())
			return
		}
		p := &Policy{Sources: []Authorizer{a}}
		for _, s := range []*Subject{{}, {ClientID: "c", Username: "u"}, {ClientID: "+", Username: "#"}, {ClientID: topic, Username: topic}} {
			granted := p.Check(s, Operation{Action: Subscribe, Topic: topic}).Allowed()
			p.Check(s, Operation{Action: Publish, Topic: topic})
			received := p.Check(s, Operation{Action: Receive, Topic: topic}).Allowed()
			// The text of a filter without a wildcard is a name.
			if granted && inner(topic) == topic && topic != "" && !strings.ContainsAny(topic, "+#") {
				require.True(t, received, "%q may subscribe to %q but not receive it", s.ClientID, topic)
			}
		}
	})
}
