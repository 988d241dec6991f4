// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/topic"
)

func readTestdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(b)
}

// decisions runs the questions of a golden file:
// user|client|address|action|topic|effect [partial]|rule.
func decisions(t *testing.T, a Authorizer, file string) {
	actions := map[string]Action{"publish": Publish, "subscribe": Subscribe, "receive": Receive}
	effects := [...]string{NoMatch: "nomatch", Allow: "allow", Deny: "deny"}
	for line := range strings.Lines(readTestdata(t, file)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		t.Run(line, func(t *testing.T) {
			f := strings.Split(line, "|")
			require.Len(t, f, 7)
			s := &Subject{Username: f[0], ClientID: f[1]}
			if f[2] != "-" {
				s.Addr = netip.MustParseAddr(f[2])
			}
			action, ok := actions[f[3]]
			require.True(t, ok)
			d := a.Check(s, Operation{Action: action, Topic: f[4]})
			got := effects[d.Effect]
			if d.Partial {
				got += " partial"
			}
			require.Equal(t, f[5]+" by "+f[6], got+" by "+d.Rule)
		})
	}
}

func TestEmqttdRulesDecide(t *testing.T) {
	rules, err := ParseRules("e", readTestdata(t, "emqttd.acl"))
	require.NoError(t, err)
	require.Equal(t, 9, rules.Len())
	decisions(t, rules, "emqttd.decisions")
}

func TestMosquittoEntriesDecide(t *testing.T) {
	m, err := ParseMosquitto("m", readTestdata(t, "mosquitto.acl"))
	require.NoError(t, err)
	require.Equal(t, 15, m.Len())
	decisions(t, m, "mosquitto.decisions")
}

func TestAnAllowedFilterBringsOnlyAllowedTopics(t *testing.T) {
	rules, err := ParseRules("e", readTestdata(t, "emqttd.acl"))
	require.NoError(t, err)
	entries, err := ParseMosquitto("m", readTestdata(t, "mosquitto.acl"))
	require.NoError(t, err)
	words := []string{"vault", "key", "clients", "c1", "home", "safe", "own", "locked"}
	allNames := topicsOf(words, 3)
	allowed := 0
	for _, filter := range topicsOf(append([]string{"+"}, words...), 3) {
		for _, f := range []string{filter, filter + "/#"} {
			for _, user := range []string{"", "alice", "c1"} {
				s := &Subject{Username: user, ClientID: "c1", Addr: netip.MustParseAddr("192.0.2.1")}
				for _, a := range []Authorizer{rules, entries} {
					// Through a Policy that refuses what no rule speaks of.
					p := &Policy{Sources: []Authorizer{a}}
					if !p.Check(s, Operation{Action: Subscribe, Topic: f}).Allowed() {
						continue
					}
					allowed++
					for _, name := range allNames {
						if topic.Match(f, name) && !p.Check(s, Operation{Action: Receive, Topic: name}).Allowed() {
							require.Fail(t, "leak", "%q may subscribe to %q but not receive %q", user, f, name)
						}
					}
				}
			}
		}
	}
	require.Greater(t, allowed, 500)
}
