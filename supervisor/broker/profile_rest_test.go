// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
)

func TestAProfileIsForGoToolPprof(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).root()
	for _, c := range []struct{ query, unit string }{
		{"?kind=heap", "inuse_space"},
		{"?kind=goroutine", "goroutine"},
		{"?seconds=1", "nanoseconds"},
		{"?kind=cpu&seconds=1", "nanoseconds"},
	} {
		t.Run(c.query, func(t *testing.T) {
			res := w.send("GET", "/profile"+c.query, nil)
			require.Equal(t, http.StatusOK, res.StatusCode)
			require.Equal(t, "application/octet-stream", res.Header.Get("Content-Type"))
			z, err := gzip.NewReader(res.Body)
			require.NoError(t, err)
			text, err := io.ReadAll(z)
			require.NoError(t, err)
			require.Contains(t, string(text), c.unit, "the profile names what it counts")
		})
	}
	var log api.Page[api.AuditEntry]
	w.get("/audit?action=profile.take", &log)
	require.Equal(t, 4, log.Total)
}

func TestAProfileIsBounded(t *testing.T) {
	b := withDashboard(t, "dashboard.max_profile=5s")
	w := browse(t, b)
	for _, query := range []string{"?seconds=0", "?seconds=-1", "?seconds=6", "?seconds=x", "?seconds=99999999999999999999"} {
		require.Contains(t, w.root().refused(http.StatusBadRequest, "GET", "/profile"+query, nil), "from 1 to 5", query)
	}
	require.Contains(t, w.root().refused(http.StatusBadRequest, "GET", "/profile?kind=block", nil), "cpu, heap or goroutine")
	w.guest().refused(http.StatusForbidden, "GET", "/profile?kind=heap", nil)
	w.refused(http.StatusUnauthorized, "GET", "/profile?kind=heap", nil)
}

func TestOneProfileIsTakenAtATimeAndForNobodyNone(t *testing.T) {
	b := withDashboard(t)
	ctx, leave := context.WithCancel(t.Context())
	long, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.Addr("dashboard").String()+"/api/v1/profile?seconds=60", nil)
	require.NoError(t, err)
	long.SetBasicAuth("root", "toor toor")
	gone := make(chan error, 1)
	go func() {
		for {
			res, err := http.DefaultClient.Do(long)
			if err == nil {
				_ = res.Body.Close()
				if res.StatusCode == http.StatusConflict {
					continue // one of those below came first
				}
			}
			gone <- err
			return
		}
	}()
	w := browse(t, b).root()
	second := func() int { return w.send("GET", "/profile?kind=heap", nil).StatusCode }
	require.Eventually(t, func() bool { return second() == http.StatusConflict }, 10*time.Second, time.Millisecond)
	require.Contains(t, w.refused(http.StatusConflict, "GET", "/profile", nil), "one at a time")

	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.Eventually(t, func() bool { return second() == http.StatusOK }, 10*time.Second, time.Millisecond,
		"a minute that nobody waits for ends at once")
}
