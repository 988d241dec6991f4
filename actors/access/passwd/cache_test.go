// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted is a scheme that counts how often it was asked.
type counted struct {
	password string
	asked    *int
}

func (c counted) matches(password []byte) bool {
	*c.asked++
	return string(password) == c.password
}

func countedHash(encoded, password string) (Hash, *int) {
	asked := new(int)
	return Hash{encoded: encoded, scheme: counted{password, asked}}, asked
}

func TestASuccessfulCheckIsNotRepeatedUntilItEnds(t *testing.T) {
	c := NewCache(time.Minute, 10)
	h, asked := countedHash("h1", "secret")
	start := time.Unix(1_000, 0)
	require.True(t, c.Matches(start, "u", []byte("secret"), h))
	require.True(t, c.Matches(start.Add(time.Minute-1), "u", []byte("secret"), h))
	require.Equal(t, 1, *asked)
	require.False(t, c.Seen(start.Add(time.Minute), "u", []byte("secret"), h))
	require.True(t, c.Matches(start.Add(time.Minute), "u", []byte("secret"), h))
	require.Equal(t, 2, *asked)
}

func TestACacheEntryIsForOneUserPasswordAndHash(t *testing.T) {
	c := NewCache(time.Minute, 10)
	now := time.Unix(1_000, 0)
	h, _ := countedHash("h1", "secret")
	require.True(t, c.Matches(now, "u", []byte("secret"), h))
	changed, asked := countedHash("h2", "new")
	require.False(t, c.Matches(now, "u", []byte("secret"), changed), "the record changed")
	require.Equal(t, 1, *asked)
	require.False(t, c.Seen(now, "v", []byte("secret"), h))
	require.False(t, c.Seen(now, "us", []byte("ecret"), h), "fields do not run into each other")
	require.False(t, c.Seen(now, "u", []byte("Secret"), h))
	require.False(t, NewCache(time.Minute, 10).Seen(now, "u", []byte("secret"), h))
}

func TestFailuresAreNotCached(t *testing.T) {
	c := NewCache(time.Minute, 10)
	h, asked := countedHash("h1", "secret")
	for range 3 {
		require.False(t, c.Matches(time.Unix(1, 0), "u", []byte("guess"), h))
	}
	require.Equal(t, 3, *asked)
	require.Zero(t, c.Len())
}

func TestTheCacheIsBounded(t *testing.T) {
	c := NewCache(time.Hour, 10)
	now := time.Unix(1_000, 0)
	h, _ := countedHash("h1", "secret")
	for i := range 100 {
		require.True(t, c.Matches(now, fmt.Sprint(i), []byte("secret"), h))
		require.LessOrEqual(t, c.Len(), 10)
		require.True(t, c.Seen(now, fmt.Sprint(max(0, i-4)), []byte("secret"), h), "the latest stay")
	}
}

func TestACacheCanBeOff(t *testing.T) {
	h, asked := countedHash("h1", "secret")
	for _, c := range []*Cache{nil, NewCache(0, 10), NewCache(time.Hour, 0)} {
		require.True(t, c.Matches(time.Unix(1, 0), "u", []byte("secret"), h))
		require.False(t, c.Seen(time.Unix(1, 0), "u", []byte("secret"), h))
	}
	require.Equal(t, 3, *asked)
}

func BenchmarkSeen(b *testing.B) {
	c := NewCache(time.Hour, 10)
	h, _ := countedHash(mosquitto7, "secret")
	now := time.Unix(1_000, 0)
	c.Matches(now, "user", []byte("secret"), h)
	for b.Loop() {
		if !c.Seen(now, "user", []byte("secret"), h) {
			b.Fatal("seen")
		}
	}
}
