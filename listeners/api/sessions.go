// SPDX-License-Identifier: Apache-2.0

package api

import (
	"crypto/sha256"
	"sync"
	"time"
)

// sessions are the logins of the page. They end with the process.
type sessions struct {
	ttl time.Duration
	max int

	mu    sync.Mutex
	table map[[sha256.Size]byte]*session // by the sum of the cookie, so that a dump of memory is no key ring
}

type session struct {
	user string
	seen time.Time // of the last request
}

func newSessions(ttl time.Duration, max int) *sessions {
	return &sessions{ttl: ttl, max: max, table: map[[sha256.Size]byte]*session{}}
}

// open begins a session and returns the cookie's value.
func (s *sessions) open(now time.Time, user string) string {
	token := random(32)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.table) >= s.max {
		s.makeRoom(now)
	}
	s.table[sha256.Sum256([]byte(token))] = &session{user, now}
	return token
}

// makeRoom ends what has expired, or else what was idle longest.
func (s *sessions) makeRoom(now time.Time) {
	var oldest [sha256.Size]byte
	first := now.Add(time.Hour)
	for k, v := range s.table {
		if now.Sub(v.seen) > s.ttl {
			delete(s.table, k)
		} else if v.seen.Before(first) {
			oldest, first = k, v.seen
		}
	}
	if len(s.table) >= s.max {
		delete(s.table, oldest)
	}
}

// find is the user of a session that goes on.
func (s *sessions) find(now time.Time, token string) (user string, ok bool) {
	k := sha256.Sum256([]byte(token))
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.table[k]
	if v == nil {
		return "", false
	}
	if now.Sub(v.seen) > s.ttl {
		delete(s.table, k)
		return "", false
	}
	v.seen = now
	return v.user, true
}

func (s *sessions) close(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.table, sha256.Sum256([]byte(token)))
}

// closeOf ends all sessions of a user but the one with the token keep.
func (s *sessions) closeOf(user, keep string) {
	kept := sha256.Sum256([]byte(keep))
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, v := range s.table {
		if v.user == user && k != kept {
			delete(s.table, k)
		}
	}
}
