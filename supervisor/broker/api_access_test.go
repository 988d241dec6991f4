// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
	"emqttd/supervisor/broker/brokertest"
)

// What every request passes: who asks, from which page, under which name.

var parameter = regexp.MustCompile(`\{[a-z]+\}`)

func TestTheDocumentAndTheRoutesAreOne(t *testing.T) {
	b := withDashboard(t)
	d := browse(t, b).document()
	routes := map[string]bool{}
	for _, r := range b.API().Routes() {
		routes[r.Method+" "+r.Path] = true
		op, ok := d.paths[r.Path][strings.ToLower(r.Method)]
		require.True(t, ok, "%s %s is not in the document", r.Method, r.Path)
		require.Equal(t, r.Role == api.Administrator, op.Role == "administrator", "%s %s: x-role", r.Method, r.Path)
		require.Equal(t, r.Role == api.Public, op.Security != nil, "%s %s: security", r.Method, r.Path)
	}
	for path, ops := range d.paths {
		for method := range ops {
			require.True(t, routes[strings.ToUpper(method)+" "+path], "%s %s is no route", method, path)
		}
	}
	for name := range schemas(t, browse(t, b)) {
		_, err := d.compiler.Compile("openapi.json#/components/schemas/" + name)
		require.NoError(t, err)
	}
}

func schemas(t *testing.T, w *web) map[string]any {
	var doc struct {
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	w.get("/openapi.json", &doc)
	require.NotEmpty(t, doc.Components.Schemas)
	return doc.Components.Schemas
}

// everyRoute calls f for every route with a path that stands for any of its kind.
func everyRoute(b *brokertest.Broker, f func(r api.Route, path string)) {
	for _, r := range b.API().Routes() {
		f(r, parameter.ReplaceAllString(r.Path, "x"))
	}
}

func TestNothingButTheLogInAndTheDocumentIsThereForNobody(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b)
	everyRoute(b, func(r api.Route, path string) {
		if r.Role != api.Public {
			w.refused(http.StatusUnauthorized, r.Method, path, nil)
		}
	})
	w.as("root", "wrong").refused(http.StatusUnauthorized, "GET", "/node", nil)
	w.as("nobody", "toor toor").refused(http.StatusUnauthorized, "GET", "/node", nil)
	w.bearer("emqttd_x.y").refused(http.StatusUnauthorized, "GET", "/node", nil)
	w.with("Authorization", "Digest x").refused(http.StatusUnauthorized, "GET", "/node", nil)
	for _, path := range []string{"//status", "//livez", "//readyz", "//", "//metrics"} {
		require.Equal(t, http.StatusOK, w.send("GET", path, nil).StatusCode, path)
	}
}

func TestAViewerLooksAndChangesNothing(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).guest()
	everyRoute(b, func(r api.Route, path string) {
		switch {
		case r.Role == api.Administrator:
			require.Contains(t, w.refused(http.StatusForbidden, r.Method, path, nil), "administrator")
		case r.Change != "":
			require.Regexp(t, `^(login|logout|password\.change|microscope\..*)$`, r.Change, "what concerns the viewer alone")
		}
	})
	w.get("/clients", nil)
	w.refused(http.StatusForbidden, "POST", "/publish", api.NewMessage{Topic: "t"})
	var log api.Page[api.AuditEntry]
	browse(t, b).root().get("/audit?user=guest&action=message.publish", &log)
	require.Equal(t, 2, log.Total, "what was refused is in the log, too")
	require.Equal(t, http.StatusForbidden, log.Items[0].Status)
}

// page is a browser with our page: it keeps cookies and sends the page's header.
func page(t *testing.T, b *brokertest.Broker) *web {
	w := browse(t, b)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	w.client.Jar = jar
	return w.with("X-Requested-With", "emqttd").with("Sec-Fetch-Site", "same-origin").with("Origin", w.base)
}

func TestASessionOfThePage(t *testing.T) {
	b := withDashboard(t)
	w := page(t, b)
	var who api.Principal
	h := w.call("POST", "/login", api.Credentials{Username: "root", Password: "toor toor"}, http.StatusOK, &who)
	require.Equal(t, api.Principal{Name: "root", Role: api.Administrator, Via: api.ViaSession}, who)
	cookie := h.Get("Set-Cookie")
	require.Contains(t, cookie, "; HttpOnly")
	require.Contains(t, cookie, "; SameSite=Strict")
	w.get("/session", &who)
	require.Equal(t, "root", who.Name)
	w.call("POST", "/publish", api.NewMessage{Topic: "t", Text: "m"}, http.StatusOK, nil)
	w.call("POST", "/logout", nil, http.StatusNoContent, nil)
	w.refused(http.StatusUnauthorized, "GET", "/session", nil)
}

func TestAForgedChangeIsRefused(t *testing.T) {
	b := withDashboard(t)
	w := page(t, b)
	w.call("POST", "/login", api.Credentials{Username: "root", Password: "toor toor"}, http.StatusOK, nil)
	message := api.NewMessage{Topic: "t", Text: "m"}
	tests := []struct {
		name string
		web  *web
	}{
		{"without the page's header", w.with("X-Requested-With", "")},
		{"from another origin", w.with("Origin", "http://evil.example").with("Sec-Fetch-Site", "")},
		{"from another site", w.with("Sec-Fetch-Site", "cross-site")},
		{"from another port of this host", w.with("Sec-Fetch-Site", "same-site")},
		{"with a password that the browser remembers", w.root().with("Sec-Fetch-Site", "cross-site")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.web.refused(http.StatusForbidden, "POST", "/publish", message)
		})
	}
	require.Zero(t, b.Metrics().MessagesReceived[0].Load())
	w.call("POST", "/publish", message, http.StatusOK, nil)
	require.Equal(t, http.StatusForbidden, w.with("Sec-Fetch-Site", "cross-site").send("POST", "/login",
		api.Credentials{Username: "root", Password: "toor toor"}).StatusCode, "nobody is logged in by another page either")
}

func TestAnotherNameForLoopbackIsAnotherPage(t *testing.T) {
	b := withDashboard(t, "dashboard.allowed_hosts=[broker.example.org]")
	w := browse(t, b).root()
	for host, status := range map[string]int{"localhost:18083": 200, "127.3.4.5": 200, "[::1]:18083": 200, "Broker.Example.org:1": 200,
		"evil.example": 403, "127.0.0.1.evil.example": 403} {
		require.Equal(t, status, w.with("Host", host).send("GET", "/node", nil).StatusCode, host)
	}
}

func TestAnswersKeepThePageToItself(t *testing.T) {
	w := browse(t, withDashboard(t))
	for _, path := range []string{"/node", "//", "//status"} {
		h := w.send("GET", path, nil).Header
		csp := h.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'self'")
		require.Contains(t, csp, "frame-ancestors 'none'")
		require.NotContains(t, csp, "unsafe")
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
	}
}

func TestWrongPasswordsAreCounted(t *testing.T) {
	b := withDashboard(t, "dashboard.login_failures=3", "dashboard.login_window=1h")
	w := browse(t, b)
	for range 3 {
		w.refused(http.StatusUnauthorized, "POST", "/login", api.Credentials{Username: "root", Password: "guess"})
	}
	h := w.call("POST", "/login", api.Credentials{Username: "root", Password: "toor toor"}, http.StatusTooManyRequests, nil)
	require.NotEmpty(t, h.Get("Retry-After"))
	w.root().refused(http.StatusTooManyRequests, "GET", "/node", nil)
	w.bearer("emqttd_x.y").refused(http.StatusTooManyRequests, "GET", "/node", nil)
}

func TestNobodyKnownFillsTheAuditLog(t *testing.T) {
	b := withDashboard(t, "dashboard.login_failures=2", "dashboard.login_window=1h")
	w := browse(t, b)
	w.root().get("/node", nil)
	everyRoute(b, func(r api.Route, path string) {
		if r.Role != api.Public {
			w.refused(http.StatusUnauthorized, r.Method, path, nil)
		}
	})
	w.refused(http.StatusUnsupportedMediaType, "POST", "/login", nil)
	for i := range 5 {
		status := http.StatusUnauthorized
		if i >= 2 {
			status = http.StatusTooManyRequests
		}
		w.refused(status, "POST", "/login", api.Credentials{Username: "root", Password: "guess"})
	}
	var log api.Page[api.AuditEntry]
	w.root().get("/audit", &log)
	require.Equal(t, 2, log.Total, "the wrong passwords that were looked at")
}

// TestADeadlineEndsWithItsRequest: a stream goes on longer, and the next request on
// a connection has its own.
func TestADeadlineEndsWithItsRequest(t *testing.T) {
	b := withDashboard(t, "dashboard.timeout=1s")
	w := browse(t, b).guest()
	opened := 0
	w.client.Transport = &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		opened++
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	stats := 0
	stream(t, w, "stats", func(name, _ string) bool {
		if name == "stats" {
			stats++
		}
		if stats == 1 {
			w.get("/node", nil) // on a connection that is idle from now on
		}
		return stats == 5 // longer than both deadlines of a request
	})
	for _, path := range []string{"//", "//livez", "/node"} {
		res := w.send("GET", path, nil)
		_, err := io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, res.StatusCode)
	}
	require.Equal(t, 2, opened, "the stream's, and one for all others")
}

func TestAKnownPasswordIsNotStoppedByTheGuessesOfOthers(t *testing.T) {
	b := withDashboard(t, "dashboard.login_failures=3", "dashboard.login_window=1h")
	w := browse(t, b)
	w.root().get("/node", nil)
	for range 3 {
		w.as("root", "guess").refused(http.StatusUnauthorized, "GET", "/node", nil)
	}
	w.root().get("/node", nil)
}

func TestTheFirstPasswordIsForThisMachineAndUntilItIsChanged(t *testing.T) {
	b := brokertest.Start(t, "dashboard.bind=127.0.0.1:0")
	w := page(t, b)
	first := api.Credentials{Username: "admin", Password: "public"}
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host"} {
		require.Contains(t, w.with(header, "10.1.2.3").refused(http.StatusForbidden, "POST", "/login", first), "machine")
	}
	var who api.Principal
	w.call("POST", "/login", first, http.StatusOK, &who)
	require.True(t, who.Initial)
	w.with("X-Forwarded-For", "10.1.2.3").refused(http.StatusUnauthorized, "GET", "/node", nil)
	other := page(t, b)
	other.call("POST", "/login", first, http.StatusOK, nil)

	w.refused(http.StatusUnauthorized, "PUT", "/password", api.PasswordChange{Old: "guess", New: "correct horse"})
	w.refused(http.StatusUnprocessableEntity, "PUT", "/password", api.PasswordChange{Old: "public", New: "short"})
	w.call("PUT", "/password", api.PasswordChange{Old: "public", New: "correct horse"}, http.StatusNoContent, nil)
	w.get("/session", &who)
	require.False(t, who.Initial)
	other.refused(http.StatusUnauthorized, "GET", "/session", nil)
	page(t, b).refused(http.StatusUnauthorized, "POST", "/login", first)
	page(t, b).with("X-Forwarded-For", "10.1.2.3").call("POST", "/login", api.Credentials{Username: "admin", Password: "correct horse"}, http.StatusOK, nil)
}

func TestUsersAndKeys(t *testing.T) {
	b := withDashboard(t, "dashboard.max_users=6")
	w := browse(t, b).root()
	w.call("POST", "/users", api.NewUser{Name: "ann", Password: "12345678", Role: api.Viewer}, http.StatusCreated, nil)
	w.refused(http.StatusConflict, "POST", "/users", api.NewUser{Name: "ann", Password: "12345678", Role: api.Viewer})
	w.refused(http.StatusUnprocessableEntity, "POST", "/users", api.NewUser{Name: "bob", Password: "12345678", Role: "king"})
	ann := browse(t, b).as("ann", "12345678")
	ann.get("/node", nil)
	ann.refused(http.StatusForbidden, "GET", "/users", nil)
	w.call("PATCH", "/users/ann", api.UserChange{Role: api.Administrator}, http.StatusOK, nil)
	var users []api.User
	ann.get("/users", &users)
	require.Len(t, users, 3)
	w.refused(http.StatusConflict, "DELETE", "/users/guest", nil)
	w.call("DELETE", "/users/ann", nil, http.StatusNoContent, nil)
	w.refused(http.StatusNotFound, "DELETE", "/users/ann", nil)
	ann.refused(http.StatusUnauthorized, "GET", "/node", nil)

	var key api.MadeKey
	w.call("POST", "/api_keys", api.NewKey{Name: "ci", Role: api.Viewer}, http.StatusCreated, &key)
	ci := browse(t, b).bearer(key.Secret)
	var who api.Principal
	ci.get("/session", &who)
	require.Equal(t, api.Principal{Name: "ci", Role: api.Viewer, Via: api.ViaKey}, who)
	res := w.send("GET", "/api_keys", nil)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NotContains(t, string(text), key.Secret[strings.IndexByte(key.Secret, '.'):])
	browse(t, b).bearer(key.Secret+"x").refused(http.StatusUnauthorized, "GET", "/session", nil)
	for i := range 4 {
		status := http.StatusCreated
		if i == 3 {
			status = http.StatusConflict
		}
		w.call("POST", "/api_keys", api.NewKey{Name: "n", Role: api.Viewer}, status, nil)
	}
	w.call("DELETE", "/api_keys/"+key.ID, nil, http.StatusNoContent, nil)
	ci.refused(http.StatusUnauthorized, "GET", "/session", nil)
}

func TestWhatIsSentIsBoundedAndUnderstoodOrRefused(t *testing.T) {
	w := browse(t, withDashboard(t, "dashboard.max_body=1KiB", "dashboard.max_page=100", "dashboard.max_offset=1000")).root()
	w.refused(http.StatusRequestEntityTooLarge, "POST", "/publish", api.NewMessage{Topic: "t", Text: strings.Repeat("x", 2000)})
	require.Contains(t, w.refused(http.StatusBadRequest, "POST", "/publish", map[string]any{"topik": "t"}), "topik")
	w.refused(http.StatusUnsupportedMediaType, "POST", "/publish", nil)
	for _, query := range []string{"limit=101", "limit=0", "page=0", "page=x", "page=100", "sort=color", "colour=red", "page=1&page=2"} {
		w.refused(http.StatusBadRequest, "GET", "/clients?"+query, nil)
	}
	require.Equal(t, "GET", w.call("PUT", "/node", nil, http.StatusMethodNotAllowed, nil).Get("Allow"))
	w.refused(http.StatusNotFound, "GET", "/nothing", nil)
}
