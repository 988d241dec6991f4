// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/listeners/dashboard/browsertest"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// visitor is a browser before the page of a running broker.
type visitor struct {
	*browsertest.Page
	t   *testing.T
	b   *brokertest.Broker
	url string
}

// alongside lets a test run beside others that watch one broker of their own and inject
// nothing: most of a browser's test is waiting.
func alongside(t *testing.T) {
	withoutRace(t)
	t.Parallel()
}

// withoutRace leaves a test to runs without the race detector, which is slow and has
// little to see in it.
func withoutRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("most of it is the browser's time: played without the race detector")
	}
}

// visit starts a broker and opens its page.
func visit(t *testing.T, b *browsertest.Browser, start func(testing.TB, ...string) *brokertest.Broker, sets ...string) *visitor {
	t.Helper()
	broker := start(t, append([]string{"dashboard.bind=127.0.0.1:0"}, sets...)...)
	v := &visitor{b.PageOf(t), t, broker, "http://" + broker.Addr("dashboard").String()}
	t.Cleanup(func() {
		require.Empty(t, v.Faults(), "exceptions, or refused by the security policy")
		for _, url := range v.Requests() {
			require.True(t, strings.HasPrefix(url, v.url), "the page asked another host: %s", url)
		}
	})
	v.Open(v.url)
	return v
}

func (v *visitor) login(name, password string) {
	v.t.Helper()
	v.Fill("Name", name)
	v.Fill("Password", password)
	v.Press("Log in")
}

// to opens a page and waits until it has something to show.
func (v *visitor) to(page string) {
	v.t.Helper()
	v.Open(v.url + "/#/" + page)
	v.Wait("document.querySelector('#main') && !document.querySelector('[aria-busy=true]') && !document.body.innerText.includes('Loading')")
}

func TestPage(t *testing.T) {
	browser := browsertest.Start(t)

	t.Run("one logs in, changes the first password, and stays logged in over a reload", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start)
		v.login("admin", "wrong")
		v.WaitText("wrong user name or password")
		v.login("admin", "public")
		v.WaitText("You use the password that every new broker has.")
		v.Press("Change it")
		v.Fill("Present password", "public")
		v.Fill("New password", "a better one")
		v.Fill("New password again", "a better one")
		v.Press("Change")
		v.WaitText("The password is changed.")
		v.WaitNoText("You use the password that every new broker has.")
		v.Reload()
		v.WaitText("What the broker holds")
		v.Press("Log out")
		v.login("admin", "public")
		v.WaitText("wrong user name or password")
		v.login("admin", "a better one")
		v.WaitText("What the broker holds")
	})

	t.Run("the theme follows the system until one chooses, and the choice stays", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start)
		const dark = "getComputedStyle(document.documentElement).backgroundColor === 'rgb(13, 17, 22)'"
		v.Scheme("light")
		v.Wait("!(" + dark + ")")
		v.Scheme("dark")
		v.Wait(dark)
		v.Press("Theme: as the system")
		v.Wait("!(" + dark + ")")
		v.Press("Theme: light")
		v.Wait(dark)
		v.Scheme("light")
		v.Reload()
		v.Wait(dark)
	})

	t.Run("figures come by themselves; a broker that comes back asks who is there", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start)
		v.login("admin", "public")
		v.Wait("document.querySelector('.line.live')")
		join(t, v.b, clean(packet.V311, "one"))
		v.Wait("document.querySelector('.tile .figure')?.innerText.trim() === '1'")
		v.b.Stop()
		v.Wait("document.querySelector('.line.lost')")
		brokertest.Start(t, "dashboard.bind="+strings.TrimPrefix(v.url, "http://"))
		v.WaitText("Log in")
		v.login("admin", "public")
		v.Wait("document.querySelector('.line.live')")
	})

	t.Run("an administrator disconnects a client", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start)
		one := join(t, v.b, clean(packet.V5, "one"))
		v.login("admin", "public")
		v.WaitText("What the broker holds")
		v.to("clients")
		v.Press("Disconnect one")
		v.WaitText("is disconnected at once and may connect again")
		v.Press("Disconnect")
		require.Equal(t, packet.AdministrativeAction, want[*packet.Disconnect](one).Code)
		v.WaitText("No client is connected.")
	})

	t.Run("a ws_client crashes from the actors page, and its client stays", func(t *testing.T) {
		v := visit(t, browser, brokertest.AllowCrashes, "chaos.enabled=true")
		one := enter(t, open(t, v.b, "ws"), clean(packet.V311, "one"))
		v.login("admin", "public")
		v.WaitText("What the broker holds")
		v.to("actors?actor=" + "ws:default/1/client")
		v.Press("Crash it")
		v.WaitText("was told to crash")
		v.Wait("document.querySelector('.float').innerText.includes('1 restart')")
		v.WaitText("crashed by an operator")
		one.send(&packet.Pingreq{})
		want[*packet.Pingresp](one)
		v.Press("Stop it")
		v.WaitText("was stopped")
		one.send(&packet.Pingreq{})
		want[*packet.Pingresp](one)
		v.Wait("document.querySelector('.float').innerText.includes('2 restarts')")
		v.Shot(browsertest.Shots(t), "actors-crashed")
	})

	t.Run("an experiment runs from the crash lab and its verdict comes by itself", func(t *testing.T) {
		v := visit(t, browser, brokertest.AllowCrashes, "chaos.enabled=true")
		v.login("admin", "public")
		v.WaitText("Chaos is enabled")
		v.to("crash_lab")
		v.Fill("Fault", "at=ws_client/* do=panic when=every:3")
		v.Press("Arm it")
		v.WaitText("1 fault is armed")
		p := join(t, v.b, clean(packet.V311, "one"))
		for range 5 {
			p.send(&packet.Pingreq{})
			want[*packet.Pingresp](p)
		}
		v.Wait("[...document.querySelectorAll('[aria-label=Hits] tbody tr')].some(r => r.innerText.includes('panic'))")
		v.Press("Disarm all")
		v.WaitText("No fault is armed. What crashes now")
		v.Click(".recipe:nth-of-type(7) summary")
		v.Press("Run it")
		v.WaitText("No client noticed anything.")
		v.Shot(browsertest.Shots(t), "crash-lab-open")
	})

	t.Run("an administrator has the configuration read anew", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start)
		v.login("admin", "public")
		v.WaitText("What the broker holds")
		v.to("configuration")
		v.Press("Read it anew")
		v.WaitText("does not read a configuration anew") // a test is around it
		v.b.OnReload(func() ([]string, error) { return []string{"node.name", "store.engine"}, nil })
		v.Press("Read it anew")
		v.WaitText("Read anew, but for what needs a restart: node.name, store.engine.")
		v.b.OnReload(func() ([]string, error) { return nil, nil })
		v.Press("Read it anew")
		v.WaitText("Configuration, certificates, passwords and rules were read anew.")
	})

	t.Run("a trace shows what becomes of a message, live", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start)
		v.login("admin", "public")
		v.WaitText("What the broker holds")
		v.to("trace?client=one")
		v.Press("Start")
		v.WaitText("Nothing yet. What happens next comes by itself.")
		p := join(t, v.b, clean(packet.V5, "one"))
		p.subscribe(packet.QoS1, "room/#")
		p.publish(packet.QoS0, 0, "room/4", "hello")
		v.WaitText("room/4")
		v.WaitText("to 1 subscription")
		v.Shot(browsertest.Shots(t), "trace-open")
	})

	t.Run("an administrator watches a client, and a viewer cannot", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start, "dashboard.viewers.guest=guest guest")
		p := enter(t, open(t, v.b, "ws"), clean(packet.V5, "phone"))
		v.login("admin", "public")
		v.WaitText("What the broker holds")
		v.to("clients/phone")
		v.Press("Watch")
		v.Wait("document.querySelector('form input[required][placeholder^=of]')?.value === 'phone'")
		v.Press("Watch")
		v.WaitText("covered with asterisks")
		p.subscribe(packet.QoS1, "room/#")
		p.publish(packet.QoS0, 0, "room/4", "for nobody else's eyes")
		want[*packet.Publish](p)
		p.fence()
		v.Wait("[...document.querySelectorAll('.step.out')].some(s => /SUBSCRIBE #\\d+ room/.test(s.innerText))")
		v.WaitText("PUBLISH room/4")
		v.WaitText("PINGRESP")
		v.WaitText("**********")
		v.WaitNoText("nobody else")
		shots := browsertest.Shots(t)
		v.Shot(shots, "websocket-watched-1440")
		v.Size(390, 844)
		require.Empty(t, v.Overflow())
		v.Shot(shots, "websocket-watched-390")
		v.Size(1440, 900)
		v.Press("Stop watching")
		v.WaitText("the client stays connected")
		p.fence()
		v.Press("Log out")
		v.login("guest", "guest guest")
		v.WaitText("New connection")
		v.to("clients/phone")
		v.WaitText("ws:default")
		v.Wait("![...document.querySelectorAll('a')].some(a => a.innerText.trim() === 'Watch')")
		v.to("websocket?client=phone")
		v.WaitText("New connection")
		v.WaitNoText("Watch a client")
	})

	t.Run("a listener says how long its certificate is good", func(t *testing.T) {
		ca := newAuthority(t)
		ca.until = time.Now().Add(5*24*time.Hour + time.Hour)
		cert, key := ca.files(t.TempDir(), "127.0.0.1")
		v := visit(t, browser, brokertest.Start, "listeners.tls.default.bind=127.0.0.1:0",
			"listeners.tls.default.tls.cert_file="+cert, "listeners.tls.default.tls.key_file="+key)
		v.login("admin", "public")
		v.WaitText("What the broker holds")
		v.to("listeners")
		v.WaitText("certificate: 5 d left")
		v.Wait("document.querySelectorAll('.badge.warn').length > 0")
		v.Shot(browsertest.Shots(t), "listeners-certificate")
	})

	t.Run("the keyboard alone reaches the page and leaves a dialog", func(t *testing.T) {
		v := visit(t, browser, brokertest.Start)
		v.login("admin", "public")
		v.WaitText("What the broker holds")
		v.Press("Change it")
		v.WaitFor("dialog[open]")
		v.Key("Escape")
		v.Wait("!document.querySelector('dialog[open]') && document.activeElement.innerText.trim() === 'Change it'")
		v.Reload()
		v.WaitText("What the broker holds")
		v.Key("Tab")
		v.Wait("document.activeElement.className === 'skip'")
		v.Key("Enter")
		v.Wait("document.activeElement.id === 'main'")
	})
}

// pageNames are the addresses of all pages, and of what is inside some.
var pageNames = []string{
	"overview", "alarms", "clients", "clients/861694030142473", "sessions", "topics", "routes", "subscriptions", "retained", "retained?topic=room/4/climate",
	"retained?view=list", "dead_letters", "websocket", "actors", "actors?view=kinds", "actors?of=client_sup/0&actor=ws:default/1/client", "crash_lab", "trace",
	"listeners", "bans", "users", "audit", "configuration", "http_api", "nothing",
}

// dialogs are the pages and the buttons that open something on them.
var dialogs = []struct{ page, button string }{
	{"overview", "Change it"}, {"clients/861694030142473", "Ban"}, {"clients", "Disconnect 861694030142473"}, {"subscriptions", "Subscribe a client"},
	{"users", "Add a user"}, {"users", "Make a key"}, {"bans", "Ban somebody"}, {"retained?topic=room/4/climate", "Delete"},
}

// sizes are those of a desk and of a phone, in CSS pixels.
var sizes = []struct {
	name          string
	width, height int
}{{"desk", 1440, 900}, {"phone", 390, 844}}

// looks holds what is shown to what everybody needs: nothing beyond the window's
// edge, text that can be read, a focus that can be seen.
func (v *visitor) looks(what string) {
	v.t.Helper()
	if over := v.Overflow(); over != "" {
		v.t.Errorf("%s is too wide: %s", what, over)
	}
	var cut bool
	v.Eval(&cut, "[...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth + 1)")
	if cut {
		v.t.Errorf("%s: a table hides its last columns", what)
	}
	contrast, focus := v.Looks()
	for _, fault := range append(contrast, focus...) {
		v.t.Errorf("%s: %s", what, fault)
	}
}

// TestPageLooks takes a picture of every page on a desk and on a phone, light and
// dark, and holds each to what everybody needs. Whoever changes the page looks at
// the pictures: BROWSERTEST_SHOTS names the folder.
func TestPageLooks(t *testing.T) {
	alongside(t)
	v := visit(t, browsertest.Start(t), brokertest.AllowCrashes, "chaos.enabled=true")
	dir := browsertest.Shots(t)
	populate(t, v.b)
	for _, size := range sizes {
		v.Size(size.width, size.height)
		v.Open(v.url)
		for _, scheme := range []string{"light", "dark"} {
			v.Scheme(scheme)
			look := func(name string) {
				t.Helper()
				name = strings.NewReplacer("/", "_", "?", "_").Replace(size.name + "-" + scheme + "-" + name)
				v.looks(name)
				v.Eval(nil, "document.activeElement.blur(), scrollTo(0, 0)")
				v.Shot(dir, name)
			}
			v.WaitText("Log in")
			look("login")
			v.login("admin", "public")
			v.to("overview")
			v.WaitText("What the broker holds")
			for _, name := range pageNames {
				v.to(name)
				look(name)
			}
			for _, d := range dialogs {
				v.to(d.page)
				v.Press(d.button)
				v.WaitFor("dialog[open]")
				look(d.page + "-" + d.button)
				v.Key("Escape")
				v.Wait("!document.querySelector('dialog[open]')")
			}
			v.Press("Log out")
		}
	}
}

// populate gives the broker something to show.
func populate(t *testing.T, b *brokertest.Broker) {
	t.Helper()
	c := clean(packet.V311, "861694030142473")
	c.HasUsername, c.HasPassword = true, true
	c.Username, c.Password, c.KeepAlive = "libaineu2004", []byte("12345678"), 60
	phone := enter(t, open(t, b, "ws"), c)
	phone.subscribe(packet.QoS1, "room/+/temperature", "$share/workers/jobs/#")
	phone.publish(packet.QoS0, 0, "nobody/listens", "x")

	away := join(t, b, kept(packet.V5, "sensor-at-the-far-end-of-the-building-with-a-long-name"))
	away.subscribe(packet.QoS2, "room/#", "building/4/floor/2/corridor/west/room/17/window/3/state")
	require.NoError(t, away.Close())

	slow := join(t, b, kept(packet.V5, "slow"))
	slow.subscribe(packet.QoS2, "room/#")
	for i, room := range []string{"room/4/climate", "room/4/temperature", "room/17/climate", "hall"} {
		phone.send(retained(pub(packet.QoS1, packet.ID(i+1), room, `{"celsius": 21.5, "humid": true}`)))
	}
	for answered := 0; answered < 4; {
		q, err := phone.next()
		require.NoError(t, err)
		if _, ok := q.(*packet.Ack); ok {
			answered++
		}
	}
}
