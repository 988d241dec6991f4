// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
	"emqttd/listeners/ws"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/config"
)

// TestClientsAreSortedByWhatOnlyTheirActorsKnow: who sends most, whose queue is
// longest.
func TestClientsAreSortedByWhatOnlyTheirActorsKnow(t *testing.T) {
	b := withDashboard(t, "runtime.loops=2")
	w := browse(t, b).root()
	for i, id := range []string{"b", "d", "a", "c"} {
		p := join(t, b, clean(packet.V5, id))
		for n := range i {
			p.subscribe(packet.QoS0, fmt.Sprint("t/", n))
			p.send(pub(packet.QoS0, 0, "nobody", strings.Repeat("x", 100)))
		}
		p.fence()
	}
	ids := func(query string) string {
		var page api.Page[api.Client]
		w.get("/clients?"+query, &page)
		require.Equal(t, 4, page.Total)
		out := ""
		for _, c := range page.Items {
			out += c.ClientID
		}
		return out
	}
	for _, field := range []string{"received_bytes", "received_messages", "subscriptions"} {
		require.Equal(t, "bdac", ids("sort="+field), field)
		require.Equal(t, "cadb", ids("sort=-"+field), field)
		require.Equal(t, "ad", ids("sort=" + field + "&limit=2&page=2")[:1]+ids("sort=-" + field + "&limit=2&page=2")[:1], field)
	}
	for _, field := range []string{"queued", "queued_bytes", "inflight", "out_buffer_bytes", "sent_messages"} {
		require.Equal(t, "abcd", ids("sort="+field), "%s: of equals the client id decides", field)
	}
	require.Len(t, ids("sort=-sent_bytes"), 4)
	require.Equal(t, "bdac", ids("sort=last_read_at&transport=tcp"))
	var none api.Page[api.Client]
	w.get("/clients?sort=queued&client_id=nobody", &none)
	require.Empty(t, none.Items)
}

// TestTheChildrenOfASupervisorArePages: in the order of their start, the same each
// time.
func TestTheChildrenOfASupervisorArePages(t *testing.T) {
	b := withDashboard(t, "runtime.loops=1")
	w := browse(t, b).root()
	for i := range 5 {
		join(t, b, clean(packet.V5, fmt.Sprint("c", i)))
	}
	var page api.Page[api.Actor]
	var names []string
	for n := range 4 {
		w.get(fmt.Sprintf("/actors/children?of=client_sup/0&limit=4&page=%d", n+1), &page)
		require.Equal(t, 15, page.Total)
		for _, a := range page.Items {
			names = append(names, a.Name)
		}
	}
	var want []string
	for i := range 5 {
		for _, a := range []string{"loop", "client", "protocol"} {
			want = append(want, fmt.Sprintf("tcp:default/%d/%s", i+1, a))
		}
	}
	require.ElementsMatch(t, want, names)
	require.IsIncreasing(t, []string{names[0][:13], names[3][:13], names[6][:13], names[9][:13], names[12][:13]})
	w.get("/actors/children?of=emqttd_sup&limit=2", &page)
	require.Equal(t, []string{"store", "retainer"}, []string{page.Items[0].Name, page.Items[1].Name})
	w.get("/actors/children?of=emqttd_sup&page=2&limit=2", &page)
	require.True(t, page.Items[0].Supervisor)
	w.refused(http.StatusNotFound, "GET", "/actors/children?of=nobody", nil)
	w.refused(http.StatusBadRequest, "GET", "/actors/children", nil)
}

// TestTheDashboardsCertificateIsReadAnew: a reload changes it, what is open stays,
// and a file that is no certificate leaves the old one.
func TestTheDashboardsCertificateIsReadAnew(t *testing.T) {
	ca, dir := newAuthority(t), t.TempDir()
	cert, key := ca.files(dir, "before")
	sets := []string{"dashboard.cert_file=" + cert, "dashboard.key_file=" + key}
	b := withDashboard(t, sets...)
	name := func() string {
		c, err := tls.Dial("tcp", b.Addr("dashboard").String(), ca.config())
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "before", name())
	nc, err := ws.Dial(t.Context(), "wss://"+b.Addr("dashboard").String()+"/mqtt", ca.config(), nil)
	require.NoError(t, err)
	open := enter(t, nc, clean(packet.V5, "page")) // MQTT through it
	ca.files(dir, "after")
	cfg, _, err := config.Load(config.Sources{Sets: append([]string{"listeners.tcp.default.bind=127.0.0.1:0", "listeners.ws.default.bind=127.0.0.1:0",
		"store.engine=memory", "dashboard.bind=127.0.0.1:0"}, sets...)})
	require.NoError(t, err)
	_, err = b.Reload(cfg)
	require.NoError(t, err)
	require.Equal(t, "after", name())
	open.fence()
	writeFile(t, cert, []byte("no certificate"))
	_, err = b.Reload(cfg)
	require.Error(t, err)
	require.Equal(t, "after", name())
}
