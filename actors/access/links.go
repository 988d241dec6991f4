// SPDX-License-Identifier: Apache-2.0

package access

// Anonymous lets in clients that bring neither user name nor password:
// emqttd_auth_anonymous, which did not look.
type Anonymous struct {
	// AcceptCredentials also lets in clients that bring some; they are not read,
	// so the client is nobody all the same. For a broker that only its own
	// machine can reach.
	AcceptCredentials bool
}

// Name is the name of the link in log and trace.
func (*Anonymous) Name() string { return "anonymous" }

// Try always has an answer.
func (a *Anonymous) Try(r *Request) (Answer, bool) {
	switch {
	case !r.credentials():
		return Answer{Outcome: OK, Why: "no credentials, and none are asked for"}, true
	case a.AcceptCredentials:
		return Answer{Outcome: OK, Why: "credentials are accepted unread"}, true
	}
	return Answer{Why: "the client brings credentials"}, true
}

// Check is Try.
func (a *Anonymous) Check(r *Request) Answer { return tried(a, r) }

// Certificate lets in clients with a client certificate that the listener has
// verified; the common name is the user.
type Certificate struct{}

// Name is the name of the link in log and trace.
func (Certificate) Name() string { return "certificate" }

// Try always has an answer.
func (Certificate) Try(r *Request) (Answer, bool) {
	if r.CertCN == "" {
		return Answer{Why: "no client certificate with a common name"}, true
	}
	return Answer{Outcome: OK, User: r.CertCN, Why: "verified client certificate"}, true
}

// Check is Try.
func (c Certificate) Check(r *Request) Answer { return tried(c, r) }

// tried is Check of a link whose Try always has an answer.
func tried(l Link, r *Request) Answer {
	a, _ := l.Try(r)
	return a
}
