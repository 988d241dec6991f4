// SPDX-License-Identifier: Apache-2.0

package access

import (
	"net/netip"
	"strings"
	"time"

	"emqttd/actors/access/acl"
	"emqttd/protocol/packet"
)

// Request is a CONNECT as authentication sees it. Whoever asks owns it; nothing
// here keeps it or its Password.
type Request struct {
	At          time.Time // when CONNECT came, for what ends
	ClientID    string    // as the session will have it, so never empty
	Username    string    // as CONNECT claims
	HasUsername bool
	Password    []byte // binary [v3.1.1 3.1.3.5, v5 3.1.3.6]
	HasPassword bool
	Peer        netip.AddrPort // after the PROXY protocol
	Listener    string         // "tcp:default"
	CertCN      string         // common name of a client certificate that was verified
	Version     packet.Version
}

// credentials reports whether the client says who it is.
func (r *Request) credentials() bool { return r.HasUsername || r.HasPassword }

// Outcome is what a link has to say.
type Outcome uint8

const (
	Ignore Outcome = iota // the next link is asked
	OK
	Deny
)

var outcomeNames = [...]string{Ignore: "ignore", OK: "ok", Deny: "deny"}

// String is the outcome as the log writes it.
func (o Outcome) String() string { return outcomeNames[o] }

// Answer is what one link says of a request.
type Answer struct {
	Outcome   Outcome
	Code      packet.ReasonCode // of a Deny
	User      string            // with OK: the name that the link vouches for, or none
	Superuser bool              // with OK
	Why       string            // for log and trace: "users.pw:12: wrong password"; never a secret
}

// Step is the answer of one link of the chain.
type Step struct {
	Link string
	Answer
}

// Verdict is the answer of the chain, with the way that led to it.
type Verdict struct {
	Answer
	Steps []Step // in the order of the chain, up to the link that decided
}

// Subject is the client as topic rules see it.
func (v *Verdict) Subject(r *Request) acl.Subject {
	return acl.Subject{ClientID: r.ClientID, Username: v.User, Addr: r.Peer.Addr(), Superuser: v.Superuser}
}

// String answers "why was I denied", one link after the other:
// "cert: ignore, no client certificate; file: deny, users.pw:12: wrong password".
func (v *Verdict) String() string {
	var b strings.Builder
	for _, s := range v.Steps {
		b.WriteString(s.Link + ": " + s.Outcome.String() + ", " + s.Why + "; ")
	}
	b.WriteString(v.Outcome.String() + ", " + v.Why)
	return b.String()
}
