// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/actors/access/scram"
)

// matches is a login as the link does it.
func matches(u *Users, name, password string) bool {
	_, h, ok := u.Lookup(name)
	return ok && h.Matches([]byte(password))
}

func TestUsersAreAddedChangedAndDeleted(t *testing.T) {
	u := NewUsers(cheap)
	require.NoError(t, u.Add("alice", []byte("one"), true))
	require.NoError(t, u.Add("bob", []byte("two"), false))
	require.ErrorIs(t, u.Add("bob", []byte("three"), true), ErrExists)
	require.True(t, matches(u, "bob", "two"), "a refused Add changes nothing")

	require.NoError(t, u.SetPassword("alice", []byte("new")))
	require.False(t, matches(u, "alice", "one"))
	require.True(t, matches(u, "alice", "new"))
	r, _, _ := u.Lookup("alice")
	require.True(t, r.Superuser, "a new password leaves the rest as it was")

	require.NoError(t, u.Delete("alice"))
	require.ErrorIs(t, u.Delete("alice"), ErrNotFound)
	require.ErrorIs(t, u.SetPassword("alice", []byte("x")), ErrNotFound)
	require.False(t, matches(u, "alice", "new"))
	require.Equal(t, 1, u.Len())
	require.Equal(t, "bob", u.Records()[0].Name)
}

func TestUsersRefuse(t *testing.T) {
	u := NewUsers(cheap)
	require.ErrorIs(t, u.Add("a", nil, false), ErrEmpty)
	require.EqualError(t, u.Add("", []byte("x"), false), "passwd: empty user name")
	require.Error(t, u.Add("a\nb", []byte("x"), false))
	require.Error(t, u.Add(strings.Repeat("a", maxName+1), []byte("x"), false))
	require.Zero(t, u.Len())
}

func TestUserLogsInWithSCRAM(t *testing.T) {
	u := NewUsers(cheap)
	require.NoError(t, u.Add("alice", []byte("secret"), false))
	require.NoError(t, u.Add("binary", []byte{0, 0xff}, false))
	r, _, _ := u.Lookup("alice")
	require.NoError(t, r.SCRAM.Check())
	require.Equal(t, scram.DefaultIterations, r.SCRAM.Iterations)
	r, _, _ = u.Lookup("binary")
	require.Nil(t, r.SCRAM, "a password that is no text has no SCRAM keys")
	require.True(t, matches(u, "binary", "\x00\xff"))
}

func TestRecordsSurviveAStore(t *testing.T) {
	u := NewUsers(cheap)
	require.NoError(t, u.Add("alice", []byte("one"), true))
	require.NoError(t, u.Add("bob", []byte{0xff}, false))
	kept, err := json.Marshal(u.Records())
	require.NoError(t, err)
	require.NotContains(t, string(kept), "one")

	var records []Record
	require.NoError(t, json.Unmarshal(kept, &records))
	again := NewUsers(cheap)
	require.NoError(t, again.Restore(records))
	require.Equal(t, u.Records(), again.Records())
	require.True(t, matches(again, "alice", "one"))

	records[1].Hash = "plain"
	require.EqualError(t, again.Restore(records), `passwd: user 1, "bob": `+ErrPlain.Error())
	records[1] = records[0]
	require.ErrorIs(t, again.Restore(records), ErrExists)
	records[1].Name, records[1].SCRAM = "eve", &scram.Keys{}
	require.Error(t, again.Restore(records))
	require.Equal(t, u.Records(), again.Records(), "a refused Restore changes nothing")
}

func TestDecoysFollowTheTable(t *testing.T) {
	u := NewUsers(cheap)
	require.Equal(t, Hash{}, u.Decoy(3))
	for i := range 5 {
		require.NoError(t, u.restore(Record{Name: fmt.Sprint("u", i), Hash: NewHash([]byte("x"), cheap).String()}))
	}
	for _, gone := range []string{"u1", "u4", "u0"} {
		require.NoError(t, u.Delete(gone))
		seen := map[string]bool{}
		for n := range uint64(u.Len()) {
			seen[u.Decoy(n).String()] = true
		}
		require.Len(t, seen, u.Len())
		for _, r := range u.Records() {
			require.True(t, seen[r.Hash], r.Name)
		}
	}
	require.NoError(t, u.Delete("u2"))
	require.NoError(t, u.Delete("u3"))
	require.Zero(t, u.Len())
}

func TestUsersAreSafeForConcurrentUse(t *testing.T) {
	u := NewUsers(cheap)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 3 {
				name := fmt.Sprint("u", (i+j)%3)
				_ = u.Add(name, []byte("x"), false) // taken or not: both are right
				matches(u, name, "x")
				u.Decoy(uint64(j))
				u.Records()
				if i == 0 {
					_ = u.Delete(name)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range u.Records() {
		require.True(t, matches(u, r.Name, "x"))
	}
}
