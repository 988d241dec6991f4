// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker"
	"emqttd/supervisor/broker/brokertest"
)

// What an operator does through the API, held to what clients see of it.

func TestAnOperatorKicks(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).root()
	c := join(t, b, kept(packet.V5, "c"))
	w.call("DELETE", "/clients/c", nil, http.StatusNoContent, nil)
	require.Equal(t, packet.AdministrativeAction, want[*packet.Disconnect](c).Code)
	c.closed()
	eventually(t, "it is gone", func() bool { return b.Metrics().Connected.Load() == 0 })
	w.refused(http.StatusNotFound, "DELETE", "/clients/c", nil)
	var s api.Session
	w.get("/sessions/c", &s)
	w.call("DELETE", "/sessions/c", nil, http.StatusNoContent, nil)
	eventually(t, "its session, too", func() bool { return b.Metrics().Sessions.Load() == 0 })
	w.refused(http.StatusNotFound, "DELETE", "/sessions/c", nil)
}

func TestAnOperatorSubscribesAClient(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).root()
	p := join(t, b, clean(packet.V311, "p"))
	p.send(retained(pub(packet.QoS1, 1, "t/kept", "old")))
	p.ack(packet.PUBACK)
	connect := kept(packet.V5, "c")
	c := join(t, b, connect)
	var sub api.Subscription
	w.call("POST", "/clients/c/subscriptions", api.NewSubscription{Filter: "t/#", QoS: 2}, http.StatusCreated, &sub)
	require.Equal(t, api.Subscription{ClientID: "c", Filter: "t/#", QoS: 2}, sub)
	m := c.hears("t/kept", "old")
	require.True(t, m.Retain)
	p.publish(packet.QoS2, 2, "t/1", "live")
	c.hears("t/1", "live")
	w.call("DELETE", "/clients/c/subscriptions?filter="+url.QueryEscape("t/#"), nil, http.StatusNoContent, nil)
	p.publish(packet.QoS1, 3, "t/1", "unheard")
	c.fence()
	w.refused(http.StatusNotFound, "DELETE", "/clients/c/subscriptions?filter=t", nil)
	w.refused(http.StatusUnprocessableEntity, "POST", "/clients/c/subscriptions", api.NewSubscription{Filter: "a/#/b"})
	w.refused(http.StatusNotFound, "POST", "/clients/nobody/subscriptions", api.NewSubscription{Filter: "a"})

	c.send(&packet.Disconnect{})
	c.closed()
	eventually(t, "it is away", func() bool { return b.Metrics().Connected.Load() == 1 })
	w.call("POST", "/clients/c/subscriptions", api.NewSubscription{Filter: "t/+", QoS: 1}, http.StatusCreated, nil)
	p.publish(packet.QoS1, 4, "t/1", "waits")
	back, ack := present(t, open(t, b, "tcp"), connect)
	require.True(t, ack.SessionPresent)
	back.hears("t/1", "waits")
}

func TestAnOperatorPublishesAndForgets(t *testing.T) {
	b := withDashboard(t, "sys.interval=0s")
	w := browse(t, b).root()
	var done api.Published
	w.call("POST", "/publish", api.NewMessage{Topic: "t", Text: "m", QoS: 1}, http.StatusOK, &done)
	require.Equal(t, 0x10, done.Code, "nobody subscribes")
	c := join(t, b, clean(packet.V5, "c"))
	c.subscribe(packet.QoS2, "t")
	w.call("POST", "/publish", api.NewMessage{Topic: "t", Payload: []byte{0, 1}, QoS: 2, Retain: true, ContentType: "x/y",
		UserProperties: []api.UserProperty{{Key: "k", Value: "v"}}}, http.StatusOK, &done)
	require.Zero(t, done.Code)
	m := c.hears("t", "\x00\x01")
	require.Equal(t, "x/y", m.Properties.ContentType)
	require.Equal(t, []packet.UserProperty{{Key: "k", Value: "v"}}, m.Properties.User)
	for _, topic := range []string{"", "a/#", "a\x00b"} {
		w.refused(http.StatusUnprocessableEntity, "POST", "/publish", api.NewMessage{Topic: topic})
	}

	for _, topic := range []string{"a/1", "a/2", "b"} {
		w.call("POST", "/publish", api.NewMessage{Topic: topic, Text: "x", Retain: true, QoS: 1}, http.StatusOK, nil)
	}
	w.call("DELETE", "/retained/message?topic=t", nil, http.StatusNoContent, nil)
	w.refused(http.StatusNotFound, "DELETE", "/retained/message?topic=t", nil)
	var n api.Deleted
	w.call("DELETE", "/retained?filter="+url.QueryEscape("a/#"), nil, http.StatusOK, &n)
	require.Equal(t, 2, n.Deleted)
	var p api.Page[api.Retained]
	w.get("/retained?filter=%23", &p)
	require.Equal(t, 1, p.Total)
	require.Equal(t, "b", p.Items[0].Topic)
}

func TestAnOperatorBans(t *testing.T) {
	b := withDashboard(t, "ban.entries=[{username: mallory}]")
	w := browse(t, b).root()
	c := join(t, b, clean(packet.V5, "c"))
	other := join(t, b, clean(packet.V5, "other"))
	var made api.MadeBan
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	w.call("POST", "/bans", api.NewBan{Kind: "client", Value: "c", Reason: "noise", Until: &until}, http.StatusCreated, &made)
	require.Equal(t, 1, made.Kicked)
	require.Equal(t, packet.AdministrativeAction, want[*packet.Disconnect](c).Code)
	_, ack := present(t, open(t, b, "tcp"), clean(packet.V5, "c"))
	require.Equal(t, packet.Banned, ack.Code)
	other.fence()
	var p api.Page[api.Ban]
	w.get("/bans?kind=client", &p)
	require.Equal(t, api.Ban{Kind: "client", Value: "c", Until: &until, At: p.Items[0].At, By: "root", Reason: "noise"}, p.Items[0])
	w.get("/bans", &p)
	require.Equal(t, 2, p.Total)
	w.call("DELETE", "/bans/client/c", nil, http.StatusNoContent, nil)
	w.refused(http.StatusNotFound, "DELETE", "/bans/client/c", nil)
	join(t, b, clean(packet.V5, "c"))
	w.refused(http.StatusUnprocessableEntity, "POST", "/bans", api.NewBan{Kind: "planet", Value: "mars"})
	w.call("POST", "/bans", api.NewBan{Kind: "address", Value: "10.9.0.0/16"}, http.StatusCreated, nil)
	w.call("DELETE", "/bans/address/"+url.PathEscape("10.9.0.0/16"), nil, http.StatusNoContent, nil)
}

func TestAnActorIsCrashedOnPurposeWhereThatIsAllowed(t *testing.T) {
	plain := browse(t, withDashboard(t)).root()
	require.Contains(t, plain.refused(http.StatusForbidden, "POST", "/actors/crash", api.ActorName{Name: "sm/0"}), "chaos.enabled")

	b := brokertest.AllowCrashes(t, "dashboard.bind=127.0.0.1:0", "dashboard.administrators.root=toor toor", "chaos.enabled=true")
	w := browse(t, b).root()
	c := join(t, b, clean(packet.V5, "c"))
	var d api.ClientDetail
	w.get("/clients/c", &d)
	restarts := func(name string) int {
		n, ok := node(b.Tree(10), name)
		require.True(t, ok, name)
		return n.Restarts
	}
	for _, a := range append([]api.Actor{{Name: "sm/0"}, {Name: "router/0"}}, d.Actors...) {
		w.call("POST", "/actors/crash", api.ActorName{Name: a.Name}, http.StatusNoContent, nil)
		eventually(t, a.Name+" comes back", func() bool { return restarts(a.Name) == 1 })
		w.call("POST", "/actors/stop", api.ActorName{Name: a.Name}, http.StatusNoContent, nil)
		eventually(t, a.Name+" comes back", func() bool { return restarts(a.Name) == 2 })
		c.fence()
	}
	c.subscribe(packet.QoS1, "t")
	w.refused(http.StatusNotFound, "POST", "/actors/crash", api.ActorName{Name: "nobody/7"})
	w.get("/clients/c", &d)
	require.Equal(t, "crashed by an operator", d.Actors[0].LastReason)
	require.Equal(t, "cell.Bomb", d.Actors[0].LastMessage)
}

func TestAnOperatorReadsTheConfigurationAnew(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).root()
	w.refused(http.StatusConflict, "POST", "/config/reload", nil)
	b.OnReload(func() ([]string, error) { return []string{"node.name"}, nil })
	var done api.Reloaded
	w.call("POST", "/config/reload", nil, http.StatusOK, &done)
	require.Equal(t, []string{"node.name"}, done.NeedRestart)
	b.OnReload(func() ([]string, error) { return nil, nil })
	w.call("POST", "/config/reload", nil, http.StatusOK, &done)
	require.Empty(t, done.NeedRestart)
	b.OnReload(func() ([]string, error) { return nil, errors.New("mqtt.max_qos: 3 is too much") })
	require.Contains(t, w.refused(http.StatusUnprocessableEntity, "POST", "/config/reload", nil), "max_qos")
}

// TestAnOperatorLooksAfterDeadLetters: a message that crashes the session of one
// subscriber is found, kept where it still crashes, replayed, deleted.
func TestAnOperatorLooksAfterDeadLetters(t *testing.T) {
	b := brokertest.AllowCrashes(t, "dashboard.bind=127.0.0.1:0", "dashboard.administrators.root=toor toor")
	w := browse(t, b).root()
	c := join(t, b, kept(packet.V5, "weak"))
	c.subscribe(packet.QoS1, "t/#")
	off := hooked(t, ofSubscriber{"weak"})
	for range 2 {
		w.call("POST", "/publish", api.NewMessage{Topic: "t/poison", Text: "x", QoS: 1}, http.StatusOK, nil)
	}
	eventually(t, "both are buried", func() bool { return len(b.Graves()) == 1 && b.Graves()[0].Letters == 2 })
	off()
	var graves api.Page[map[string]any]
	w.get("/dead_letters?search=WEAK", &graves)
	require.EqualValues(t, 2, graves.Items[0]["letters"])
	var letters []map[string]any
	w.get("/dead_letters/weak", &letters)
	require.Len(t, letters, 2)
	require.Equal(t, []any{"t/poison", "x"}, []any{letters[0]["topic"], letters[0]["payload_text"]})
	w.refused(http.StatusNotFound, "GET", "/dead_letters/nobody", nil)
	w.refused(http.StatusBadRequest, "DELETE", "/dead_letters/weak?serials=x", nil)
	w.call("DELETE", fmt.Sprintf("/dead_letters/weak?serials=%v", letters[0]["serial"]), nil, http.StatusOK, &letters)
	require.Len(t, letters, 1)
	w.call("POST", "/dead_letters/weak/replay", nil, http.StatusOK, &letters)
	require.Len(t, letters, 1)
	c.hears("t/poison", "x")
	require.Empty(t, b.Graves())
}

// TestWhatOperatorsHaveMadeOutlivesTheBroker: users, keys, bans and the log of
// changes are files in node.data_dir, which nobody else can read.
func TestWhatOperatorsHaveMadeOutlivesTheBroker(t *testing.T) {
	dir := t.TempDir()
	sets := []string{"store.engine=pebble", "node.data_dir=" + dir}
	b := withDashboard(t, sets...)
	w := browse(t, b).root()
	w.call("POST", "/users", api.NewUser{Name: "ann", Password: "12345678", Role: api.Viewer}, http.StatusCreated, nil)
	var key api.MadeKey
	w.call("POST", "/api_keys", api.NewKey{Name: "ci", Role: api.Administrator}, http.StatusCreated, &key)
	w.call("POST", "/bans", api.NewBan{Kind: "user", Value: "eve"}, http.StatusCreated, nil)
	token := func() string {
		text, err := os.ReadFile(filepath.Join(dir, broker.TokenFile))
		require.NoError(t, err)
		return strings.TrimSpace(string(text))
	}
	var who api.Principal
	browse(t, b).bearer(token()).get("/session", &who)
	require.Equal(t, api.Principal{Name: "operator", Role: api.Administrator, Via: api.ViaToken}, who)
	old := token()
	b.Stop()

	b = withDashboard(t, sets...)
	browse(t, b).as("ann", "12345678").get("/node", nil)
	browse(t, b).bearer(old).refused(http.StatusUnauthorized, "GET", "/session", nil)
	browse(t, b).bearer(token()).get("/session", nil)
	w = browse(t, b).bearer(key.Secret)
	var bans api.Page[api.Ban]
	w.get("/bans", &bans)
	require.Equal(t, "eve", bans.Items[0].Value)
	var log api.Page[api.AuditEntry]
	w.get("/audit", &log)
	require.Equal(t, []string{"ban.add", "api_key.add", "user.add"}, []string{log.Items[0].Action, log.Items[1].Action, log.Items[2].Action})
	for _, name := range []string{"dashboard.json", "audit.log", "ctl.token", "bans.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NotContains(t, string(text), "12345678")
		require.NotContains(t, string(text), key.Secret[strings.IndexByte(key.Secret, '.')+1:])
	}
}
