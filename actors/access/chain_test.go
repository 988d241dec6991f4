// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/access/acl"
	"emqttd/actors/access/passwd"
	"emqttd/protocol/packet"
)

// cheap keeps tests short.
var cheap = passwd.Cost{MemoryKiB: 64, Passes: 1, Lanes: 1}

// write makes a file for one test.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// passwordFile is the link for a file with one user, whose password is "secret".
func passwordFile(t testing.TB, user string, cache *passwd.Cache) Link {
	t.Helper()
	f, err := Open(write(t, user+":"+passwd.NewHash([]byte("secret"), cheap).String()), passwd.ParseFile)
	require.NoError(t, err)
	return PasswordFile("file", f, cache)
}

// builtIn is a table with one superuser, whose password is "secret".
func builtIn(t testing.TB, user string) *passwd.Users {
	t.Helper()
	users := passwd.NewUsers(cheap)
	require.NoError(t, users.Add(user, []byte("secret"), true))
	return users
}

// connect is a CONNECT; user or password "-" means that it brings none.
func connect(user, password string) *Request {
	r := &Request{At: time.Unix(1_000, 0), ClientID: "c1", Peer: netip.MustParseAddrPort("192.0.2.1:1000"), Version: packet.V5}
	if user != "-" {
		r.Username, r.HasUsername = user, true
	}
	if password != "-" {
		r.Password, r.HasPassword = []byte(password), true
	}
	return r
}

func mustChain(t testing.TB, links ...Link) *Chain {
	t.Helper()
	c, err := NewChain(links...)
	require.NoError(t, err)
	return c
}

func TestChainOfTwoTables(t *testing.T) {
	c := mustChain(t, Certificate{}, passwordFile(t, "filed", nil), BuiltIn("users", builtIn(t, "built"), nil), &Anonymous{})
	withCN := func(r *Request) *Request { r.CertCN = "device-7"; return r }
	deny4 := Answer{Outcome: Deny, Code: packet.BadUserNameOrPassword}
	cases := []struct {
		name  string
		r     *Request
		want  Answer // without Why
		steps int
	}{
		{"user of the file", connect("filed", "secret"), Answer{Outcome: OK, User: "filed"}, 2},
		{"user of the second table", connect("built", "secret"), Answer{Outcome: OK, User: "built", Superuser: true}, 3},
		{"wrong password is final", connect("filed", "Secret"), deny4, 2},
		{"wrong password of the second table", connect("built", ""), deny4, 3},
		{"no password", connect("filed", "-"), deny4, 2},
		{"unknown user is not anonymous", connect("nobody", "secret"), deny4, 4},
		{"unknown user without a password", connect("nobody", "-"), deny4, 4},
		{"empty user name is a name", connect("", "secret"), deny4, 4},
		{"password without a user name", connect("-", "secret"), deny4, 4},
		{"nobody", connect("-", "-"), Answer{Outcome: OK}, 4},
		{"certificate", withCN(connect("-", "-")), Answer{Outcome: OK, User: "device-7"}, 1},
		{"certificate and another user name", withCN(connect("built", "x")), Answer{Outcome: OK, User: "device-7"}, 1},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			v := c.Check(tc.r)
			require.NotEmpty(t, v.Why)
			require.Len(t, v.Steps, tc.steps)
			require.NotContains(t, v.String(), "ecret", "no password in the trace")
			tried, done := c.Try(tc.r)
			if done {
				require.Equal(t, v, tried, "what Try says is what Check says")
			}
			v.Why = ""
			require.Equal(t, tc.want, v.Answer)
		})
	}
}

func TestChainWithoutAnAnswerDenies(t *testing.T) {
	empty := mustChain(t)
	v := empty.Check(connect("-", "-"))
	require.Equal(t, packet.NotAuthorized, v.Code)
	require.EqualValues(t, 5, v.Code.ReturnCode())
	v = empty.Check(connect("u", "p"))
	require.Equal(t, packet.BadUserNameOrPassword, v.Code)
	require.EqualValues(t, 4, v.Code.ReturnCode(), "as emqttd answered")
	_, done := empty.Try(connect("u", "p"))
	require.True(t, done, "there is no user to take the time of")
}

func TestVerdictSaysWhy(t *testing.T) {
	f, err := Open(write(t, "# users\nbob:"+passwd.NewHash([]byte("x"), cheap).String()), passwd.ParseFile)
	require.NoError(t, err)
	c := mustChain(t, Certificate{}, PasswordFile("file", f, nil))
	v := c.Check(connect("bob", "y"))
	require.Equal(t, "certificate: ignore, no client certificate with a common name; file: deny, "+
		f.Path()+":2: wrong password; deny, "+f.Path()+":2: wrong password", v.String())
}

func TestRulesSeeOnlyTheNameThatWasProven(t *testing.T) {
	c := mustChain(t, &Anonymous{AcceptCredentials: true})
	r := connect("dashboard", "made up")
	v := c.Check(r)
	require.Equal(t, OK, v.Outcome)
	require.Equal(t, acl.Subject{ClientID: "c1", Addr: netip.MustParseAddr("192.0.2.1")}, v.Subject(r))
}

func TestChainRefusesASideDoor(t *testing.T) {
	for name, links := range map[string][]Link{
		"anyone beside passwords": {passwordFile(t, "a", nil), &Anonymous{AcceptCredentials: true}},
		"one name twice":          {Certificate{}, Certificate{}},
		"too many":                make([]Link, maxLinks+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewChain(links...)
			require.Error(t, err)
		})
	}
}

func TestTryAnswersFromTheCache(t *testing.T) {
	users := builtIn(t, "u")
	c := mustChain(t, BuiltIn("users", users, passwd.NewCache(time.Minute, 10)))
	r := connect("u", "secret")
	_, done := c.Try(r)
	require.False(t, done, "the first check needs the hash")
	require.Equal(t, OK, c.Check(r).Outcome)
	v, done := c.Try(r)
	require.True(t, done)
	require.Equal(t, "u", v.User)
	require.True(t, v.Superuser)

	_, done = c.Try(connect("u", "guess"))
	require.False(t, done, "a wrong password is never cached")
	require.NoError(t, users.SetPassword("u", []byte("changed")))
	_, done = c.Try(r)
	require.False(t, done, "a changed password ends the cached check")
	require.Equal(t, Deny, c.Check(r).Outcome)
	require.NoError(t, users.Delete("u"))
	require.Equal(t, Deny, c.Check(connect("u", "changed")).Outcome)
}

// slow is a link of users that do not exist; it counts the time they take.
type slow struct {
	name  string
	count int
	spent []uint64
}

func (s *slow) Name() string                { return s.name }
func (s *slow) Try(*Request) (Answer, bool) { return Answer{Why: "unknown user"}, true }
func (s *slow) Check(*Request) Answer       { return Answer{} }
func (s *slow) users() int                  { return s.count }
func (s *slow) spend(_ *Request, n uint64)  { s.spent = append(s.spent, n) }

func TestUnknownUserTakesTheTimeOfOneKnownUser(t *testing.T) {
	a, none, b := &slow{name: "a", count: 3}, &slow{name: "none"}, &slow{name: "b", count: 1}
	c := mustChain(t, a, none, b)
	for i := range 400 {
		r := connect(string(rune('A'+i)), "guess")
		_, done := c.Try(r)
		require.False(t, done)
		before := len(a.spent) + len(b.spent)
		require.Equal(t, packet.BadUserNameOrPassword, c.Check(r).Code)
		require.Equal(t, before+1, len(a.spent)+len(b.spent), "one hash, however many tables there are")
	}
	for _, n := range a.spent {
		require.Less(t, n, uint64(3))
	}
	require.Empty(t, none.spent)
	require.Greater(t, len(a.spent), len(b.spent), "names are spread as the users are")
	require.NotEmpty(t, b.spent)

	same := connect("nobody", "guess")
	a.spent, b.spent = nil, nil
	for range 5 {
		c.Check(same)
	}
	require.Equal(t, 5, max(len(a.spent), len(b.spent)), "one name always takes the time of the same user")

	_, done := c.Try(connect("nobody", "-"))
	require.True(t, done, "without a password no user takes time")
}

func TestTheDecoyOfARealTableIsSpent(t *testing.T) {
	// The password of the decoy is right, and the unknown user stays out.
	c := mustChain(t, passwordFile(t, "only", passwd.NewCache(time.Minute, 4)))
	r := connect("nobody", "secret")
	for range 2 {
		require.Equal(t, packet.BadUserNameOrPassword, c.Check(r).Code)
		_, done := c.Try(r)
		require.False(t, done)
	}
}
