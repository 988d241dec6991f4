// SPDX-License-Identifier: Apache-2.0

package acl

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func mustRules(t testing.TB, src string) *Rules {
	t.Helper()
	r, err := ParseRules("r", src)
	require.NoError(t, err)
	return r
}

func TestPolicyDecidesWhereNoRuleDoes(t *testing.T) {
	some := mustRules(t, `{allow, {user, "u"}, pubsub, ["a/b"]}. {allow, {user, "s"}, publish, ["$SYS/x"]}.`)
	all := mustRules(t, `{allow, all}.`)
	cases := []struct {
		name   string
		policy Policy
		s      Subject
		op     Operation
		want   Decision
	}{
		{"no source, default", Policy{}, Subject{}, Operation{Topic: "a"}, Decision{Deny, false, noRule}},
		{"no source, nomatch allow", Policy{AllowUnmatched: true}, Subject{}, Operation{Topic: "a"}, Decision{Allow, false, noRule}},
		{"nomatch allow is not for $SYS", Policy{AllowUnmatched: true}, Subject{}, Operation{Topic: "$SYS/x"}, Decision{Deny, false, sysRule}},
		{"nor is allow all", Policy{Sources: []Authorizer{all}}, Subject{}, Operation{Topic: "$SYS"}, Decision{Deny, false, sysRule}},
		{"nor a superuser", Policy{}, Subject{Superuser: true}, Operation{Topic: "$SYS/x"}, Decision{Deny, false, sysRule}},
		{"a rule that names $SYS is", Policy{Sources: []Authorizer{some}}, Subject{Username: "s"}, Operation{Topic: "$SYS/x"}, Decision{Allow, false, "r:1"}},
		{"a superuser needs no rule", Policy{}, Subject{Superuser: true}, Operation{Topic: "a"}, Decision{Allow, false, superRule}},
		{"reading $SYS needs no special rule", Policy{Sources: []Authorizer{all}}, Subject{}, Operation{Action: Subscribe, Topic: "$SYS/#"}, Decision{Allow, false, "r:1"}},
		{"part of a filter, nomatch deny", Policy{Sources: []Authorizer{some}}, Subject{Username: "u"}, Operation{Action: Subscribe, Topic: "a/+"}, Decision{Deny, true, partialRule}},
		{"part of a filter, nomatch allow", Policy{Sources: []Authorizer{some}, AllowUnmatched: true}, Subject{Username: "u"}, Operation{Action: Subscribe, Topic: "a/+"}, Decision{Allow, false, noRule}},
		{"the second source decides", Policy{Sources: []Authorizer{some, all}}, Subject{Username: "u"}, Operation{Action: Subscribe, Topic: "a/+"}, Decision{Allow, false, "r:1"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, c.policy.Check(&c.s, c.op))
		})
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	p, s, ops := twentyRules(t)
	for _, op := range ops {
		require.Zero(t, testing.AllocsPerRun(100, func() { p.Check(s, op) }), op.Topic)
	}
}

// twentyRules is a policy whose last rule but one decides.
func twentyRules(t testing.TB) (*Policy, *Subject, []Operation) {
	var b strings.Builder
	for i := range 6 {
		fmt.Fprintf(&b, "{allow, {user, \"u%d\"}, pubsub, [\"site/%d/#\", \"cmd/+/%d\"]}.\n", i, i, i)
		fmt.Fprintf(&b, "{deny, all, pubsub, [\"secret/%d/#\"]}.\n", i)
		fmt.Fprintf(&b, "{allow, {ipaddr, \"10.%d.0.0/16\"}, pubsub, [\"net/+/x\"]}.\n", i)
	}
	b.WriteString(`{allow, all, pubsub, ["clients/%c/#", "site/+/temperature"]}.` + "\n{deny, all}.\n")
	s := &Subject{ClientID: "sensor-17", Username: "someone", Addr: netip.MustParseAddr("192.0.2.7")}
	return &Policy{Sources: []Authorizer{mustRules(t, b.String())}}, s, []Operation{
		{Action: Publish, Topic: "site/42/temperature"},
		{Action: Publish, Topic: "clients/sensor-17/state"},
		{Action: Subscribe, Topic: "clients/sensor-17/#"},
		{Action: Publish, Topic: "nowhere/at/all"},
	}
}

func BenchmarkCheckTwentyRules(b *testing.B) {
	p, s, ops := twentyRules(b)
	for _, op := range ops {
		b.Run(op.Action.String()+" "+strings.ReplaceAll(op.Topic, "/", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Check(s, op)
			}
		})
	}
}
