// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/netip"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/access/acl"
	"emqttd/actors/access/passwd"
	"emqttd/protocol/packet"
)

func TestABrokenFileKeepsTheOldContents(t *testing.T) {
	path := write(t, `{allow, all, publish, ["a"]}.`)
	f, err := Open(path, acl.ParseRules)
	require.NoError(t, err)
	p := &acl.Policy{Sources: []acl.Authorizer{RuleFile[*acl.Rules]{f}}}
	may := func(topic string) bool {
		return p.Check(&acl.Subject{}, acl.Operation{Topic: topic}).Allowed()
	}
	require.True(t, may("a"))
	require.EqualValues(t, 1, f.Changes())

	require.NoError(t, os.WriteFile(path, []byte("{allow, all, publish, [\"b\"]}.\n{deny all}."), 0o600))
	require.EqualError(t, f.Reload(), path+`:2: "all" is not expected here`)
	require.True(t, may("a"))
	require.EqualValues(t, 1, f.Changes())

	require.NoError(t, os.WriteFile(path, []byte(`{allow, all, publish, ["b"]}.`), 0o600))
	require.NoError(t, f.Reload())
	require.False(t, may("a"))
	require.True(t, may("b"))
	require.EqualValues(t, 2, f.Changes())

	require.NoError(t, os.Remove(path))
	require.ErrorIs(t, f.Reload(), os.ErrNotExist)
	require.True(t, may("b"))
}

func TestAFileIsBoundedAndRegular(t *testing.T) {
	_, err := Open(t.TempDir(), passwd.ParseFile)
	require.ErrorContains(t, err, "not a regular file")

	path := write(t, "#")
	require.NoError(t, os.Truncate(path, maxFile)) // sparse
	_, err = Open(path, func(_, text string) (int, error) { return len(text), nil })
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, maxFile+1))
	_, err = Open(path, func(_, text string) (int, error) { return len(text), nil })
	require.ErrorContains(t, err, "more than "+strconv.Itoa(maxFile)+" bytes")
}

func TestMosquittoRulesFollowTheirFile(t *testing.T) {
	f, err := Open(write(t, "topic read a"), acl.ParseMosquitto)
	require.NoError(t, err)
	d := RuleFile[*acl.Mosquitto]{f}.Check(&acl.Subject{}, acl.Operation{Action: acl.Subscribe, Topic: "a"})
	require.Equal(t, acl.Decision{Effect: acl.Allow, Rule: f.Path() + ":1"}, d)
}

func TestClientIDFileOfEmqttd(t *testing.T) {
	f, err := Open("testdata/clients.config", ParseClientIDs)
	require.NoError(t, err)
	require.Equal(t, 4, f.Get().Len())
	c := mustChain(t, ClientIDFile("ids", f))
	cases := []struct {
		name, id, from string
		outcome        Outcome
		code           packet.ReasonCode
		why            string
	}{
		{"from anywhere", "testclientid0", "203.0.113.9", OK, 0, "testdata/clients.config:1: known client identifier"},
		{"from its address", "testclientid1", "127.0.0.1", OK, 0, "testdata/clients.config:2: known client identifier"},
		{"from its address over IPv6", "testclientid1", "::ffff:127.0.0.1", OK, 0, "testdata/clients.config:2: known client identifier"},
		{"from another address", "testclientid1", "127.0.0.2", Deny, packet.NotAuthorized, "testdata/clients.config:2: the client identifier is allowed from another address"},
		{"from its network", "testclientid2", "192.168.0.77", OK, 0, "testdata/clients.config:4: known client identifier"},
		{"from the next network", "testclientid2", "192.168.1.1", Deny, packet.NotAuthorized, "testdata/clients.config:4: the client identifier is allowed from another address"},
		{"with a zone", "six", "fd00::1%eth0", OK, 0, "testdata/clients.config:5: known client identifier"},
		{"unknown", "testclientid", "127.0.0.1", Deny, packet.NotAuthorized, "no link lets a client in without credentials"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := connect("-", "-")
			r.ClientID, r.Peer = tc.id, netip.AddrPortFrom(netip.MustParseAddr(tc.from), 1)
			v := c.Check(r)
			require.Equal(t, Answer{Outcome: tc.outcome, Code: tc.code, Why: tc.why}, v.Answer)
		})
	}
	r := connect("admin", "made up")
	r.ClientID = "testclientid0"
	v := c.Check(r)
	require.Equal(t, OK, v.Outcome)
	require.Empty(t, v.User, "a client identifier proves no user name")
}

func TestFaultsOfAClientIDFileAreNamedWithTheirLine(t *testing.T) {
	_, err := ParseClientIDs("f", "a\nb nowhere")
	require.EqualError(t, err, `f:2: "nowhere" is not an IP address`)
	_, err = ParseClientIDs("f", "a 10.0.0.1 secret")
	require.EqualError(t, err, "f:1: a line is a client identifier, or one and its address")
	c, err := ParseClientIDs("f", "a 10.0.0.1\na 10.0.0.2")
	require.NoError(t, err)
	r := connect("-", "-")
	r.ClientID, r.Peer = "a", netip.MustParseAddrPort("10.0.0.2:1")
	require.Equal(t, OK, c.check(r).Outcome, "the later line counts")
}

func FuzzParseClientIDs(f *testing.F) {
	f.Add("a\nb 10.0.0.1\nc fd00::/8\r\n", "b")
	f.Add("d 10.0.0.0/33", "d")
	f.Fuzz(func(t *testing.T, src, id string) {
		c, err := ParseClientIDs("f", src)
		if err != nil {
			require.Regexp(t, `^f:\d+: `, err.Error())
			return
		}
		r := connect("-", "-")
		r.ClientID = id
		a := c.check(r)
		_, known := c.ids[id]
		require.Equal(t, known, a.Outcome != Ignore)
	})
}
