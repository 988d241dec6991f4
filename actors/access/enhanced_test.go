// SPDX-License-Identifier: Apache-2.0

package access

import (
	"testing"

	"github.com/stretchr/testify/require"
	xdg "github.com/xdg-go/scram"

	"emqttd/actors/access/passwd"
	"emqttd/actors/access/scram"
	"emqttd/protocol/packet"
)

// play runs the library's client through an exchange that start begins.
func play(t *testing.T, user, password string, start func(first []byte) (Exchange, Turn), between func()) Turn {
	t.Helper()
	client, err := xdg.SHA256.NewClient(user, password, "")
	require.NoError(t, err)
	conv := client.NewConversation()
	first, err := conv.Step("")
	require.NoError(t, err)
	ex, turn := start([]byte(first))
	if turn.Done {
		return turn
	}
	final, err := conv.Step(string(turn.Data))
	require.NoError(t, err)
	between()
	again, same := ex.Next([]byte(final))
	ex, turn = ex.Next([]byte(final))
	require.Nil(t, ex)
	require.Nil(t, again)
	require.Equal(t, same, turn, "a step that is taken again comes out the same")
	require.True(t, turn.Done)
	if turn.Answer.Outcome == OK {
		_, err = conv.Step(string(turn.Data))
		require.NoError(t, err, "the client accepts the server")
	}
	return turn
}

func TestEnhancedAuthentication(t *testing.T) {
	users := builtIn(t, "alice")
	require.NoError(t, users.Add("bob", []byte("secret"), false))
	e := NewEnhanced(SCRAM(users))
	atConnect := func(first []byte) (Exchange, Turn) { return e.Start(scram.Method, connect("claimed", "-"), first) }
	asAlice := func(first []byte) (Exchange, Turn) {
		return e.Restart(scram.Method, scram.Method, "alice", connect("-", "-"), first)
	}
	nothing := func() {}
	refused := Answer{Outcome: Deny, Code: packet.NotAuthorized, Why: scram.ErrRefused.Error()}
	cases := []struct {
		name, user, password string
		start                func([]byte) (Exchange, Turn)
		want                 Answer
	}{
		{"login", "alice", "secret", atConnect, Answer{Outcome: OK, User: "alice", Superuser: true, Why: "SCRAM proof"}},
		{"wrong password", "alice", "x", atConnect, refused},
		{"unknown user", "eve", "secret", atConnect, refused},
		{"again", "alice", "secret", asAlice, Answer{Outcome: OK, User: "alice", Superuser: true, Why: "SCRAM proof"}},
		{"again with a wrong password", "alice", "x", asAlice, refused},
		{"again as another user", "bob", "secret", asAlice, Answer{Outcome: Deny, Code: packet.NotAuthorized, Why: "re-authentication as another user"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			turn := play(t, c.user, c.password, c.start, nothing)
			require.Equal(t, c.want, turn.Answer)
			require.Equal(t, c.want.Outcome == OK, len(turn.Data) > 0, "a refused client gets no data")
		})
	}
	for name, between := range map[string]func() error{
		"the password changes meanwhile": func() error { return users.SetPassword("bob", []byte("new")) },
		"the user is deleted meanwhile":  func() error { return users.Delete("bob") },
	} {
		t.Run(name, func(t *testing.T) {
			_ = users.Delete("bob") // whatever the other case left
			require.NoError(t, users.Add("bob", []byte("secret"), false))
			turn := play(t, "bob", "secret", atConnect, func() { require.NoError(t, between()) })
			require.Equal(t, packet.NotAuthorized, turn.Answer.Code)
		})
	}
}

func TestEnhancedAuthenticationIsRefusedAtOnce(t *testing.T) {
	e := NewEnhanced(SCRAM(passwd.NewUsers(cheap)))
	first := []byte("n,,n=alice,r=abc")
	cases := []struct {
		name  string
		start func() (Exchange, Turn)
		code  packet.ReasonCode
	}{
		{"unknown method", func() (Exchange, Turn) { return e.Start("SCRAM-SHA-1", connect("-", "-"), first) }, packet.BadAuthenticationMethod},
		{"no data", func() (Exchange, Turn) { return e.Start(scram.Method, connect("-", "-"), nil) }, packet.NotAuthorized},
		{"another method at re-authentication", func() (Exchange, Turn) {
			return e.Restart(scram.Method, "GS2-KRB5", "alice", connect("-", "-"), first)
		}, packet.ProtocolError},
		{"no data at re-authentication", func() (Exchange, Turn) {
			return e.Restart(scram.Method, scram.Method, "alice", connect("-", "-"), nil)
		}, packet.NotAuthorized},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ex, turn := c.start()
			require.Nil(t, ex)
			require.True(t, turn.Done)
			require.Equal(t, Deny, turn.Answer.Outcome)
			require.Equal(t, c.code, turn.Answer.Code)
		})
	}
}
