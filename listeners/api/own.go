// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// own are the routes about the API itself: who asks, users, keys, the log of
// changes, events, the document.
func (s *Server) own() []Route {
	return []Route{
		{Method: "POST", Path: "/login", Change: "login", Handle: s.login},
		{Method: "POST", Path: "/logout", Role: Viewer, Change: "logout", Handle: s.logout},
		{Method: "GET", Path: "/session", Role: Viewer, Handle: func(c *Call) (any, error) { return c.Principal, nil }},
		{Method: "PUT", Path: "/password", Role: Viewer, Change: "password.change", Handle: s.password},
		{Method: "GET", Path: "/users", Role: Administrator, Handle: func(*Call) (any, error) { return s.opts.Accounts.Users(), nil }},
		{Method: "POST", Path: "/users", Role: Administrator, Change: "user.add", Handle: s.addUser},
		{Method: "PATCH", Path: "/users/{name}", Role: Administrator, Change: "user.change", Handle: s.changeUser},
		{Method: "DELETE", Path: "/users/{name}", Role: Administrator, Change: "user.delete", Handle: s.deleteUser},
		{Method: "GET", Path: "/api_keys", Role: Administrator, Handle: func(*Call) (any, error) { return s.opts.Accounts.Keys(), nil }},
		{Method: "POST", Path: "/api_keys", Role: Administrator, Change: "api_key.add", Handle: s.addKey},
		{Method: "DELETE", Path: "/api_keys/{id}", Role: Administrator, Change: "api_key.delete", Handle: s.deleteKey},
		{Method: "GET", Path: "/audit", Role: Administrator, Handle: s.audit},
		{Method: "GET", Path: "/events", Role: Viewer, Stream: s.events},
		{Method: "GET", Path: "/openapi.json", Handle: func(*Call) (any, error) { return json.RawMessage(s.document), nil }},
	}
}

// Credentials are the body of a login.
type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

func (s *Server) login(c *Call) (any, error) {
	var in Credentials
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("username", cut(in.Username))
	u, err := s.gate.password(c.Request, in.Username, in.Password)
	if err != nil {
		return nil, err
	}
	c.Principal = Principal{Name: u.Name, Role: u.Role, Via: ViaSession, Initial: u.Initial}
	s.setCookie(c.w, s.gate.sessions.open(s.gate.now(), u.Name), 0)
	return c.Principal, nil
}

// setCookie sets the session cookie; an age below zero takes it away.
func (s *Server) setCookie(w http.ResponseWriter, token string, age int) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", MaxAge: age, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: s.opts.TLS != nil})
}

func (s *Server) logout(c *Call) (any, error) {
	if c.Principal.Via != ViaSession {
		return nil, Fail(http.StatusConflict, "there is no session: this request was made with %s", c.Principal.Via)
	}
	s.gate.sessions.close(c.Principal.token)
	s.setCookie(c.w, "", -1)
	return nil, nil
}

// PasswordChange is the body of a change of one's own password.
type PasswordChange struct {
	Old string `json:"old_password"`
	New string `json:"new_password"`
}

func (s *Server) password(c *Call) (any, error) {
	var in PasswordChange
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	p := &c.Principal
	if p.Via != ViaSession && p.Via != ViaBasic {
		return nil, Fail(http.StatusConflict, "an API key has no password")
	}
	if _, err := s.gate.password(c.Request, p.Name, in.Old); err != nil {
		return nil, err
	}
	if err := s.opts.Accounts.SetPassword(p.Name, in.New); err != nil {
		return nil, err
	}
	s.gate.sessions.closeOf(p.Name, p.token)
	return nil, nil
}

// NewUser is the body that adds a user.
type NewUser struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	Role     Role   `json:"role"`
}

func (s *Server) addUser(c *Call) (any, error) {
	var in NewUser
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("name", cut(in.Name))
	c.Note("role", in.Role)
	u, err := s.opts.Accounts.AddUser(in.Name, in.Password, in.Role)
	return Answer{http.StatusCreated, u}, err
}

// UserChange is the body that changes a user: what is given.
type UserChange struct {
	Password string `json:"password,omitempty"`
	Role     Role   `json:"role,omitempty"`
}

func (s *Server) changeUser(c *Call) (any, error) {
	var in UserChange
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	name := c.PathValue("name")
	if in.Password == "" && in.Role == "" {
		return nil, Fail(http.StatusUnprocessableEntity, "password or role is needed")
	}
	if in.Role != "" {
		c.Note("role", in.Role)
		if err := s.opts.Accounts.SetRole(name, in.Role); err != nil {
			return nil, err
		}
	}
	if in.Password != "" {
		c.Note("password", "changed")
		if err := s.opts.Accounts.SetPassword(name, in.Password); err != nil {
			return nil, err
		}
		s.gate.sessions.closeOf(name, c.Principal.token)
	}
	u, _, _ := s.opts.Accounts.find(name)
	return u, nil
}

func (s *Server) deleteUser(c *Call) (any, error) {
	name := c.PathValue("name")
	if err := s.opts.Accounts.DeleteUser(name); err != nil {
		return nil, err
	}
	s.gate.sessions.closeOf(name, "")
	return nil, nil
}

// NewKey is the body that makes an API key.
type NewKey struct {
	Name      string     `json:"name"`
	Role      Role       `json:"role"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// MadeKey is a new API key with its secret, which is shown once.
type MadeKey struct {
	Key
	Secret string `json:"key"`
}

func (s *Server) addKey(c *Call) (any, error) {
	var in NewKey
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	c.Note("name", cut(in.Name))
	c.Note("role", in.Role)
	k, secret, err := s.opts.Accounts.AddKey(in.Name, c.Principal.Name, in.Role, in.ExpiresAt)
	if err != nil {
		return nil, err
	}
	c.Note("id", k.ID)
	return Answer{http.StatusCreated, MadeKey{k, secret}}, nil
}

func (s *Server) deleteKey(c *Call) (any, error) {
	return nil, s.opts.Accounts.DeleteKey(c.PathValue("id"))
}

var auditList = List{Filters: []string{"user", "action"}}

func (s *Server) audit(c *Call) (any, error) {
	q, err := c.Query(auditList)
	if err != nil {
		return nil, err
	}
	p := Page[AuditEntry]{Page: q.Page, Limit: q.Limit, Items: []AuditEntry{}}
	for e := range s.opts.Audit.Newest {
		if !q.Is("user", e.User) || !q.Is("action", e.Action) || !q.Contains(e.User, e.Action, e.Path, e.Peer) {
			continue
		}
		if p.Total >= q.Offset() && len(p.Items) < q.Limit {
			p.Items = append(p.Items, e)
		}
		p.Total++
	}
	return p, nil
}

// Status says that the broker runs; everybody may ask.
type Status struct {
	Status  string `json:"status"` // "running" or "not_ready"
	Why     string `json:"why,omitempty"`
	Node    string `json:"node"`
	Version string `json:"version"`
	Uptime  int64  `json:"uptime_seconds"`
}

func (s *Server) status(*Call) (any, error) {
	n := s.opts.Broker.Node()
	st := Status{Status: "running", Node: n.Name, Version: n.Version, Uptime: n.Uptime}
	if ok, why := s.opts.Broker.Ready(); !ok {
		st.Status, st.Why = "not_ready", why
		return Answer{http.StatusServiceUnavailable, st}, nil
	}
	return st, nil
}

// cleanTopic is a topic of a query, which must be there.
func cleanTopic(c *Call) (string, error) {
	t := c.Param("topic")
	if t == "" || strings.ContainsRune(t, 0) {
		return "", Fail(http.StatusBadRequest, "?topic is needed")
	}
	return t, nil
}
