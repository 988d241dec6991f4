// SPDX-License-Identifier: Apache-2.0

package access

import (
	"bytes"

	"emqttd/actors/access/passwd"
	"emqttd/actors/access/scram"
	"emqttd/protocol/packet"
)

// Method is a way of enhanced authentication [v5 4.12].
type Method interface {
	Name() string // Authentication Method of CONNECT
	// Start takes the Authentication Data of CONNECT, or of an AUTH with reason
	// 0x19. The exchange is nil when the turn is the last.
	Start(r *Request, data []byte) (Exchange, Turn)
}

// Exchange is an authentication under way, as a value: a step makes the next one
// and leaves it as it was, so that an actor whose decision crashed can take the
// step again. Steps are cheap for the methods that are built in.
type Exchange interface {
	// Next takes the Authentication Data of an AUTH with reason 0x18. The exchange
	// is nil when the turn is the last.
	Next(data []byte) (Exchange, Turn)
}

// Turn is what is to be sent to the client.
type Turn struct {
	Data []byte // Authentication Data, may be empty
	// Done false: AUTH with reason 0x18. Done true: Answer decides between
	// CONNACK 0x00 (AUTH 0x00 when it was a re-authentication) and its Code.
	Done   bool
	Answer Answer
}

// Enhanced are the methods of a listener. It is not changed once in use.
type Enhanced struct{ methods map[string]Method }

// NewEnhanced makes a set of methods; of two with one name the later counts.
func NewEnhanced(methods ...Method) *Enhanced {
	e := &Enhanced{methods: make(map[string]Method)}
	for _, m := range methods {
		e.methods[m.Name()] = m
	}
	return e
}

// Start begins the authentication of a CONNECT with an Authentication Method.
func (e *Enhanced) Start(method string, r *Request, data []byte) (Exchange, Turn) {
	m, ok := e.methods[method]
	if !ok { // [v5 MQTT-4.12.0-1]
		return nil, denied(packet.BadAuthenticationMethod, "unknown authentication method")
	}
	return m.Start(r, data)
}

// Restart begins a re-authentication [v5 4.12.1]: method is AUTH's, connected
// the one of CONNECT, user the one who logged in then. A client that turns out
// to be somebody else is refused: its session and subscriptions are the user's.
func (e *Enhanced) Restart(method, connected, user string, r *Request, data []byte) (Exchange, Turn) {
	if method != connected { // [v5 MQTT-4.12.1-1]
		return nil, denied(packet.ProtocolError, "re-authentication with another method")
	}
	ex, turn := e.Start(method, r, data)
	same := &sameUser{ex, user}
	if ex == nil {
		return nil, same.hold(turn)
	}
	return same, turn
}

func denied(code packet.ReasonCode, why string) Turn {
	return Turn{Done: true, Answer: Answer{Outcome: Deny, Code: code, Why: why}}
}

// sameUser is an exchange that only one user may end well.
type sameUser struct {
	Exchange
	user string
}

func (s *sameUser) Next(data []byte) (Exchange, Turn) {
	next, turn := s.Exchange.Next(data)
	if next == nil {
		return nil, s.hold(turn)
	}
	return &sameUser{next, s.user}, turn
}

func (s *sameUser) hold(t Turn) Turn {
	if t.Done && t.Answer.Outcome == OK && t.Answer.User != s.user {
		return denied(packet.NotAuthorized, "re-authentication as another user")
	}
	return t
}

// scramMethod is SCRAM-SHA-256 for the built-in users. The user is the one that
// the exchange names; the user name of CONNECT is not looked at.
type scramMethod struct {
	users  *passwd.Users
	server *scram.Server
}

// SCRAM is the method SCRAM-SHA-256 for the built-in table of users.
func SCRAM(users *passwd.Users) Method {
	lookup := func(user string) (scram.Keys, bool) {
		r, _, ok := users.Lookup(user)
		if !ok || r.SCRAM == nil {
			return scram.Keys{}, false
		}
		return *r.SCRAM, true
	}
	return &scramMethod{users: users, server: scram.NewServer(lookup)}
}

func (m *scramMethod) Name() string { return scram.Method }

func (m *scramMethod) Start(_ *Request, data []byte) (Exchange, Turn) {
	challenge, c, err := m.server.Start(data)
	if err != nil {
		return nil, denied(packet.NotAuthorized, err.Error())
	}
	return &scramExchange{m.users, c}, Turn{Data: challenge}
}

type scramExchange struct {
	users        *passwd.Users
	conversation *scram.Conversation
}

func (x *scramExchange) Next(data []byte) (Exchange, Turn) { return nil, x.last(data) }

func (x *scramExchange) last(data []byte) Turn {
	reply, user, err := x.conversation.Next(data)
	if err != nil {
		return denied(packet.NotAuthorized, err.Error())
	}
	r, _, ok := x.users.Lookup(user)
	if !ok || r.SCRAM == nil || !bytes.Equal(r.SCRAM.StoredKey, x.conversation.Keys().StoredKey) {
		return denied(packet.NotAuthorized, "the user was deleted or changed the password meanwhile")
	}
	return Turn{Data: reply, Done: true, Answer: Answer{Outcome: OK, User: user, Superuser: r.Superuser, Why: "SCRAM proof"}}
}
