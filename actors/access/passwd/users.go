// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"emqttd/actors/access/scram"
)

// Users is the built-in table of users: emqttd's mqtt_auth_username, which its
// users command fills. It is in memory; Records and Restore are for whoever
// keeps it.
type Users struct {
	cost Cost

	mu    sync.RWMutex // protects the fields below
	table map[string]*user
	order []*user // for decoys; any order
}

// user does not change after it is in the table; a change replaces it.
type user struct {
	Record
	hash Hash
	at   int // index in order
}

// Record is a user as a store keeps it: no password, but what can be guessed
// from, so it is to be kept like one.
type Record struct {
	Name      string      `json:"name"`
	Hash      string      `json:"hash"`            // argon2id, or any that ParseHash knows
	SCRAM     *scram.Keys `json:"scram,omitempty"` // nil when the password cannot be used with SCRAM
	Superuser bool        `json:"superuser,omitempty"`
}

// Errors of Users.
var (
	ErrExists   = errors.New("passwd: the user exists")
	ErrNotFound = errors.New("passwd: no such user")
	ErrFull     = fmt.Errorf("passwd: more than %d users", maxUsers)
	ErrEmpty    = errors.New("passwd: empty password")
)

// NewUsers makes an empty table whose new passwords are hashed at cost.
func NewUsers(cost Cost) *Users {
	return &Users{cost: cost, table: make(map[string]*user)}
}

// Add adds a user. Expensive. ErrExists when the name is taken.
func (u *Users) Add(name string, password []byte, superuser bool) error {
	if _, ok := u.get(name); ok {
		return ErrExists // before the expense; put decides for good
	}
	made, err := u.make(name, password)
	if err != nil {
		return err
	}
	made.Superuser = superuser
	return u.put(made, func(old *user) error {
		if old != nil {
			return ErrExists
		}
		return nil
	})
}

// SetPassword replaces the password of a user. Expensive. ErrNotFound when there
// is no such user.
func (u *Users) SetPassword(name string, password []byte) error {
	if _, ok := u.get(name); !ok {
		return ErrNotFound
	}
	made, err := u.make(name, password)
	if err != nil {
		return err
	}
	return u.put(made, func(old *user) error {
		if old == nil {
			return ErrNotFound // deleted meanwhile: it stays deleted
		}
		made.Superuser = old.Superuser
		return nil
	})
}

// make hashes a password, for PLAIN and for SCRAM. A password that is no text
// that SCRAM can prepare has no SCRAM keys: such a user logs in with CONNECT's
// password only.
func (u *Users) make(name string, password []byte) (*user, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("passwd: %w", err)
	}
	if len(password) == 0 {
		return nil, ErrEmpty
	}
	h := NewHash(password, u.cost)
	made := &user{Record: Record{Name: name, Hash: h.String()}, hash: h}
	if keys, err := scram.Derive(string(password), scram.DefaultIterations); err == nil {
		made.SCRAM = &keys
	}
	return made, nil
}

// put stores made if check, which sees the present user or nil, has no objection.
func (u *Users) put(made *user, check func(old *user) error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	old := u.table[made.Name]
	if err := check(old); err != nil {
		return err
	}
	if old != nil {
		made.at = old.at
		u.order[old.at] = made
	} else {
		if len(u.order) == maxUsers {
			return ErrFull
		}
		made.at = len(u.order)
		u.order = append(u.order, made)
	}
	u.table[made.Name] = made
	return nil
}

// Delete removes a user. ErrNotFound when there is no such user.
func (u *Users) Delete(name string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	gone, ok := u.table[name]
	if !ok {
		return ErrNotFound
	}
	delete(u.table, name)
	// The last takes the place of the one that goes. Users do not change, so it
	// is a copy that does.
	last := *u.order[len(u.order)-1]
	u.order = u.order[:len(u.order)-1]
	if last.Name != name {
		last.at = gone.at
		u.order[gone.at] = &last
		u.table[last.Name] = &last
	}
	return nil
}

func (u *Users) get(name string) (*user, bool) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	found, ok := u.table[name]
	return found, ok
}

// Lookup is the record and the hash of a user.
func (u *Users) Lookup(name string) (Record, Hash, bool) {
	found, ok := u.get(name)
	if !ok {
		return Record{}, Hash{}, false
	}
	return found.Record, found.hash, true
}

// Len is the number of users.
func (u *Users) Len() int {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return len(u.order)
}

// Decoy is as File.Decoy.
func (u *Users) Decoy(n uint64) Hash {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if len(u.order) == 0 {
		return Hash{}
	}
	return u.order[n%uint64(len(u.order))].hash
}

// Records are all users, by name: for a store, and for the users command. Keys
// are shared with the table and must not be changed.
func (u *Users) Records() []Record {
	u.mu.RLock()
	all := make([]Record, 0, len(u.table))
	for found := range maps.Values(u.table) {
		all = append(all, found.Record)
	}
	u.mu.RUnlock()
	slices.SortFunc(all, func(a, b Record) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Restore replaces the whole table. On an error, which names the record, the
// table stays as it was.
func (u *Users) Restore(records []Record) error {
	next := NewUsers(u.cost)
	for i, r := range records {
		if err := next.restore(r); err != nil {
			return fmt.Errorf("passwd: user %d, %q: %w", i, r.Name, err)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.table, u.order = next.table, next.order
	return nil
}

func (u *Users) restore(r Record) error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	h, err := ParseHash(r.Hash)
	if err != nil {
		return err
	}
	if r.SCRAM != nil {
		if err := r.SCRAM.Check(); err != nil {
			return err
		}
	}
	return u.put(&user{Record: r, hash: h}, func(old *user) error {
		if old != nil {
			return ErrExists
		}
		return nil
	})
}
