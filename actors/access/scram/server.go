// SPDX-License-Identifier: Apache-2.0

// Package scram is the server's side of SCRAM-SHA-256 [RFC 5802, RFC 7677] as
// steps: the caller brings what the client sent and takes what is to be sent
// back, in CONNECT and AUTH of MQTT 5 [v5 4.12]. emqttd 1.1 spoke 3.1.1 and had
// nothing like it. The messages themselves are read and answered by
// github.com/xdg-go/scram.
//
// Channel binding is not offered: the client must not ask for it.
package scram

import (
	"crypto/rand"
	"errors"
	"strings"

	xdg "github.com/xdg-go/scram"
)

// Method is the Authentication Method of CONNECT [v5 3.1.2.11.9].
const Method = "SCRAM-SHA-256"

// maxMessage bounds one message of the client, in bytes. A message holds two
// names, a nonce and a proof; the standard would allow 65,535.
const maxMessage = 4096

// Errors of Start and Next. Which one it was is for the log: the client learns
// only that it may not come in.
var (
	ErrMalformed = errors.New("scram: the client's message cannot be read")
	ErrRefused   = errors.New("scram: user unknown or proof wrong")
	ErrAuthzID   = errors.New("scram: the client asks to act as another user")
)

// Lookup finds the keys of a user. It must not block for long.
type Lookup func(user string) (Keys, bool)

// Server starts conversations. It is safe for concurrent use.
type Server struct {
	lookup Lookup
	secret []byte // for the salts of users that do not exist
	nonce  func() string
}

// NewServer makes a server for the users that lookup finds.
func NewServer(lookup Lookup) *Server {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	return &Server{lookup: lookup, secret: secret, nonce: rand.Text}
}

// Conversation is one authentication between its first message and its last. It
// does not change any more after Start; the caller gives the client one try.
type Conversation struct {
	steps xdg.ServerConversation
	user  string // as the table has it
	keys  Keys   // the user's, as they were at Start
	known bool
}

// Start takes the client's first message and returns the challenge. That the
// user is unknown shows only after Next: it gets a salt of its own, the same at
// every try, and a proof that cannot be right.
func (s *Server) Start(data []byte) (challenge []byte, c *Conversation, err error) {
	if len(data) > maxMessage {
		return nil, nil, ErrMalformed
	}
	c = &Conversation{}
	var find xdg.CredentialLookup = func(user string) (xdg.StoredCredentials, error) {
		keys := s.find(user, c)
		return xdg.StoredCredentials{
			KeyFactors: xdg.KeyFactors{Salt: string(keys.Salt), Iters: keys.Iterations},
			StoredKey:  keys.StoredKey,
			ServerKey:  keys.ServerKey,
		}, nil
	}
	server, err := xdg.SHA256.NewServer(find)
	if err != nil {
		return nil, nil, err
	}
	c.steps = *server.WithNonceGenerator(s.nonce).NewConversation()
	reply, err := c.steps.Step(string(data))
	if err != nil || !validNonce(data) {
		return nil, nil, ErrMalformed
	}
	if id := c.steps.AuthzID(); id != "" && id != c.steps.Username() {
		return nil, nil, ErrAuthzID
	}
	return []byte(reply), c, nil
}

// validNonce checks what the library leaves open: a client's nonce is not empty
// and printable, and nothing follows it that we would have to understand.
func validNonce(first []byte) bool {
	_, nonce, ok := strings.Cut(string(first), ",r=")
	nonce, _, _ = strings.Cut(nonce, ",")
	return ok && nonce != "" && strings.IndexFunc(nonce, func(r rune) bool { return r < '!' || r > '~' }) < 0
}

// find is the keys of a user, by the name as it was sent and then as SASLprep
// has it; or keys that nobody has the password to, which are made in either case
// so that the time does not tell.
func (s *Server) find(name string, c *Conversation) Keys {
	prepared, err := prepare(name)
	if err != nil {
		prepared = name
	}
	decoy := Keys{
		Salt:       sum(s.secret, "salt "+prepared)[:saltBytes],
		Iterations: DefaultIterations,
		StoredKey:  sum(s.secret, "stored "+prepared),
		ServerKey:  sum(s.secret, "server "+prepared),
	}
	for _, user := range []string{name, prepared} {
		if keys, ok := s.lookup(user); ok && user != "" {
			c.user, c.keys, c.known = user, keys, true
			return keys
		}
	}
	return decoy
}

// Keys are what the user's proof is compared with. They were looked up at Start:
// a password may have changed since.
func (c *Conversation) Keys() Keys { return c.keys }

// Next takes the client's final message. Without an error the client is user,
// and reply is the proof that the server knows the keys, for CONNACK or AUTH.
func (c *Conversation) Next(data []byte) (reply []byte, user string, err error) {
	if len(data) > maxMessage {
		return nil, "", ErrMalformed
	}
	steps := c.steps // a step changes it
	answer, err := steps.Step(string(data))
	if err != nil || !steps.Valid() || !c.known {
		return nil, "", ErrRefused
	}
	return []byte(answer), c.user, nil
}
