// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Everything that somebody outside can make grow has a bound.

func TestAPageIsWhatSortingAllWouldGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfDistinct(rapid.IntRange(0, 500), rapid.ID[int]).Draw(t, "all")
		q := Query{Page: rapid.IntRange(1, 6).Draw(t, "page"), Limit: rapid.IntRange(1, 40).Draw(t, "limit"),
			Desc: rapid.Bool().Draw(t, "desc"), Scan: 1000}
		odd := func(v int) bool { return v%2 == 1 }
		got := Pick(slices.Values(all), q, odd, func(a, b int) bool { return a < b })
		want := slices.DeleteFunc(slices.Sorted(slices.Values(all)), func(v int) bool { return !odd(v) })
		if q.Desc {
			slices.Reverse(want)
		}
		require.Equal(t, len(want), got.Total)
		want = want[min(q.Offset(), len(want)):min(q.Offset()+q.Limit, len(want))]
		require.Equal(t, append([]int{}, want...), got.Items)
	})
}

func TestASlowReaderLosesEventsAndDelaysNobody(t *testing.T) {
	h := newHub(8)
	slow, fast := h.open([]string{"client"}), h.open(nil)
	for i := range 20 {
		h.publish(Event{Type: "client.connected", Data: i})
		h.publish(Event{Type: "stats"})
		require.Equal(t, i, (<-fast.events).Data)
		require.Equal(t, "stats", (<-fast.events).Type)
	}
	require.Len(t, slow.events, 8)
	require.EqualValues(t, 12, slow.dropped.Load())
	require.Zero(t, fast.dropped.Load())
	h.leave(slow)
	require.Len(t, *h.consumers.Load(), 1)
}

func TestWrongPasswordsAreForgottenAfterTheirWindow(t *testing.T) {
	l := newLimiter(3, time.Minute)
	now := time.Unix(1000, 0)
	peer := netip.MustParseAddr("2001:db8:1:2::1")
	for range 3 {
		require.Zero(t, l.wait(now, peer, "ann"))
		l.fail(now, peer, "ann")
	}
	require.Equal(t, time.Minute, l.wait(now, netip.MustParseAddr("2001:db8:1:2:ffff::9"), ""), "the whole /64")
	require.Zero(t, l.wait(now, netip.MustParseAddr("2001:db8:1:3::1"), "ann"), "others may still try")
	for i := range 9 * 3 {
		l.fail(now, netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", i)), "ann")
	}
	require.Positive(t, l.wait(now, netip.MustParseAddr("10.1.1.1"), "ann"), "but not for ever at one user")
	require.Zero(t, l.wait(now, netip.MustParseAddr("10.1.1.1"), "bob"))
	require.Zero(t, l.wait(now.Add(time.Minute), peer, "ann"))
}

func TestTheTableOfWrongPasswordsIsBounded(t *testing.T) {
	l := newLimiter(2, time.Minute)
	now := time.Unix(1000, 0)
	for i := range maxFailing + 50 {
		l.fail(now, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "")
	}
	require.LessOrEqual(t, len(l.seen), maxFailing+1)
	require.Positive(t, l.wait(now, netip.MustParseAddr("192.0.2.1"), ""), "what there is no room for is counted together")
	require.Zero(t, l.wait(now.Add(time.Hour), netip.MustParseAddr("192.0.2.1"), ""))
}

func TestSessionsEndAndAreBounded(t *testing.T) {
	s := newSessions(time.Hour, 2)
	now := time.Unix(1000, 0)
	a := s.open(now, "a")
	b := s.open(now.Add(time.Minute), "b")
	_, ok := s.find(now.Add(2*time.Minute), a)
	require.True(t, ok)
	c := s.open(now.Add(3*time.Minute), "c")
	_, ok = s.find(now.Add(3*time.Minute), b)
	require.False(t, ok, "the one longest without a request made room")
	user, ok := s.find(now.Add(3*time.Minute), c)
	require.True(t, ok)
	require.Equal(t, "c", user)
	_, ok = s.find(now.Add(2*time.Hour), a)
	require.False(t, ok)
}

func TestTheAuditLogIsAFileOfABoundedSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	open := func() *Audit {
		a, err := OpenAudit(path, 4096, 10, zerolog.Nop())
		require.NoError(t, err)
		return a
	}
	a := open()
	for i := range 100 {
		a.Add(AuditEntry{Action: fmt.Sprintf("change.%d", i), Path: strings.Repeat("x", 100)})
	}
	newest := slices.Collect(a.Newest)
	require.Len(t, newest, 10)
	require.Equal(t, "change.99", newest[0].Action)
	require.Equal(t, "change.90", newest[9].Action)
	require.NoError(t, a.Close())
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(4096))
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			require.True(t, json.Valid([]byte(line)), line)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"action":"half a li`) // a crash in the middle of a line
	require.NoError(t, err)
	require.NoError(t, f.Close())
	a = open()
	require.Equal(t, "change.99", slices.Collect(a.Newest)[0].Action)
	require.NoError(t, a.Close())
}

func TestTwoDocumentsMayNotDescribeOnePath(t *testing.T) {
	_, err := mergeDocuments([][]byte{document, []byte("paths: {/node: {}}")})
	require.ErrorContains(t, err, "/node")
	_, err = mergeDocuments([][]byte{document, []byte("components: {schemas: {Node: {}}}")})
	require.ErrorContains(t, err, "Node")
	text, err := mergeDocuments([][]byte{document, []byte("paths: {/new: {}}")})
	require.NoError(t, err)
	require.Contains(t, string(text), `"/new":{}`)
}

func TestAccountsThatAreNoFileOfOursAreNotReplaced(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "x", "a newer format": `{"format":2}`, "a broken hash": `{"format":1,"users":[{"name":"a","hash":"$argon2id$x"}]}`} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "dashboard.json")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := OpenAccounts(path, 10, nil, nil)
			require.ErrorContains(t, err, path)
		})
	}
}

func TestOneAdministratorHasToStay(t *testing.T) {
	a, err := OpenAccounts("", 10, nil, nil)
	require.NoError(t, err)
	require.Error(t, a.DeleteUser("admin"))
	require.Error(t, a.SetRole("admin", Viewer))
	require.Equal(t, Administrator, a.Users()[0].Role, "what was refused was not done")
	_, err = a.AddUser("ann", "12345678", Administrator)
	require.NoError(t, err)
	require.NoError(t, a.DeleteUser("admin"))
}
