// SPDX-License-Identifier: Apache-2.0

package access

import (
	"emqttd/actors/access/passwd"
	"emqttd/protocol/packet"
)

// passwords is a link that checks user name and password of CONNECT.
type passwords struct {
	name  string
	table table
	cache *passwd.Cache
}

// table is where a passwords link finds its users.
type table interface {
	lookup(user string) (entry, bool)
	Len() int
	Decoy(n uint64) passwd.Hash
}

type entry struct {
	hash      passwd.Hash
	superuser bool
	place     string // begins every Why
}

// PasswordFile is a link for a password file. cache may be nil.
func PasswordFile(name string, file *File[*passwd.File], cache *passwd.Cache) Link {
	return &passwords{name, fileTable{file}, cache}
}

// BuiltIn is a link for the built-in table of users. cache may be nil.
func BuiltIn(name string, users *passwd.Users, cache *passwd.Cache) Link {
	return &passwords{name, userTable{users}, cache}
}

type fileTable struct{ file *File[*passwd.File] }

func (t fileTable) lookup(user string) (entry, bool) {
	h, place, ok := t.file.Get().Lookup(user)
	return entry{hash: h, place: place}, ok
}
func (t fileTable) Len() int                   { return t.file.Get().Len() }
func (t fileTable) Decoy(n uint64) passwd.Hash { return t.file.Get().Decoy(n) }

type userTable struct{ *passwd.Users }

func (t userTable) lookup(user string) (entry, bool) {
	r, h, ok := t.Lookup(user)
	return entry{hash: h, superuser: r.Superuser, place: "built-in user"}, ok
}

// Name is the name of the link in log and trace.
func (p *passwords) Name() string { return p.name }

// Try has an answer unless a hash must be computed.
func (p *passwords) Try(r *Request) (Answer, bool) {
	if !r.HasUsername {
		return Answer{Why: "no user name"}, true
	}
	e, ok := p.table.lookup(r.Username)
	switch {
	case !ok:
		return Answer{Why: "unknown user"}, true
	case !r.HasPassword:
		return refused(e, "no password"), true
	case p.cache.Seen(r.At, r.Username, r.Password, e.hash):
		return accepted(r, e, "right password, seen before"), true
	}
	return Answer{}, false
}

// Check answers. Expensive.
func (p *passwords) Check(r *Request) Answer {
	e, ok := p.table.lookup(r.Username)
	switch {
	case !ok: // deleted since Try
		return Answer{Why: "unknown user"}
	case !p.cache.Matches(r.At, r.Username, r.Password, e.hash):
		return refused(e, "wrong password")
	}
	return accepted(r, e, "right password")
}

func accepted(r *Request, e entry, why string) Answer {
	return Answer{Outcome: OK, User: r.Username, Superuser: e.superuser, Why: e.place + ": " + why}
}

func refused(e entry, why string) Answer {
	return Answer{Outcome: Deny, Code: packet.BadUserNameOrPassword, Why: e.place + ": " + why}
}

func (p *passwords) users() int { return p.table.Len() }

// spend checks a decoy as Try and Check do a wrong password: each looks into the
// cache, then the hash is computed.
func (p *passwords) spend(r *Request, n uint64) {
	h := p.table.Decoy(n)
	p.cache.Seen(r.At, r.Username, r.Password, h)
	p.cache.Seen(r.At, r.Username, r.Password, h)
	h.Matches(r.Password)
}
