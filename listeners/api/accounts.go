// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"emqttd/actors/access/passwd"
)

// Role is what somebody may do.
type Role string

// The roles. A viewer looks at everything but other people's bytes and changes
// nothing but the own password.
const (
	Public        Role = ""              // of a route: nobody is asked who they are
	Viewer        Role = "viewer"        // looks
	Administrator Role = "administrator" // looks and changes
)

// covers reports whether r may do what needs role.
func (r Role) covers(role Role) bool { return role != Administrator || r == Administrator }

func (r Role) valid() bool { return r == Viewer || r == Administrator }

// The user that a new broker has.
const (
	firstUser     = "admin"
	firstPassword = "public"
)

// User is a user of the dashboard. They have nothing to do with MQTT clients'
// user names.
type User struct {
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Initial   bool      `json:"initial"`    // has the password that everybody knows
	Fixed     bool      `json:"configured"` // from the configuration: cannot be changed here
	CreatedAt time.Time `json:"created_at"`
}

// Key is an API key, without its secret.
type Key struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"` // what it is for
	Role      Role       `json:"role"`
	CreatedAt time.Time  `json:"created_at"`
	CreatedBy string     `json:"created_by"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

type user struct {
	User
	hash passwd.Hash
}

type apiKey struct {
	Key
	sum [sha256.Size]byte // of the secret, which is 32 random bytes: no slow hash is needed
}

// Accounts are who may use the API: emqttd's mqtt_admin. They are kept in a file,
// which each change replaces as a whole.
type Accounts struct {
	path string // "": in memory only
	max  int

	mu    sync.RWMutex // protects the fields below
	users map[string]*user
	keys  map[string]*apiKey
	fixed map[string]bool // users of the configuration
}

const (
	maxName     = 128
	maxPassword = 1024
	maxAccounts = 64 << 20 // bytes of the file
)

// OpenAccounts reads the accounts of the file at path, which need not exist; ""
// keeps them in memory. The configured users, name to password or hash, come on
// top. Expensive: passwords that are no hash yet become one.
func OpenAccounts(path string, max int, administrators, viewers map[string]string) (*Accounts, error) {
	a := &Accounts{path: path, max: max, users: map[string]*user{}, keys: map[string]*apiKey{}, fixed: map[string]bool{}}
	found, err := a.load()
	if err != nil {
		return nil, err
	}
	for role, users := range map[Role]map[string]string{Administrator: administrators, Viewer: viewers} {
		for name, secret := range users {
			hash, err := passwd.ParseHash(secret)
			if err != nil {
				if secret == "" || strings.HasPrefix(secret, "$") {
					return nil, fmt.Errorf("dashboard: user %s: %w", name, err)
				}
				hash = passwd.NewHash([]byte(secret), passwd.DefaultCost)
			}
			a.users[name] = &user{User{Name: name, Role: role, Fixed: true, CreatedAt: time.Now()}, hash}
			a.fixed[name] = true
		}
	}
	if !found && len(administrators) == 0 {
		a.users[firstUser] = &user{User: User{Name: firstUser, Role: Administrator, Initial: true, CreatedAt: time.Now()}}
	}
	return a, nil
}

// stored is the file.
type stored struct {
	Format int          `json:"format"`
	Users  []storedUser `json:"users"`
	Keys   []storedKey  `json:"keys"`
}

type storedUser struct {
	User
	Hash string `json:"hash,omitempty"`
}

type storedKey struct {
	Key
	Sum string `json:"sha256"`
}

const accountsFormat = 1

func (a *Accounts) load() (found bool, err error) {
	if a.path == "" {
		return false, nil
	}
	info, err := os.Stat(a.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err == nil && info.Size() > maxAccounts {
		err = fmt.Errorf("larger than %d bytes", maxAccounts)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(a.path)
	}
	var in stored
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if err == nil && in.Format != accountsFormat {
		err = fmt.Errorf("format %d is not known to this version", in.Format)
	}
	if err == nil {
		err = a.take(&in)
	}
	if err != nil {
		return false, fmt.Errorf("accounts %s: %w", a.path, err)
	}
	return true, nil
}

func (a *Accounts) take(in *stored) error {
	for _, s := range in.Users {
		u := &user{User: s.User}
		if !s.Initial {
			var err error
			if u.hash, err = passwd.ParseHash(s.Hash); err != nil {
				return fmt.Errorf("user %s: %w", s.Name, err)
			}
		}
		a.users[s.Name] = u
	}
	for _, s := range in.Keys {
		k := &apiKey{Key: s.Key}
		if n, err := hex.Decode(k.sum[:], []byte(s.Sum)); err != nil || n != len(k.sum) {
			return fmt.Errorf("key %s: no sha256", s.ID)
		}
		a.keys[s.ID] = k
	}
	return nil
}

// save needs mu.
func (a *Accounts) save() error {
	if a.path == "" {
		return nil
	}
	out := stored{Format: accountsFormat}
	for _, u := range a.users {
		if !u.Fixed {
			out.Users = append(out.Users, storedUser{u.User, u.hash.String()})
		}
	}
	for _, k := range a.keys {
		out.Keys = append(out.Keys, storedKey{k.Key, hex.EncodeToString(k.sum[:])})
	}
	slices.SortFunc(out.Users, func(x, y storedUser) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortFunc(out.Keys, func(x, y storedKey) int { return cmp.Compare(x.ID, y.ID) })
	text, err := json.MarshalIndent(out, "", "  ")
	if err == nil {
		err = WriteFile(a.path, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// Users are all users, by name.
func (a *Accounts) Users() []User {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]User, 0, len(a.users))
	for _, u := range a.users {
		out = append(out, u.User)
	}
	slices.SortFunc(out, func(x, y User) int { return cmp.Compare(x.Name, y.Name) })
	return out
}

// Keys are all API keys, by name.
func (a *Accounts) Keys() []Key {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]Key, 0, len(a.keys))
	for _, k := range a.keys {
		out = append(out, k.Key)
	}
	slices.SortFunc(out, func(x, y Key) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID)) })
	return out
}

// find is a user and the hash to compare with.
func (a *Accounts) find(name string) (u User, h passwd.Hash, ok bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	f, ok := a.users[name]
	if !ok {
		return User{}, passwd.Hash{}, false
	}
	return f.User, f.hash, true
}

// change does f to the tables and saves them; if that fails they are as before.
func (a *Accounts) change(f func() error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	users, keys := clone(a.users), clone(a.keys)
	err := f()
	if err == nil {
		err = a.save()
	}
	if err != nil {
		a.users, a.keys = users, keys
	}
	return err
}

func clone[V any](m map[string]*V) map[string]*V {
	out := make(map[string]*V, len(m))
	for k, v := range m {
		c := *v
		out[k] = &c
	}
	return out
}

// AddUser adds a user. Expensive.
func (a *Accounts) AddUser(name, password string, role Role) (User, error) {
	if err := checkName(name); err != nil {
		return User{}, err
	}
	if !role.valid() {
		return User{}, Fail(422, "role is to be viewer or administrator")
	}
	if err := checkPassword(password); err != nil {
		return User{}, err
	}
	u := &user{User{Name: name, Role: role, CreatedAt: time.Now().UTC()}, passwd.NewHash([]byte(password), passwd.DefaultCost)}
	return u.User, a.change(func() error {
		switch {
		case a.users[name] != nil:
			return fmt.Errorf("user %s: %w", name, ErrConflict)
		case len(a.users)+len(a.keys) >= a.max:
			return a.full()
		}
		a.users[name] = u
		return nil
	})
}

func (a *Accounts) full() error {
	return Fail(409, "there are %d users and API keys, as many as dashboard.max_users allows", a.max)
}

// SetPassword changes a password. Expensive.
func (a *Accounts) SetPassword(name, password string) error {
	if err := checkPassword(password); err != nil {
		return err
	}
	hash := passwd.NewHash([]byte(password), passwd.DefaultCost)
	return a.changeUser(name, func(u *user) error {
		u.hash, u.Initial = hash, false
		return nil
	})
}

// SetRole changes a role.
func (a *Accounts) SetRole(name string, role Role) error {
	if !role.valid() {
		return Fail(422, "role is to be viewer or administrator")
	}
	return a.changeUser(name, func(u *user) error {
		u.Role = role
		return a.administrated()
	})
}

// DeleteUser removes a user.
func (a *Accounts) DeleteUser(name string) error {
	return a.changeUser(name, func(*user) error {
		delete(a.users, name)
		return a.administrated()
	})
}

func (a *Accounts) changeUser(name string, f func(*user) error) error {
	return a.change(func() error {
		u := a.users[name]
		switch {
		case u == nil:
			return fmt.Errorf("user %s: %w", name, ErrNotFound)
		case u.Fixed:
			return Fail(409, "user %s is written in the configuration (dashboard): change it there", name)
		}
		return f(u)
	})
}

// administrated refuses to lock everybody out. It needs mu.
func (a *Accounts) administrated() error {
	for _, u := range a.users {
		if u.Role == Administrator {
			return nil
		}
	}
	return Fail(409, "one administrator has to stay")
}

// AddKey makes an API key; its secret is returned once and not kept.
func (a *Accounts) AddKey(name, by string, role Role, expires *time.Time) (k Key, secret string, err error) {
	if err := checkName(name); err != nil {
		return Key{}, "", err
	}
	if !role.valid() {
		return Key{}, "", Fail(422, "role is to be viewer or administrator")
	}
	if expires != nil && !expires.After(time.Now()) {
		return Key{}, "", Fail(422, "expires_at is over already")
	}
	k = Key{ID: random(9), Name: name, Role: role, CreatedAt: time.Now().UTC(), CreatedBy: by, ExpiresAt: expires}
	secret = random(32)
	err = a.change(func() error {
		if len(a.users)+len(a.keys) >= a.max {
			return a.full()
		}
		a.keys[k.ID] = &apiKey{k, sha256.Sum256([]byte(secret))}
		return nil
	})
	return k, keyPrefix + k.ID + "." + secret, err
}

// keyPrefix begins every API key, so that one that was committed somewhere can be
// found.
const keyPrefix = "emqttd_"

// DeleteKey revokes an API key.
func (a *Accounts) DeleteKey(id string) error {
	return a.change(func() error {
		if a.keys[id] == nil {
			return fmt.Errorf("API key %s: %w", id, ErrNotFound)
		}
		delete(a.keys, id)
		return nil
	})
}

// checkKey is the key that text is, if it is one and has not expired.
func (a *Accounts) checkKey(text string, now time.Time) (Key, bool) {
	id, secret, ok := strings.Cut(strings.TrimPrefix(text, keyPrefix), ".")
	if !ok || !strings.HasPrefix(text, keyPrefix) {
		return Key{}, false
	}
	sum := sha256.Sum256([]byte(secret))
	a.mu.RLock()
	defer a.mu.RUnlock()
	k := a.keys[id]
	if k == nil || subtle.ConstantTimeCompare(sum[:], k.sum[:]) != 1 || k.ExpiresAt != nil && !now.Before(*k.ExpiresAt) {
		return Key{}, false
	}
	return k.Key, true
}

func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7F || r == ':' }) {
		return Fail(422, "name is to have 1 to %d bytes, without control characters and ':'", maxName)
	}
	return nil
}

func checkPassword(p string) error {
	switch {
	case len(p) < 8 || len(p) > maxPassword:
		return Fail(422, "the password is to have 8 to %d bytes", maxPassword)
	case p == firstPassword:
		return Fail(422, "everybody knows this password")
	}
	return nil
}

// random is n random bytes as text.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
