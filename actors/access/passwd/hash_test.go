// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

// cheap keeps tests short; the cost is part of the hash.
var cheap = Cost{MemoryKiB: 64, Passes: 1, Lanes: 1}

// Made by mosquitto_passwd 2.0.11 with -H sha512 and without; the others below by
// crypt(3), argon2(1) and OpenSSL's PBKDF2.
const (
	mosquitto6 = "$6$57HDNR7bZlcW4Uqe$rZRT9/GpKI+/kztZ+gHofyZijvR3wfuR5g63WaTceH+AXProjYoRiPJmg/1TBftjBwZthpwyNyxphgY01kX/lg=="
	mosquitto7 = "$7$101$0QVR0enX6rI8miU2$q/4lqhzsg/czGZimWRMHTVywXZZtmDdXqYLAceKSPeSFxd9RQxQAXuFRi45/4O8DhZz+ICnuNBSI8/gBX1hibQ=="
)

func TestHashesOfOthersAreRead(t *testing.T) {
	cases := []struct{ name, encoded, password string }{
		{"mosquitto sha512", mosquitto6, "secret-carol"},
		{"mosquitto pbkdf2", mosquitto7, "secret-alice"},
		{"mosquitto pbkdf2, salt of 64 bytes", "$7$1000$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==$AFeYEPz3JVUJ9bjItOuu+rqdnsZeWs/gHlIWeBwnuHYTs68LKTJUpRP+8WTl8KPnINjUEsKat+52uSymIFyICQ==", "secret-long"},
		{"bcrypt 2b", "$2b$04$TKa83/OHXGhsnU0nEIj0Ve5KN7FvGWJZgWJUD8fk8CO7atqwtZUQW", "secret-bcrypt"},
		{"bcrypt 2y", "$2y$04$TKa83/OHXGhsnU0nEIj0Ve5KN7FvGWJZgWJUD8fk8CO7atqwtZUQW", "secret-bcrypt"},
		{"argon2id", "$argon2id$v=19$m=1024,t=2,p=2$c29tZXNhbHQ4$nhp8IeYrA0Jin+jD3ivflHf6m0+jQqA6bdsHC7eMnG7yyb+5nSSHAV719F6Tb+G/hMzeZb9ycIfx4ho+zLCqCQ", "secret-argon"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, err := ParseHash(c.encoded)
			require.NoError(t, err)
			require.Equal(t, c.encoded, h.String())
			require.True(t, h.Matches([]byte(c.password)))
			require.False(t, h.Matches([]byte(c.password+"x")))
			require.False(t, h.Matches([]byte(c.password[1:])))
			require.False(t, h.Matches(nil))
		})
	}
}

func TestNewHashIsReadBack(t *testing.T) {
	for _, password := range []string{"a", "with \x00 zero", strings.Repeat("long", 16_000)} {
		h := NewHash([]byte(password), cheap)
		require.Regexp(t, `^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, h.String())
		again, err := ParseHash(h.String())
		require.NoError(t, err)
		require.True(t, again.Matches([]byte(password)))
		require.False(t, again.Matches([]byte(password+" ")))
		require.NotEqual(t, h.String(), NewHash([]byte(password), cheap).String(), "every hash has its own salt")
	}
}

func TestBcryptLooksAtTheFirst72Bytes(t *testing.T) {
	long := strings.Repeat("a", 72)
	sum, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	require.NoError(t, err)
	h, err := ParseHash(string(sum))
	require.NoError(t, err)
	require.True(t, h.Matches([]byte(long)))
	require.True(t, h.Matches([]byte(long+"b")))
	require.False(t, h.Matches([]byte(long[:71])))
}

func TestZeroHashMatchesNothing(t *testing.T) {
	require.False(t, Hash{}.Matches(nil))
	require.False(t, Hash{}.Matches([]byte("a")))
}

func TestHashIsRefused(t *testing.T) {
	argon := func(cost string) string {
		return "$argon2id$v=19$" + cost + "$" + strings.Repeat("A", 22) + "$" + strings.Repeat("A", 43)
	}
	_, err := ParseHash(argon("m=1048576,t=64,p=255"))
	require.NoError(t, err, "the highest cost is allowed")
	cases := []struct{ name, encoded, want string }{
		{"plain text", "secret", ErrPlain.Error()},
		{"empty", "", ErrPlain.Error()},
		{"unknown", "$5$salt$sum", ErrScheme.Error()},
		{"argon2i", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", ErrScheme.Error()},
		{"crypt(3) $6$", "$6$rounds=5000$salt$" + strings.Repeat("a", 86), errBase64.Error()},
		{"short sum", "$6$AAAAAAAAAAAAAAAA$AAAA", errBase64.Error()},
		{"no salt", "$6$$" + strings.Repeat("A", 86) + "==", errBase64.Error()},
		{"no iterations", strings.Replace(mosquitto7, "$101$", "$$", 1), "the number of iterations must be 1 to 5000000"},
		{"no work", strings.Replace(mosquitto7, "$101$", "$0$", 1), "the number of iterations must be 1 to 5000000"},
		{"too much work", strings.Replace(mosquitto7, "$101$", "$5000001$", 1), "the number of iterations must be 1 to 5000000"},
		{"argon2 version", strings.Replace(argon("m=64,t=1,p=1"), "v=19", "v=16", 1), "argon2id is written $argon2id$v=19$m=..,t=..,p=..$salt$sum"},
		{"argon2 memory", argon("m=1048577,t=1,p=1"), "argon2id: m= must be 1 to 1048576"},
		{"argon2 passes", argon("m=64,t=65,p=1"), "argon2id: t= must be 1 to 64"},
		{"argon2 lanes", argon("m=64,t=1,p=256"), "argon2id: p= must be 1 to 255"},
		{"argon2 order", argon("t=1,m=64,p=1"), "argon2id: m= must be 1 to 1048576"},
		{"bcrypt cost", "$2b$17$" + strings.Repeat("a", 53), "bcrypt cost 17, at most 16 is allowed"},
		{"bcrypt length", "$2b$10$" + strings.Repeat("a", 52), "not a bcrypt hash of 60 characters"},
		{"too long", "$6$" + strings.Repeat("A", maxEncoded), "hash of 515 bytes, at most 512 are allowed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseHash(c.encoded)
			require.EqualError(t, err, c.want)
		})
	}
}

func BenchmarkMatches(b *testing.B) {
	parse := func(s string) Hash {
		h, err := ParseHash(s)
		require.NoError(b, err)
		return h
	}
	for name, h := range map[string]Hash{
		"sha512": parse(mosquitto6), "pbkdf2_101": parse(mosquitto7),
		"argon2id_default": NewHash([]byte("secret"), DefaultCost),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				h.Matches([]byte("other"))
			}
		})
	}
}
