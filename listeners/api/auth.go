// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"emqttd/actors/access/passwd"
)

// Principal is who asks.
type Principal struct {
	Name    string `json:"user"`
	Role    Role   `json:"role"`
	Via     Via    `json:"via"`
	Initial bool   `json:"initial"` // with the password that everybody knows: change it

	token string // of the session
}

// Via is how somebody was found out.
type Via string

// The ways in.
const (
	ViaNothing Via = ""        // nobody asked
	ViaSession Via = "session" // the page's cookie
	ViaBasic   Via = "basic"   // user and password with each request
	ViaKey     Via = "api_key" // Bearer
	ViaToken   Via = "token"   // Bearer with the token of this machine's operator
)

const (
	cookieName = "emqttd_session"
	// pageHeader goes with every request of the page. A form or a link of another
	// page cannot send it, and a script of one has to ask before, in vain.
	pageHeader, pageValue = "X-Requested-With", "emqttd"
	operator              = "operator" // the name of whoever has the token
)

// gatekeeper finds out who asks.
type gatekeeper struct {
	accounts *Accounts
	sessions *sessions
	limiter  *limiter
	cache    *passwd.Cache // so that Basic costs one hash and not one per request
	slots    chan struct{} // hashes at one time: each takes 19 MiB and a core
	decoy    passwd.Hash   // what an unknown user's password is compared with
	token    string
	now      func() time.Time
}

const (
	hashesAtOnce = 2
	basicTTL     = 5 * time.Minute
	basicCache   = 1000
)

func newGatekeeper(o *Options) *gatekeeper {
	return &gatekeeper{accounts: o.Accounts, sessions: newSessions(o.SessionTTL, o.MaxSessions), limiter: newLimiter(o.LoginFailures, o.LoginWindow),
		cache: passwd.NewCache(basicTTL, basicCache), slots: make(chan struct{}, hashesAtOnce),
		decoy: passwd.NewHash([]byte(random(9)), passwd.DefaultCost), token: o.Token, now: time.Now}
}

// who finds out who sends r. Without credentials that is nobody; wrong ones are
// a problem, and so are those that may not be used from here.
func (g *gatekeeper) who(r *http.Request) (Principal, error) {
	if lines := r.Header["Authorization"]; len(lines) > 0 {
		return g.header(r, lines[0])
	}
	c, err := r.Cookie(cookieName)
	if err != nil {
		return Principal{}, nil
	}
	name, ok := g.sessions.find(g.now(), c.Value)
	if !ok {
		return Principal{}, nil
	}
	u, _, ok := g.accounts.find(name)
	if !ok {
		return Principal{}, nil
	}
	if u.Initial && !local(r) {
		return Principal{}, nil
	}
	return Principal{Name: u.Name, Role: u.Role, Via: ViaSession, Initial: u.Initial, token: c.Value}, nil
}

func (g *gatekeeper) header(r *http.Request, line string) (Principal, error) {
	if name, password, ok := r.BasicAuth(); ok {
		u, err := g.password(r, name, password)
		if err != nil {
			return Principal{}, err
		}
		return Principal{Name: u.Name, Role: u.Role, Via: ViaBasic, Initial: u.Initial}, nil
	}
	scheme, secret, _ := strings.Cut(line, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Principal{}, unauthorized(r, "Authorization is to be Basic or Bearer")
	}
	peer := peerOf(r)
	if wait := g.limiter.wait(g.now(), peer, ""); wait > 0 {
		return Principal{}, tooMany(wait)
	}
	secret = strings.TrimSpace(secret)
	if g.token != "" && subtle.ConstantTimeCompare([]byte(secret), []byte(g.token)) == 1 {
		return Principal{Name: operator, Role: Administrator, Via: ViaToken}, nil
	}
	if k, ok := g.accounts.checkKey(secret, g.now()); ok {
		return Principal{Name: k.Name, Role: k.Role, Via: ViaKey}, nil
	}
	g.limiter.fail(g.now(), peer, "")
	return Principal{}, unauthorized(r, "no such API key, or it has expired")
}

// password checks a user's password. An unknown user costs as much as a wrong
// password.
func (g *gatekeeper) password(r *http.Request, name, password string) (User, error) {
	u, hash, known := g.accounts.find(name)
	if known && !u.Initial && g.cache.Seen(g.now(), name, []byte(password), hash) {
		return u, nil
	}
	if len(password) > maxPassword || len(name) > maxName {
		return User{}, unauthorized(r, "wrong user name or password")
	}
	if err := g.slot(r.Context()); err != nil {
		return User{}, err
	}
	defer func() { <-g.slots }()
	peer := peerOf(r)
	if wait := g.limiter.wait(g.now(), peer, name); wait > 0 { // behind the slot: a thousand at once are one after the other here
		return User{}, tooMany(wait)
	}
	if !g.matches(u, hash, known, password) {
		g.limiter.fail(g.now(), peer, name)
		return User{}, unauthorized(r, "wrong user name or password")
	}
	if u.Initial && !local(r) {
		return User{}, Fail(http.StatusForbidden, "the first password is taken on the broker's own machine only, and not through a proxy: "+
			"change it there (http://127.0.0.1:18083), or write dashboard.administrators into the configuration")
	}
	return u, nil
}

func (g *gatekeeper) matches(u User, hash passwd.Hash, known bool, password string) bool {
	switch {
	case !known:
		return g.decoy.Matches([]byte(password)) && known
	case u.Initial:
		return subtle.ConstantTimeCompare([]byte(password), []byte(firstPassword)) == 1
	}
	return g.cache.Matches(g.now(), u.Name, []byte(password), hash)
}

func (g *gatekeeper) slot(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return Fail(http.StatusServiceUnavailable, "too many passwords are being checked")
	}
}

func tooMany(wait time.Duration) error {
	p := Fail(http.StatusTooManyRequests, "too many wrong passwords from here, or for this user: wait %s", wait.Round(time.Second))
	p.after = wait
	return p
}

// unauthorized asks for credentials; not in a browser's own dialog where our page
// has a better one.
func unauthorized(r *http.Request, detail string) *Problem {
	p := Fail(http.StatusUnauthorized, "%s", detail)
	p.basic = r.Header.Get(pageHeader) == "" && r.Header.Get("Sec-Fetch-Mode") != "cors" && r.Header.Get("Sec-Fetch-Mode") != "same-origin"
	return p
}

// peerOf is the address that a request comes from, not what a header claims.
func peerOf(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{} // a unix socket
	}
	return p.Addr().Unmap()
}

// local reports whether a request comes from this machine and speaks for nobody
// else: a proxy on this machine brings the whole world.
func local(r *http.Request) bool {
	for name := range r.Header {
		if name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded") {
			return false
		}
	}
	peer := peerOf(r)
	return (peer.IsLoopback() || r.RemoteAddr == "@" || r.RemoteAddr == "") && loopbackName(r.Host)
}
