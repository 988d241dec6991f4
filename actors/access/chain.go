// SPDX-License-Identifier: Apache-2.0

package access

import (
	"errors"
	"fmt"
	"hash/maphash"

	"emqttd/protocol/packet"
)

// Link is one way to authenticate: an emqttd_auth_mod.
type Link interface {
	Name() string
	// Try answers when that is cheap. done is false when an answer needs Check.
	Try(r *Request) (a Answer, done bool)
	// Check answers. It may be expensive.
	Check(r *Request) Answer
}

// maxLinks bounds a chain.
const maxLinks = 16

// Chain asks links in order: OK and Deny are final, Ignore asks the next. When
// all ignore the request, it is denied: with 0x86 (return code 4, as emqttd
// said) where the client brought a user name or a password, with 0x87 (return
// code 5) where it brought neither.
type Chain struct {
	links []Link
	seed  maphash.Seed
}

// NewChain makes a chain. A chain that would let anyone in by a side door is an
// error.
func NewChain(links ...Link) (*Chain, error) {
	if len(links) > maxLinks {
		return nil, fmt.Errorf("access: %d links, at most %d are allowed", len(links), maxLinks)
	}
	passwords, anyone := false, false
	names := make(map[string]bool)
	for _, l := range links {
		if names[l.Name()] {
			return nil, fmt.Errorf("access: two links are called %q", l.Name())
		}
		names[l.Name()] = true
		_, isSource := l.(decoys)
		passwords = passwords || isSource
		if a, ok := l.(*Anonymous); ok && a.AcceptCredentials {
			anyone = true
		}
	}
	if passwords && anyone {
		return nil, errors.New("access: an anonymous link that accepts any user name stands beside a link that checks passwords, so an unknown name would come in")
	}
	return &Chain{links: links, seed: maphash.MakeSeed()}, nil
}

// Try answers without expense. done is false when the answer needs Check.
func (c *Chain) Try(r *Request) (v Verdict, done bool) {
	for _, l := range c.links {
		a, done := l.Try(r)
		if !done {
			return Verdict{}, false
		}
		if v.take(l, a) {
			return v, true
		}
	}
	if r.HasUsername && r.HasPassword && c.users() > 0 {
		return Verdict{}, false // the time that a known user costs is still to be spent
	}
	v.Answer = ignored(r)
	return v, true
}

// Check answers. Expensive. An unknown user takes as long as a known one with a
// wrong password, and gets the same code.
func (c *Chain) Check(r *Request) Verdict {
	var v Verdict
	for _, l := range c.links {
		a, done := l.Try(r)
		if !done {
			a = l.Check(r)
		}
		if v.take(l, a) {
			return v
		}
	}
	if r.HasUsername && r.HasPassword {
		c.spend(r)
	}
	v.Answer = ignored(r)
	return v
}

// take notes the answer of a link and reports whether it is final.
func (v *Verdict) take(l Link, a Answer) bool {
	v.Steps = append(v.Steps, Step{Link: l.Name(), Answer: a})
	v.Answer = a
	return a.Outcome != Ignore
}

// ignored is the rule of Chain for a request that no link spoke of.
func ignored(r *Request) Answer {
	if r.credentials() {
		return Answer{Outcome: Deny, Code: packet.BadUserNameOrPassword, Why: "no link knows the user"}
	}
	return Answer{Outcome: Deny, Code: packet.NotAuthorized, Why: "no link lets a client in without credentials"}
}

// decoys is a link with users of its own, whose hashes take time to check.
type decoys interface {
	users() int
	spend(r *Request, n uint64) // expensive; n below users, if none has left since
}

// users is the number of users in all links.
func (c *Chain) users() (n int) {
	for _, l := range c.links {
		if d, ok := l.(decoys); ok {
			n += d.users()
		}
	}
	return n
}

// spend takes the time that one of the known users would have taken. Which one
// depends on the name and on a seed of this process, so that one name always
// takes the same time, and names that do not exist are spread as those that do.
func (c *Chain) spend(r *Request) {
	total := c.users()
	if total == 0 {
		return
	}
	n := maphash.String(c.seed, r.Username) % uint64(total)
	for _, l := range c.links {
		d, ok := l.(decoys)
		if !ok {
			continue
		}
		if users := uint64(d.users()); n >= users {
			n -= users
			continue
		}
		d.spend(r, n)
		return
	}
}
