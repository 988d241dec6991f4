// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// Cache remembers successful checks, so that a client that comes back within
// the time to live costs about a microsecond instead of a hash. Failures are not
// remembered: guessing stays expensive.
//
// An entry is an HMAC, under a key that this process drew, over user, password
// and the stored hash. When the stored hash changes its entries cannot be found
// any more, so there is nothing to remove. Memory holds no password.
type Cache struct {
	key [32]byte
	ttl time.Duration
	max int // entries in each of the two generations

	mu sync.Mutex // protects the fields below
	// Entries go into young; when it is full it becomes old, and what was old
	// is forgotten. That bounds the cache without a list to keep in order.
	young, old map[tag]time.Time // -> when it ends
}

type tag [sha256.Size]byte

// NewCache makes a cache of at most max entries. With ttl or max of zero or
// less it remembers nothing.
func NewCache(ttl time.Duration, max int) *Cache {
	c := &Cache{ttl: ttl, max: (max + 1) / 2, young: make(map[tag]time.Time)}
	rand.Read(c.key[:]) // never fails
	return c
}

// Seen reports whether h matched user and password less than the time to live
// ago. Cheap. A nil Cache has seen nothing.
func (c *Cache) Seen(now time.Time, user string, password []byte, h Hash) bool {
	if c == nil || c.ttl <= 0 || c.max <= 0 {
		return false
	}
	t := c.tag(user, password, h)
	c.mu.Lock()
	defer c.mu.Unlock()
	end, ok := c.young[t]
	if !ok {
		end, ok = c.old[t]
	}
	return ok && now.Before(end)
}

// Matches is h.Matches through the cache: expensive when it has not been seen.
func (c *Cache) Matches(now time.Time, user string, password []byte, h Hash) bool {
	if c.Seen(now, user, password, h) {
		return true
	}
	if !h.Matches(password) {
		return false
	}
	c.remember(now, user, password, h)
	return true
}

func (c *Cache) remember(now time.Time, user string, password []byte, h Hash) {
	if c == nil || c.ttl <= 0 || c.max <= 0 {
		return
	}
	t := c.tag(user, password, h)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.max {
		c.young, c.old = make(map[tag]time.Time), c.young
	}
	c.young[t] = now.Add(c.ttl)
}

// Len is the number of entries, ended ones included.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}

// tag is the HMAC; lengths stand before the fields, so that none can run into
// the next.
func (c *Cache) tag(user string, password []byte, h Hash) (t tag) {
	mac := hmac.New(sha256.New, c.key[:])
	var n [8]byte
	for _, field := range [][]byte{[]byte(user), password, []byte(h.encoded)} {
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		mac.Write(n[:])
		mac.Write(field)
	}
	mac.Sum(t[:0])
	return t
}
