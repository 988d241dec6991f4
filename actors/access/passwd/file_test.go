// SPDX-License-Identifier: Apache-2.0

package passwd

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPasswordFileOfMosquittoIsRead(t *testing.T) {
	src, err := os.ReadFile("testdata/mosquitto.passwd")
	require.NoError(t, err)
	f, err := ParseFile("pw", string(src))
	require.NoError(t, err)
	require.Equal(t, 4, f.Len())
	require.Equal(t, []string{"pw:6: no colon, the line is skipped"}, f.Warnings())
	for _, c := range []struct{ user, password, place string }{
		{"alice", "secret-alice", "pw:2"},
		{"bob", "secret-bob", "pw:3"},
		{"carol", "secret-carol", "pw:4"},
		{"dave jones", "secret-bcrypt", "pw:7"},
	} {
		h, place, ok := f.Lookup(c.user)
		require.True(t, ok, c.user)
		require.Equal(t, c.place, place)
		require.True(t, h.Matches([]byte(c.password)), c.user)
		require.False(t, h.Matches([]byte("secret")), c.user)
	}
	for _, unknown := range []string{"", "Alice", "alice ", "nobody"} {
		_, _, ok := f.Lookup(unknown)
		require.False(t, ok, unknown)
	}
}

func TestFaultsOfAPasswordFileAreNamedWithTheirLine(t *testing.T) {
	cases := []struct{ name, src, want string }{
		{"plain password", "# users\nbob:secret", `pw:2: user "bob": ` + ErrPlain.Error()},
		{"no password", "bob:", `pw:1: user "bob": ` + ErrPlain.Error()},
		{"no user", ":" + mosquitto7, "pw:1: empty user name"},
		{"twice", "a:" + mosquitto7 + "\n\na:" + mosquitto6, `pw:3: user "a" is already in line 1`},
		{"bytes", "a\xff:" + mosquitto7, `pw:1: user name "a\xff" is not one line of UTF-8`},
		{"long name", strings.Repeat("a", maxName+1) + ":" + mosquitto7, "pw:1: user name of 1025 bytes, at most 1024 are allowed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseFile("pw", c.src)
			require.EqualError(t, err, c.want)
			require.NotContains(t, err.Error(), "secret", "no password in a message")
		})
	}
	_, err := ParseFile("pw", strings.Repeat("a", maxName)+":"+mosquitto7)
	require.NoError(t, err)
}

func TestPasswordFileIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range maxUsers {
		fmt.Fprintf(&b, "u%d:%s\n", i, mosquitto6)
	}
	f, err := ParseFile("pw", b.String())
	require.NoError(t, err)
	require.Equal(t, maxUsers, f.Len())
	_, err = ParseFile("pw", b.String()+"one:"+mosquitto6)
	require.EqualError(t, err, "pw:200001: more than 200000 users")
}

func TestDecoyIsOneOfTheUsersOwn(t *testing.T) {
	f, err := ParseFile("pw", "a:"+mosquitto6+"\nb:"+mosquitto7)
	require.NoError(t, err)
	require.Equal(t, mosquitto6, f.Decoy(4).String())
	require.Equal(t, mosquitto7, f.Decoy(7).String())
	empty, err := ParseFile("pw", "")
	require.NoError(t, err)
	require.Equal(t, Hash{}, empty.Decoy(7))
}

func FuzzParseFile(f *testing.F) {
	f.Add("a:" + mosquitto6 + "\nb:" + mosquitto7 + "\nno colon\n# comment\n")
	f.Add("c:$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA\r\n")
	f.Add("d:$2b$04$TKa83/OHXGhsnU0nEIj0Ve5KN7FvGWJZgWJUD8fk8CO7atqwtZUQW")
	f.Fuzz(func(t *testing.T, src string) {
		file, err := ParseFile("f", src)
		if err != nil {
			require.Regexp(t, `^f:\d+: `, err.Error())
			return
		}
		require.LessOrEqual(t, file.Len()+len(file.Warnings()), strings.Count(src, "\n")+1)
		for user, r := range file.users {
			again, err := ParseHash(r.hash.String())
			require.NoError(t, err, user)
			require.Equal(t, r.hash, again)
		}
	})
}
