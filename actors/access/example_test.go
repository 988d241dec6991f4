// SPDX-License-Identifier: Apache-2.0

package access_test

import (
	"fmt"
	"net/netip"
	"time"

	"emqttd/actors/access"
	"emqttd/actors/access/acl"
	"emqttd/actors/access/passwd"
)

// One CONNECT, from the chain to the rules, with the answers to "why".
func Example() {
	users := passwd.NewUsers(passwd.DefaultCost)
	if err := users.Add("alice", []byte("secret"), false); err != nil {
		panic(err)
	}
	cache := passwd.NewCache(time.Minute, 10_000)
	chain, err := access.NewChain(access.Certificate{}, access.BuiltIn("users", users, cache))
	if err != nil {
		panic(err)
	}
	rules, err := acl.ParseRules("acl.config", `
		{allow, all, pubsub, ["clients/%c/#"]}.
		{allow, {user, "alice"}, subscribe, ["news/#"]}.`)
	if err != nil {
		panic(err)
	}
	policy := acl.Policy{Sources: []acl.Authorizer{rules}}

	r := &access.Request{
		At: time.Now(), ClientID: "c1", Peer: netip.MustParseAddrPort("192.0.2.1:4000"),
		Username: "alice", HasUsername: true, Password: []byte("secret"), HasPassword: true,
	}
	v, done := chain.Try(r) // on the event loop
	if !done {
		v = chain.Check(r) // on a pool
	}
	fmt.Println(v.String())

	subject := v.Subject(r)
	for _, op := range []acl.Operation{
		{Action: acl.Publish, Topic: "clients/c1/state"},
		{Action: acl.Publish, Topic: "clients/c2/state"},
		{Action: acl.Subscribe, Topic: "news/#"},
		{Action: acl.Subscribe, Topic: "clients/+/state"},
	} {
		d := policy.Check(&subject, op)
		fmt.Println(op.Action, op.Topic, d.Allowed(), d.Rule)
	}
	// Output:
	// certificate: ignore, no client certificate with a common name; users: ok, built-in user: right password; ok, built-in user: right password
	// publish clients/c1/state true acl.config:2
	// publish clients/c2/state false no rule speaks of it
	// subscribe news/# true acl.config:3
	// subscribe clients/+/state false no rule covers every topic of the filter
}
