// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
	"emqttd/supervisor/broker/brokertest"
)

// What somebody tries who has no right to be there.

// plainly sends bytes to the dashboard's port and returns what comes until it is
// closed.
func plainly(t *testing.T, b *brokertest.Broker, request string) string {
	t.Helper()
	nc, err := net.Dial("tcp", b.Addr("dashboard").String())
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	_, err = io.WriteString(nc, request)
	require.NoError(t, err)
	answer, err := io.ReadAll(nc) // the broker ends it
	if err != nil {
		require.ErrorContains(t, err, "reset")
	}
	return string(answer)
}

func TestWhoeverIsSlowIsCutOff(t *testing.T) {
	b := withDashboard(t, "dashboard.timeout=1s", "dashboard.max_connections=2")
	const head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for _, tt := range []struct{ name, sent, status string }{
		{"nothing", "", ""},
		{"half a request line", "GET /", ""},
		{"headers without end", "GET / HTTP/1.1\r\nHost: localhost\r\nX: 1\r\n", ""},
		{"a body that does not come", head + "Content-Length: 100\r\n\r\n{", "400"},
		{"chunks that do not come", head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", "400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			done := make(chan string, 2)
			for range cap(done) { // all the connections that there are
				go func() { done <- plainly(t, b, tt.sent) }()
			}
			require.Equal(t, http.StatusOK, browse(t, b).send("GET", "//livez", nil).StatusCode, "others wait, and have their turn")
			for range cap(done) {
				answer := <-done
				if tt.status != "" {
					require.Contains(t, answer, "HTTP/1.1 "+tt.status)
				}
			}
		})
	}
}

// TestWhatIsTooLargeIsRefusedByEveryRoute, whoever sends it.
func TestWhatIsTooLargeIsRefusedByEveryRoute(t *testing.T) {
	b := withDashboard(t, "dashboard.max_body=1KiB", "dashboard.login_failures=100000")
	w := browse(t, b).root()
	require.Contains(t, plainly(t, b, "GET / HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", 64<<10)), "431 ")
	var doc struct {
		Paths map[string]map[string]map[string]any `json:"paths"`
	}
	w.get("/openapi.json", &doc)
	large := `{"text": "` + strings.Repeat("x", 64<<10) + `"}`
	everyRoute(b, func(r api.Route, path string) {
		if r.Method == http.MethodGet {
			return
		}
		q, err := http.NewRequestWithContext(t.Context(), r.Method, w.base+api.Prefix+strings.TrimPrefix(path, api.Prefix), strings.NewReader(large))
		require.NoError(t, err)
		q.Header.Set("Content-Type", "application/json")
		q.SetBasicAuth("root", "toor toor")
		res, err := w.client.Do(q)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Less(t, res.StatusCode, 500, "%s %s", r.Method, path)
		_, takes := doc.Paths[r.Path][strings.ToLower(r.Method)]["requestBody"]
		if takes {
			require.GreaterOrEqual(t, res.StatusCode, 400, "%s %s", r.Method, path)
		}
	})
}

// TestOnlyThePagesOwnFilesAreServed, whatever the path looks like, and nobody is
// sent to another host.
func TestOnlyThePagesOwnFilesAreServed(t *testing.T) {
	b := withDashboard(t)
	for _, path := range []string{
		"/../../../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/....//....//etc/passwd", "/..\\..\\etc\\passwd",
		"/dist/app.js", "/dist/../app.js", "//evil.example/..", "//evil.example/%2e%2e", "/\\evil.example", "/app.js%00.html", "/app.js/",
		"/api/v1/../../etc/passwd", "/api/v1/users/..%2f..%2f", "/api/v1//evil.example", "http://evil.example/app.css", "/audit.log", "/ctl.token", "/dashboard.json",
	} {
		answer := plainly(t, b, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		require.NoError(t, err, path)
		require.NotContains(t, answer, "root:", path)
		switch to := res.Header.Get("Location"); {
		case to != "":
			require.Regexp(t, `^/([^/\\]|$)`, to, path)
		case res.StatusCode == http.StatusOK:
			require.Equal(t, "http://evil.example/app.css", path, "the form that proxies are asked in")
		}
	}
}

// TestARebindingPageReachesNothing: its name leads to 127.0.0.1, and its browser
// says so.
func TestARebindingPageReachesNothing(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).root().with("Host", "rebound.example:18083")
	for _, path := range []string{"//", "//app.js", "//metrics", "//livez", "//readyz", "//status", "//mqtt", "/openapi.json", "/login", "/events", "/microscope"} {
		require.Equal(t, http.StatusForbidden, w.send("GET", path, nil).StatusCode, path)
	}
	upgrade := func(lines string) string {
		return "GET /mqtt HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTMtMTU0NDE1NjY2MjM2NA==\r\n" +
			"Sec-WebSocket-Protocol: mqtt\r\n" + lines + "\r\n"
	}
	require.Contains(t, plainly(t, b, upgrade("Host: rebound.example\r\nOrigin: http://rebound.example\r\n")), "403 ")
	require.Contains(t, plainly(t, b, upgrade("Host: localhost\r\nOrigin: http://evil.example\r\n")), "403 ")
}

// TestTheFirstPasswordIsNotTakenFromElsewhere: what counts is the address that a
// request comes from.
func TestTheFirstPasswordIsNotTakenFromElsewhere(t *testing.T) {
	b := brokertest.Start(t, "dashboard.bind=127.0.0.1:0")
	ask := func(from, host string, header ...string) int {
		r := httptest.NewRequest(http.MethodPost, "http://"+host+"/api/v1/login", strings.NewReader(`{"username": "admin", "password": "public"}`))
		r.RemoteAddr = from
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Requested-With", "emqttd")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		b.API().Handler().ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, http.StatusOK, ask("127.0.0.1:4711", "localhost"))
	require.Equal(t, http.StatusOK, ask("[::1]:4711", "[::1]:18083"))
	require.Equal(t, http.StatusOK, ask("[::ffff:127.0.0.1]:4711", "127.0.0.1"))
	for _, from := range []string{"192.0.2.7:4711", "[2001:db8::1]:4711", "[fe80::1%lo]:4711", "10.0.0.1:80", "0.0.0.0:1"} {
		require.Equal(t, http.StatusForbidden, ask(from, "localhost"), from)
		require.Equal(t, http.StatusForbidden, ask(from, "localhost", "X-Forwarded-For", "127.0.0.1"), from)
	}
	require.Equal(t, http.StatusForbidden, ask("127.0.0.1:4711", "localhost", "X-Forwarded-For", "127.0.0.1"))
	require.Equal(t, http.StatusForbidden, ask("127.0.0.1:4711", "localhost", "Forwarded", "for=127.0.0.1"))
}

// TestACookieThatSomebodyElseChoseIsNotASession, before and after the log-in.
func TestACookieThatSomebodyElseChoseIsNotASession(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).with("X-Requested-With", "emqttd").with("Cookie", "emqttd_session=chosen-by-somebody-else")
	h := w.call("POST", "/login", api.Credentials{Username: "root", Password: "toor toor"}, http.StatusOK, nil)
	cookie := h.Get("Set-Cookie")
	require.NotContains(t, cookie, "chosen")
	w.refused(http.StatusUnauthorized, "GET", "/session", nil)
	mine := strings.SplitN(cookie, ";", 2)[0]
	browse(t, b).with("Cookie", mine).get("/session", nil)
	browse(t, b).with("Cookie", mine[:len(mine)-1]).refused(http.StatusUnauthorized, "GET", "/session", nil)
	browse(t, b).with("Cookie", mine+"x").refused(http.StatusUnauthorized, "GET", "/session", nil)
}
