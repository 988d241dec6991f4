// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
	"emqttd/listeners/dashboard/browsertest"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// What the page says and does when the broker does not let it go on.

func TestThePageIsToldToWait(t *testing.T) {
	alongside(t)
	browser := browsertest.Start(t)

	t.Run("too many wrong passwords: it counts down, and then one may log in", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start, "dashboard.login_failures=1", "dashboard.login_window=12s")
		v.login("admin", "wrong")
		v.WaitText("wrong user name or password")
		v.Press("Log in")
		v.Wait("/too many wrong passwords from here, or for this name\\.\\s+You can try again in 1?[0-9] s\\./.test(document.body.innerText)")
		v.Wait("document.querySelector('.login button[type=submit]').disabled")
		v.WaitText("You can try again now.")
		v.login("admin", "public")
		v.WaitText("What the broker holds")
	})

	t.Run("a wrong present password does not log out, and too many say how long to wait", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start, "dashboard.login_failures=2", "dashboard.login_window=1m")
		v.login("admin", "public")
		v.Press("Change it")
		v.Fill("Present password", "no longer this")
		v.Fill("New password", "a better one")
		v.Fill("New password again", "a better one")
		for range 2 {
			v.Press("Change")
			v.WaitText("wrong user name or password")
		}
		v.Press("Change")
		v.WaitText("too many wrong passwords from here, or for this user: wait")
		v.Key("Escape")
		v.WaitText("What the broker holds")
	})

	t.Run("a proxy that answers 429: it says when it asks again, and does", func(t *testing.T) {
		b := withDashboard(t)
		proxy := proxied(t, b, "/api/v1/routes")
		v := &visitor{browser.PageOf(t), t, b, proxy.url}
		v.Open(v.url)
		v.login("root", "toor toor")
		v.WaitText("What the broker holds")
		proxy.refuse.Store(true)
		v.Open(v.url + "/#/routes")
		v.Wait("/There are too many requests from here\\. The page asks again in [12] s\\./.test(document.body.innerText)")
		proxy.refuse.Store(false)
		v.WaitText("The routing table is empty")
		require.LessOrEqual(t, proxy.refused.Load(), int32(4), "the page waits as it is told")
	})
}

// refusing is a proxy before a broker's dashboard that answers 429 for one path
// while it is told to, as one that counts requests does.
type refusing struct {
	url     string
	refuse  atomic.Bool
	refused atomic.Int32
}

func proxied(t *testing.T, b *brokertest.Broker, path string) *refusing {
	t.Helper()
	to := &url.URL{Scheme: "http", Host: b.Addr("dashboard").String()}
	forward := &httputil.ReverseProxy{FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}}
	p := &refusing{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.refuse.Load() && r.URL.Path == path {
			p.refused.Add(1)
			w.Header().Set("Retry-After", "2")
			http.Error(w, "<h1>slow down</h1>", http.StatusTooManyRequests)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections() // the stream of events is one that does not end
		s.Close()
	})
	p.url = s.URL
	return p
}

func TestASessionThatEndsLeadsBackToWhereOneWas(t *testing.T) {
	v := visit(t, browsertest.Start(t), brokertest.Start, "dashboard.viewers.guest=guest guest")
	w := browse(t, v.b).as("admin", "public")
	w.call("POST", "/users", api.NewUser{Name: "eve", Password: "eves password", Role: "administrator"}, http.StatusCreated, nil)
	join(t, v.b, clean(packet.V5, "one"))
	join(t, v.b, clean(packet.V5, "two"))
	v.login("eve", "eves password")
	v.WaitText("What the broker holds")
	v.to("clients?q=one&sort=-connected_at")
	v.Press("Disconnect one")
	v.WaitFor("dialog[open]")

	w.call("PATCH", "/users/eve", api.UserChange{Password: "another password"}, http.StatusOK, nil)
	v.WaitText("Your session has ended. Log in to go on where you were.")
	v.Wait("!document.querySelector('dialog[open]')")
	v.Shot(browsertest.Shots(t), "session-ended")
	v.login("eve", "another password")
	v.Wait("document.querySelectorAll('tbody tr').length === 1 && document.querySelector('tbody').innerText.includes('one')")
	v.Wait("!document.querySelector('dialog[open]')")
	v.Wait("location.hash === '#/clients?q=one&sort=-connected_at'")

	v.Press("Log out")
	v.WaitText("Log in")
	v.WaitNoText("Your session has ended")
	v.login("guest", "guest guest")
	v.Wait("document.querySelector('.top h1').innerText === 'Clients'")
}
