// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/dashboard/browsertest"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// hostile are names that a client may choose for itself. Each would set
// window.taken if a page took it for more than text, or break a page that takes
// it for short.
var hostile = []string{
	`<img src=x onerror="window.taken=1">`,
	`"><script>window.taken=1</script>`,
	`'+(window.taken=1)+'`,
	`javascript:window.taken=1`,
	`{{window.taken=1}}${window.taken=1}`,
	`%3Cimg%20src=x%20onerror=window.taken=1%3E`,
	`..%2f..%2fusers?role=administrator#/overview`,
	"\u202egnp.exe \u2066x\u2069 \u0430dmin",
	strings.Repeat("W", 400),
	strings.Repeat("a long name ", 30),
	"日本語の名前がとても長いクライアントの識別子です🚀🚀🚀",
}

// invade has clients of such names do all that shows on a page.
func invade(t *testing.T, b *brokertest.Broker) {
	t.Helper()
	for i, name := range hostile {
		c := kept(packet.V5, name)
		c.HasUsername, c.Username = true, name
		topic := strings.NewReplacer("#", "_", "+", "_").Replace(name)
		c.Will = &packet.Will{Topic: topic, Payload: []byte(name), QoS: packet.QoS1}
		p := join(t, b, c)
		p.subscribe(packet.QoS1, topic+"/#", "$share/"+fmt.Sprint("group", i)+"/"+topic)
		for k := range 2 {
			m := retained(pub(packet.QoS0, 0, fmt.Sprint(topic, "/", k), name))
			m.Properties = new(packet.Properties).Set(packet.PropContentType)
			m.Properties.ContentType = name
			p.send(m)
		}
		if i%2 == 0 {
			require.NoError(t, p.Close())
		}
	}
}

// TestNothingThatClientsSayIsMoreThanText: no page runs it, and none gets wider
// than its window.
func TestNothingThatClientsSayIsMoreThanText(t *testing.T) {
	alongside(t)
	v := visit(t, browsertest.Start(t), brokertest.Start)
	dir := browsertest.Shots(t)
	invade(t, v.b)
	w := browse(t, v.b).as("admin", "public")
	for _, name := range hostile {
		w.call("POST", "/bans", map[string]any{"kind": "client", "value": name + "!", "reason": name}, 201, nil)
	}
	v.login("admin", "public")
	v.WaitText("What the broker holds")
	names := []string{"overview", "alarms", "clients", "sessions", "topics", "routes", "subscriptions", "retained", "retained?view=list", "actors", "trace", "listeners", "bans",
		"audit", "websocket"}
	for _, i := range []int{1, 3, 5, 7, 9} { // who are connected
		id := strings.ReplaceAll(url.QueryEscape(hostile[i]), "+", "%20")
		names = append(names, "clients/"+id, "websocket?client="+id, "trace?client="+id)
	}
	for _, name := range hostile {
		names = append(names, "retained?topic="+url.QueryEscape(strings.NewReplacer("#", "_", "+", "_").Replace(name)+"/0"), "clients?q="+url.QueryEscape(name))
	}
	names = append(names, url.QueryEscape(hostile[0]), "clients/"+url.QueryEscape(hostile[0]), "actors?actor="+url.QueryEscape(hostile[1]))
	for _, size := range []struct {
		name          string
		width, height int
	}{{"desk", 1440, 900}, {"phone", 390, 844}} {
		v.Size(size.width, size.height)
		for i, name := range names {
			v.to(name)
			v.Shot(dir, fmt.Sprintf("hostile-%s-%02d-%.12s", size.name, i, strings.NewReplacer("/", "_", "?", "_", "%", "").Replace(name)))
			if over := v.Overflow(); over != "" {
				t.Errorf("%s at %d pixels is too wide: %s", name, size.width, over)
			}
			var cut bool
			v.Eval(&cut, "[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth + 1)")
			if cut {
				t.Errorf("%s at %d pixels: a table hides its last columns", name, size.width)
			}
		}
	}
	var taken bool
	v.Eval(&taken, "window.taken !== undefined || document.querySelector('main img, main script') !== null")
	require.False(t, taken)
}
