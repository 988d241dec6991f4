// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/api"
	"emqttd/listeners/ws"
	"emqttd/protocol/packet"
)

// What the API shows, held to what clients have done.

func TestAClientIsShownAsItIs(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).guest()
	connect := kept(packet.V5, "a/b c")
	connect.KeepAlive, connect.Username, connect.HasUsername = 30, "ann", true
	connect.Will = &packet.Will{Topic: "will", Payload: []byte("gone"), QoS: 1, Retain: true}
	nc := open(t, b, "tcp")
	c := enter(t, nc, connect)
	c.subscribe(packet.QoS1, "x/+", "y")
	other := join(t, b, clean(packet.V311, "other"))
	other.publish(packet.QoS1, 1, "x/1", "hello")
	m := want[*packet.Publish](c) // not acknowledged
	c.send(&packet.Pingreq{})
	want[*packet.Pingresp](c)

	var d api.ClientDetail
	w.get("/clients/"+url.PathEscape("a/b c"), &d)
	require.Equal(t, "ann", d.Username)
	require.Equal(t, nc.LocalAddr().String(), d.Peer)
	require.Equal(t, []string{"tcp:default", "tcp", "5.0"}, []string{d.Listener, d.Transport, d.Protocol})
	require.Equal(t, 30, d.KeepAlive)
	require.EqualValues(t, 3600, d.Expiry)
	require.WithinDuration(t, time.Now(), d.ConnectedAt, patience)
	require.Equal(t, []int64{3, 4, 0, 1}, []int64{d.PacketsIn, d.PacketsOut, d.MessagesIn, d.MessagesOut})
	require.Positive(t, d.BytesIn)
	require.Positive(t, d.BytesOut)
	require.Equal(t, []int{1, 2}, []int{d.Figures.Inflight, d.Figures.Subscriptions})
	require.Len(t, d.Subscriptions, 2)
	require.Equal(t, "x/+", d.Subscriptions[0].Filter)
	require.Len(t, d.Inflight, 1)
	require.Equal(t, api.Flight{PacketID: int(m.ID), Topic: "x/1", QoS: 1, Bytes: 5, At: d.Inflight[0].At}, d.Inflight[0])
	require.True(t, d.Session.Connected && d.Session.Durable)
	require.Equal(t, &api.Will{Topic: "will", QoS: 1, Retain: true, Bytes: 4}, d.Session.Will)
	var kinds []string
	for _, a := range d.Actors {
		require.Contains(t, []string{"up", "hibernating"}, a.State)
		kinds = append(kinds, a.Kind)
	}
	require.Equal(t, []string{"ws_loop", "ws_client", "protocol", "session"}, kinds)

	c.leave()
	eventually(t, "it is gone", func() bool { return b.Metrics().Connected.Load() == 1 })
	w.refused(http.StatusNotFound, "GET", "/clients/"+url.PathEscape("a/b c"), nil)
	var s api.Session
	w.get("/sessions/"+url.PathEscape("a/b c"), &s)
	require.False(t, s.Connected)
	require.NotNil(t, s.DisconnectedAt)
	require.Equal(t, 2, s.Subscriptions)
	var p api.Page[api.Session]
	w.get("/sessions?connected=false", &p)
	require.Len(t, p.Items, 1)
}

func TestPagesAreExact(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).guest()
	const n = 53
	var all []string
	for i := range n {
		id := fmt.Sprintf("c%03d", (i*17)%n)
		p := join(t, b, clean([]packet.Version{packet.V311, packet.V5}[i%2], id))
		p.subscribe(packet.QoS0, "t/"+id, "all")
		all = append(all, id)
	}
	slices.Sort(all)
	pages := func(query string, limit int) (ids []string) {
		for page := 1; ; page++ {
			var p api.Page[api.Client]
			w.get(fmt.Sprintf("/clients?limit=%d&page=%d%s", limit, page, query), &p)
			require.LessOrEqual(t, len(p.Items), limit)
			require.Equal(t, page, p.Page)
			for _, c := range p.Items {
				ids = append(ids, c.ClientID)
			}
			if len(p.Items) == 0 {
				require.Len(t, ids, p.Total)
				return ids
			}
		}
	}
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	for _, limit := range []int{1, 10, 53, 54} {
		require.Equal(t, all, pages("", limit))
		require.Equal(t, backwards, pages("&sort=-client_id", limit))
		require.Equal(t, all, pages("&search=C0", limit), "by a heap")
		for _, sort := range []string{"username", "peer", "listener", "protocol", "connected_at", "keep_alive_seconds"} {
			got := pages("&sort="+sort, limit)
			slices.Sort(got)
			require.Equal(t, all, got, "each once, by %s", sort)
		}
	}
	require.Equal(t, []string{"c007"}, pages("&client_id=c007", 10))
	require.Len(t, pages("&protocol=5.0", 10), n/2)
	require.Empty(t, pages("&protocol=3.1", 10))
	require.Len(t, pages("&address=127.0.0.1&transport=tcp", 10), n)

	var routes api.Page[api.TableRoute]
	w.get("/routes?sort=-subscribers&limit=2", &routes)
	require.Equal(t, n+1, routes.Total)
	require.Equal(t, api.TableRoute{Filter: "all", Node: "emqttd@127.0.0.1", Subscribers: n}, routes.Items[0])
	var subs api.Page[api.Subscription]
	w.get("/subscriptions?client_id=c007", &subs)
	require.Equal(t, 2, subs.Total)
	w.get("/subscriptions?topic=t/c008", &subs)
	require.Equal(t, "c008", subs.Items[0].ClientID)
	var topics api.Page[api.Topic]
	w.get("/topics?search=all", &topics)
	require.Equal(t, []api.Topic{{Topic: "all", Subscribers: n}}, topics.Items)
}

func TestAScanThatReachesItsBoundSaysSo(t *testing.T) {
	b := withDashboard(t, "dashboard.max_scan=1000", "mqtt.max_subscriptions=2000")
	c := join(t, b, clean(packet.V311, "c"))
	for i := range 11 {
		var filters []string
		for j := range 100 {
			filters = append(filters, fmt.Sprintf("t/%d", 100*i+j))
		}
		c.subscribe(packet.QoS0, filters...)
	}
	var p api.Page[api.TableRoute]
	browse(t, b).guest().get("/routes", &p)
	require.True(t, p.Truncated)
	require.Equal(t, 1000, p.Total)
}

func TestSharedSubscriptionsAreShown(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).guest()
	for i := range 3 {
		join(t, b, clean(packet.V5, fmt.Sprint(i))).subscribe(packet.QoS1, "$share/g/a/+")
	}
	var routes api.Page[api.TableRoute]
	w.get("/routes", &routes)
	require.Equal(t, []api.Group{{Name: "g", Members: 3}}, routes.Items[0].Groups)
	var subs api.Page[api.Subscription]
	w.get("/subscriptions?share_group=g&sort=-client_id", &subs)
	require.Len(t, subs.Items, 3)
	require.Equal(t, api.Subscription{ClientID: "2", Filter: "$share/g/a/+", QoS: 1, Group: "g"}, subs.Items[0])
}

func TestRetainedMessagesAreATree(t *testing.T) {
	b := withDashboard(t, "sys.interval=0s")
	w := browse(t, b).guest()
	c := join(t, b, clean(packet.V5, "c"))
	for _, name := range []string{"home", "home/kitchen/lamp", "home/kitchen/oven", "home/hall", "garden", "/odd", "$SYS/x"} {
		m := retained(pub(packet.QoS1, 1, name, "on\n"))
		c.send(m)
		c.ack(packet.PUBACK)
	}
	branches := func(query string) (out []string) {
		var p api.Page[api.Branch]
		w.get("/retained/tree?"+query, &p)
		for _, br := range p.Items {
			out = append(out, fmt.Sprintf("%s %d %t %t", br.Topic, br.Messages, br.Message != nil, br.Leaf))
		}
		return out
	}
	top := branches("")
	require.Equal(t, []string{" 1 false false", "garden 1 true true", "home 4 true false"}, slices.DeleteFunc(top, func(s string) bool { return s[:1] == "$" }))
	require.Equal(t, []string{"home/hall 1 true true", "home/kitchen 2 false false"}, branches("prefix=home"))
	require.Equal(t, []string{"home/kitchen/lamp 1 true true", "home/kitchen/oven 1 true true"}, branches("prefix=home/kitchen"))
	require.Empty(t, branches("prefix=garden"))
	w.refused(http.StatusBadRequest, "GET", "/retained/tree?prefix=a/%23", nil)

	var p api.Page[api.Retained]
	w.get("/retained?filter=home/%2B&sort=-topic", &p)
	require.Equal(t, "home/hall", p.Items[0].Topic)
	require.Equal(t, 1, p.Total)
	var m api.RetainedMessage
	w.get("/retained/message?topic=home/hall", &m)
	require.Equal(t, []any{"on\n", "on\n", "c", 1}, []any{m.Text, string(m.Payload), m.From, m.QoS})
	w.refused(http.StatusNotFound, "GET", "/retained/message?topic=nothing", nil)
}

func TestFiguresOfTheBroker(t *testing.T) {
	b := withDashboard(t)
	w := browse(t, b).guest()
	c := join(t, b, clean(packet.V311, "c"))
	c.publish(packet.QoS1, 1, "t", "m")
	var n api.Node
	w.get("/node", &n)
	require.Equal(t, "emqttd@127.0.0.1", n.Name)
	require.Equal(t, "memory", n.Store)
	require.NotEmpty(t, n.Loops)
	var m api.Metrics
	w.get("/metrics", &m)
	require.EqualValues(t, 1, m.PacketsIn["PUBLISH"])
	require.EqualValues(t, 1, m.PacketsOut["PUBACK"])
	require.EqualValues(t, 1, m.Dropped["no_subscriber"])
	require.EqualValues(t, 1, m.MessagesIn["qos1"])
	var s api.Stats
	w.get("/stats", &s)
	require.EqualValues(t, 1, s.Clients.Now)
	var ls []api.Listener
	w.get("/listeners", &ls)
	require.Equal(t, "tcp:default", ls[0].Name)
	require.Equal(t, b.TCP(), ls[0].Address)
	require.EqualValues(t, 1, ls[0].Connections)
	var kinds []api.ActorKind
	w.get("/actors/kinds", &kinds)
	require.True(t, slices.ContainsFunc(kinds, func(k api.ActorKind) bool { return k.Kind == "protocol" && k.Alive == 1 }))
	var tree api.Actor
	w.get("/actors?max=2", &tree)
	require.Equal(t, "emqttd_sup", tree.Name)
	require.True(t, slices.ContainsFunc(tree.Children, func(a api.Actor) bool {
		return a.Name == "client_sup/0" && len(a.Children) == 2 && a.More == 1
	}))
	var keys []api.ConfigKey
	w.get("/config", &keys)
	require.Contains(t, keys, api.ConfigKey{Key: "dashboard.administrators.root", Value: `"********"`, Origin: "default"})
}

func TestMQTTIsThereOnThePortOfThePage(t *testing.T) {
	b := withDashboard(t)
	base := b.Addr("dashboard").String()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	nc, err := ws.Dial(ctx, "ws://"+base+"/mqtt", nil, nil)
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	c := enter(t, nc, clean(packet.V5, "c"))
	c.subscribe(packet.QoS1, "t")
	browse(t, b).root().call("POST", "/publish", api.NewMessage{Topic: "t", Text: "hello", QoS: 1}, http.StatusOK, nil)
	c.hears("t", "hello")
	var d api.ClientDetail
	browse(t, b).guest().get("/clients/c", &d)
	require.Equal(t, []string{"dashboard", "ws", "127.0.0.1"}, []string{d.Listener, d.Transport, strings.Split(d.Peer, ":")[0]})

	_, err = ws.Dial(ctx, "ws://"+base+"/mqtt", nil, &ws.DialOptions{Header: http.Header{"Origin": {"http://evil.example"}}})
	require.Error(t, err, "another page's")
	require.Equal(t, http.StatusBadRequest, browse(t, b).send("GET", "//mqtt", nil).StatusCode, "plain HTTP is told what is missing")
}

// stream reads events of a type until f is content.
func stream(t *testing.T, w *web, types string, f func(name, data string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+"/api/v1/events?types="+types, nil)
	require.NoError(t, err)
	w.auth(r)
	res, err := w.client.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	name := ""
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if s, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			name = s
		}
		if s, ok := strings.CutPrefix(lines.Text(), "data: "); ok && f(name, s) {
			return
		}
		if strings.HasPrefix(lines.Text(), "retry:") {
			f("open", "")
		}
	}
	require.Fail(t, "the stream ended")
}

func TestClientsThatComeAndGoAreEvents(t *testing.T) {
	b := withDashboard(t)
	var seen []string
	var c *peer
	stream(t, browse(t, b).guest(), "client", func(name, data string) bool {
		switch name {
		case "open":
			c = join(t, b, clean(packet.V5, "c"))
		case "client.connected":
			require.Contains(t, data, `"client_id":"c"`)
			c.leave()
		case "client.disconnected":
			require.Contains(t, data, `"reason":"normal"`)
			seen = append(seen, name)
			return true
		}
		seen = append(seen, name)
		return false
	})
	require.Equal(t, []string{"open", "client.connected", "client.disconnected"}, seen)
	join(t, b, clean(packet.V5, "stays"))
	stream(t, browse(t, b).guest(), "stats", func(name, data string) bool {
		var s api.Stats
		return name == "stats" && json.Unmarshal([]byte(data), &s) == nil && s.Clients.Now == 1
	})
}

func TestStreamsAreCounted(t *testing.T) {
	b := withDashboard(t, "dashboard.max_streams=1")
	w := browse(t, b).guest()
	stream(t, w, "stats", func(name, _ string) bool {
		w.refused(http.StatusServiceUnavailable, "GET", "/events", nil)
		return true
	})
}
