// SPDX-License-Identifier: Apache-2.0

package scram

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	xdg "github.com/xdg-go/scram"
)

// keysOf derives keys at the least cost that is allowed.
func keysOf(t testing.TB, password string) Keys {
	t.Helper()
	k, err := Derive(password, MinIterations)
	require.NoError(t, err)
	return k
}

func tableOf(users map[string]Keys) Lookup {
	return func(user string) (Keys, bool) {
		k, ok := users[user]
		return k, ok
	}
}

// The exchange printed in [RFC 7677 3].
func TestExchangeOfRFC7677(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	require.NoError(t, err)
	keys, err := derive("pencil", salt, 4096)
	require.NoError(t, err)
	s := NewServer(tableOf(map[string]Keys{"user": keys}))
	s.nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }

	challenge, c, err := s.Start([]byte("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
	require.NoError(t, err)
	require.Equal(t, "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", string(challenge))

	final := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	reply, user, err := c.Next([]byte(final))
	require.NoError(t, err)
	require.Equal(t, "user", user)
	require.Equal(t, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", string(reply))

	again, _, err := c.Next([]byte(final))
	require.NoError(t, err)
	require.Equal(t, reply, again, "a step that is taken again comes out the same")
}

// login runs the library's client against s.
func login(t *testing.T, s *Server, user, password, authzID string) (got string, err error) {
	t.Helper()
	client, err := xdg.SHA256.NewClient(user, password, authzID)
	require.NoError(t, err)
	conv := client.NewConversation()
	first, err := conv.Step("")
	require.NoError(t, err)
	challenge, c, err := s.Start([]byte(first))
	if err != nil {
		return "", err
	}
	final, err := conv.Step(string(challenge))
	require.NoError(t, err)
	reply, got, err := c.Next([]byte(final))
	if err != nil {
		return "", err
	}
	_, err = conv.Step(string(reply))
	require.NoError(t, err, "the client accepts the server's proof")
	require.True(t, conv.Valid())
	return got, nil
}

func TestClientsLogIn(t *testing.T) {
	s := NewServer(tableOf(map[string]Keys{
		"alice":   keysOf(t, "secret"),
		"a=b,c":   keysOf(t, "p=,q"),
		"IX":      keysOf(t, "\u2168 and more"), // SASLprep makes IX of one character
		"müller":  keysOf(t, "straße"),
		"spaced ": keysOf(t, " with spaces "),
	}))
	cases := []struct {
		name, user, password, authzID, want string
		err                                 error
	}{
		{"right password", "alice", "secret", "", "alice", nil},
		{"acting as oneself", "alice", "secret", "alice", "alice", nil},
		{"name and password with the characters SCRAM escapes", "a=b,c", "p=,q", "", "a=b,c", nil},
		{"name and password that SASLprep changes", "\u2168", "IX and more", "", "IX", nil},
		{"text beyond ASCII", "müller", "straße", "", "müller", nil},
		{"spaces", "spaced ", " with spaces ", "", "spaced ", nil},
		{"wrong password", "alice", "Secret", "", "", ErrRefused},
		{"unknown user", "bob", "secret", "", "", ErrRefused},
		{"acting as another", "alice", "secret", "bob", "", ErrAuthzID},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := login(t, s, c.user, c.password, c.authzID)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestUnknownUserLooksLikeAKnownOne(t *testing.T) {
	s := NewServer(tableOf(map[string]Keys{"alice": keysOf(t, "secret")}))
	saltOf := func(user string) string {
		challenge, _, err := s.Start([]byte("n,,n=" + user + ",r=abc"))
		require.NoError(t, err)
		return strings.Split(string(challenge), ",")[1]
	}
	require.Equal(t, saltOf("bob"), saltOf("bob"), "the salt of an unknown user does not change from try to try")
	require.NotEqual(t, saltOf("bob"), saltOf("eve"))
	require.Len(t, saltOf("bob"), len(saltOf("alice")))
}

func TestFirstMessageIsRefused(t *testing.T) {
	s := NewServer(tableOf(map[string]Keys{"alice": keysOf(t, "secret")}))
	cases := []struct{ name, first string }{
		{"empty", ""},
		{"no nonce", "n,,n=alice"},
		{"empty nonce", "n,,n=alice,r="},
		{"space in the nonce", "n,,n=alice,r=a b"},
		{"mandatory extension", "n,,m=x,n=alice,r=abc"},
		{"channel binding", "p=tls-exporter,,n=alice,r=abc"},
		{"bad escape in the name", "n,,n=al=ice,r=abc"},
		{"no gs2 header", "n=alice,r=abc"},
		{"too long", "n,,n=alice,r=" + strings.Repeat("a", maxMessage)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, conv, err := s.Start([]byte(c.first))
			require.ErrorIs(t, err, ErrMalformed)
			require.Nil(t, conv)
		})
	}
	_, _, err := s.Start([]byte("y,,n=alice,r=abc"))
	require.NoError(t, err, "a client that could bind the channel may come without")
}

func TestFinalMessageIsRefused(t *testing.T) {
	s := NewServer(tableOf(map[string]Keys{"alice": keysOf(t, "secret")}))
	s.nonce = func() string { return "XYZ" }
	for name, final := range map[string]string{
		"empty":                "",
		"no proof":             "c=biws,r=abcXYZ",
		"empty proof":          "c=biws,r=abcXYZ,p=",
		"wrong proof":          "c=biws,r=abcXYZ,p=" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"another nonce":        "c=biws,r=abcXYY,p=AAAA",
		"another gs2 header":   "c=eSws,r=abcXYZ,p=AAAA",
		"proof is not base64":  "c=biws,r=abcXYZ,p=*",
		"longer than the rest": strings.Repeat("a", maxMessage+1),
	} {
		t.Run(name, func(t *testing.T) {
			_, c, err := s.Start([]byte("n,,n=alice,r=abc"))
			require.NoError(t, err)
			reply, user, err := c.Next([]byte(final))
			require.Error(t, err)
			require.Empty(t, user)
			require.Nil(t, reply)
			_, _, again := c.Next([]byte(final))
			require.Equal(t, err, again)
		})
	}
}

func TestKeysAreChecked(t *testing.T) {
	good := keysOf(t, "secret")
	require.NoError(t, good.Check())
	for name, spoil := range map[string]func(*Keys){
		"few iterations":  func(k *Keys) { k.Iterations = MinIterations - 1 },
		"many iterations": func(k *Keys) { k.Iterations = MaxIterations + 1 },
		"no salt":         func(k *Keys) { k.Salt = nil },
		"long salt":       func(k *Keys) { k.Salt = make([]byte, maxSalt+1) },
		"short key":       func(k *Keys) { k.StoredKey = k.StoredKey[1:] },
		"no server key":   func(k *Keys) { k.ServerKey = nil },
	} {
		t.Run(name, func(t *testing.T) {
			k := good
			spoil(&k)
			require.Error(t, k.Check())
		})
	}
	for _, bad := range []string{"", "a\x00b", "\xff", "\u0627\u0031"} {
		_, err := Derive(bad, MinIterations)
		require.ErrorIs(t, err, errPassword, "%q", bad)
	}
}

func FuzzConversation(f *testing.F) {
	keys := keysOf(f, "secret")
	f.Add([]byte("n,,n=alice,r=abc"), []byte("c=biws,r=abcXYZ,p=AAAA"))
	f.Add([]byte("y,a=alice,n==2C=3D,r=!,x=1"), []byte("c=,r=,p="))
	f.Fuzz(func(t *testing.T, first, final []byte) {
		s := NewServer(tableOf(map[string]Keys{"alice": keys}))
		_, c, err := s.Start(first)
		if err != nil {
			require.Nil(t, c)
			return
		}
		_, user, err := c.Next(final)
		require.Error(t, err, "nobody logs in without the password")
		require.Empty(t, user)
	})
}

func BenchmarkDerive(b *testing.B) {
	for b.Loop() {
		if _, err := Derive("secret", DefaultIterations); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkConversation(b *testing.B) {
	s := NewServer(tableOf(map[string]Keys{"alice": keysOf(b, "secret")}))
	for b.Loop() {
		_, c, err := s.Start([]byte("n,,n=alice,r=abc"))
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err = c.Next([]byte("c=biws,r=abc,p=AAAA")); err == nil {
			b.Fatal("refused")
		}
	}
}
