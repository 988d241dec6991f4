// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/actors/alarm"
	"emqttd/protocol/client"
	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// desk is a broker with one client, and a shell on its machine.
type desk struct {
	t   *testing.T
	b   *brokertest.Broker
	dir string
	env map[string]string
	in  string
}

func newDesk(t *testing.T, sets ...string) *desk { return newDeskOf(t, brokertest.Start, sets) }

func newDeskOf(t *testing.T, start func(testing.TB, ...string) *brokertest.Broker, sets []string) *desk {
	d := &desk{t: t, dir: t.TempDir()}
	d.b = start(t, append([]string{"dashboard.bind=127.0.0.1:0", "store.engine=pebble", "node.data_dir=" + d.dir}, sets...)...)
	d.env = map[string]string{"EMQTTD_CTL_URL": "http://" + d.b.Addr("dashboard").String(), "EMQTTD_NODE__DATA_DIR": d.dir}
	return d
}

// join connects a client with a subscription.
func (d *desk) join(id, filter string) *client.Client {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.NewClient(client.Config{Dial: d.b.Dial, Connect: packet.Connect{Version: packet.V5, CleanStart: true, ClientID: id}})
	require.NoError(d.t, err)
	_, err = c.Connect(ctx)
	require.NoError(d.t, err)
	d.t.Cleanup(func() { _ = c.Close() })
	_, err = c.Subscribe(ctx, nil, packet.Subscription{Filter: filter, QoS: packet.QoS1})
	require.NoError(d.t, err)
	return c
}

// run runs a command line and returns its exit code and what it printed.
func (d *desk) run(args ...string) (code int, out, errs string) {
	d.t.Helper()
	var o, e bytes.Buffer
	w := &world{in: strings.NewReader(d.in), out: &o, err: &e, getenv: func(name string) string { return d.env[name] }, now: time.Now}
	code = run(d.t.Context(), w, args)
	return code, o.String(), e.String()
}

// ok is a command that must succeed.
func (d *desk) ok(args ...string) string {
	d.t.Helper()
	code, out, errs := d.run(args...)
	require.Zero(d.t, code, "%v: %s", args, errs)
	return out
}

func TestAProfileIsAFile(t *testing.T) {
	d := newDesk(t)
	file := filepath.Join(t.TempDir(), "heap.pprof")
	require.Regexp(t, `^.+heap\.pprof: [1-9]\d* bytes, for go tool pprof\n$`, d.ok("vm", "profile", "--kind", "heap", "--out", file))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(text, []byte{0x1f, 0x8b}), "compressed, as pprof has it")

	code, _, errs := d.run("vm", "profile", "--seconds", "3600", "--out", file)
	require.Equal(t, exitRefused, code)
	require.Contains(t, errs, "dashboard.max_profile")
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, text, kept, "no answer is no file")
}

func TestAFreshBrokerCanBeAdministeredOnItsOwnMachine(t *testing.T) {
	d := newDesk(t)
	require.Regexp(t, `^Node '.+' is started\nemqttd .+ is running\n$`, d.ok("status"))
	require.Regexp(t, `(?m)^sysdescr  : .+\nversion   : .+\nuptime    : .+\ndatetime  : `, d.ok("broker"))
	require.Contains(t, d.ok("broker", "stats"), "connections/count   : 0\n")
	require.Contains(t, d.ok("broker", "metrics"), "dropped/queue_full")
	require.Contains(t, d.ok("listeners"), "tcp:default")
	require.Contains(t, d.ok("vm"), "goroutines")
	require.Contains(t, d.ok("config"), "node.data_dir")
	require.Contains(t, d.ok("actors", "kinds"), "emqttd_protocol")
	require.Contains(t, d.ok("users", "list"), "administrator")
}

func TestWhoIsConnectedAndToWhat(t *testing.T) {
	d := newDesk(t)
	d.join("alice", "room/+")
	d.join("bob", "room/4")
	require.Regexp(t, `CLIENT ID +USERNAME .*\nalice .*\nbob `, d.ok("clients", "list"))
	require.Regexp(t, `^CLIENT ID.*\nbob `, d.ok("clients", "list", "--search", "bo"))
	require.Regexp(t, `^CLIENT ID.*\nbob .*\n$`, d.ok("clients", "list", "--sort", "-client_id", "--limit", "1"))
	require.Regexp(t, `(?m)^client_id +: alice$`, d.ok("clients", "show", "alice"))
	require.Regexp(t, `(?m)^durability +: (synced|memory)$`, d.ok("clients", "show", "alice"))
	require.Regexp(t, `(?m)^room/\+ .*\nroom/4 `, d.ok("routes", "list"))
	require.Regexp(t, `^FILTER.*\nroom/\+ .*\n$`, d.ok("routes", "show", "room/5"))
	require.Regexp(t, `^CLIENT ID.*\nalice +room/\+ +1 `, d.ok("subscriptions", "show", "alice"))
	require.Contains(t, d.ok("sessions", "list", "transient"), "alice")
	require.NotContains(t, d.ok("sessions", "list", "persistent"), "alice")
	require.Contains(t, d.ok("topics", "list"), "room/4")

	var rows []map[string]any
	require.NoError(t, json.Unmarshal([]byte(d.ok("clients", "list", "--json")), &rows))
	require.Len(t, rows, 2)
	require.Equal(t, "alice", rows[0]["client_id"])
}

func TestAListIsFetchedPageByPage(t *testing.T) {
	d := newDesk(t)
	for i := range 2*pageSize + 1 {
		d.join("c"+string(rune('0'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10)), "t")
	}
	require.Len(t, strings.Split(strings.TrimSpace(d.ok("clients", "list")), "\n"), 2*pageSize+2)
	require.Len(t, strings.Split(strings.TrimSpace(d.ok("clients", "list", "--limit", "150")), "\n"), 151)
}

func TestATraceFromItsBeginningToItsFile(t *testing.T) {
	d := newDesk(t)
	d.ok("trace", "topic", "room/#", "room.jsonl")
	alice := d.join("alice", "room/#")
	_, err := alice.Publish(t.Context(), &client.Message{Topic: "room/4", Payload: []byte("x"), QoS: packet.QoS1})
	require.NoError(t, err)
	require.Regexp(t, `1 +topic +room/# +true `, d.ok("trace", "list"))
	d.ok("trace", "topic", "room/#", "off")
	require.Regexp(t, `1 +topic +room/# +false `, d.ok("trace", "list"))
	require.Regexp(t, `(?s)/protocol +routed +PUBLISH .room/4. qos=1 bytes=1 count=1.*ended`, d.ok("trace", "follow", "1"))
	file, err := os.ReadFile(filepath.Join(d.dir, "trace", "room.jsonl"))
	require.NoError(t, err)
	require.Contains(t, string(file), `"step":"routed"`)
	code, _, errs := d.run("trace", "topic", "room/#", "off")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errs, "no trace of topic room/# is running")
	d.ok("trace", "delete", "1")
	code, _, _ = d.run("trace", "stop", "1")
	require.Equal(t, exitRefused, code)
}

func TestAlarmsAndSingleTopics(t *testing.T) {
	d := newDesk(t)
	d.b.Alarms().Raise(alarm.Alarm{ID: "test", Severity: alarm.Error, Title: "a test", RaisedAt: time.Now()})
	require.Regexp(t, `(?m)^test +error `, d.ok("alarms", "list"))
	d.ok("alarms", "clear", "test")
	require.Regexp(t, `(?m)^test +error `, d.ok("alarms", "history"))
	d.ok("topic-metrics", "add", "room/4")
	require.Regexp(t, `(?m)^room/4 .* \[0,0,0\] +\[0,0,0\] +0$`, d.ok("topic-metrics", "list"))
	d.ok("topic-metrics", "del", "room/4")
	require.Contains(t, d.ok("slow", "list"), "LATENCY SECONDS")
}

func TestUsersAndKeys(t *testing.T) {
	d := newDesk(t)
	d.in = "a long enough password\n"
	d.ok("users", "add", "carol", "--role", "viewer")
	require.Regexp(t, `(?m)^carol +viewer `, d.ok("admins", "list"))

	delete(d.env, "EMQTTD_NODE__DATA_DIR")
	d.env["EMQTTD_CTL_USER"], d.env["EMQTTD_CTL_PASSWORD"] = "carol", "a long enough password"
	d.ok("clients", "list")
	code, _, errs := d.run("users", "list")
	require.Equal(t, exitNotAllowed, code, "a viewer is no administrator")
	require.Contains(t, errs, "viewer")
	d.env["EMQTTD_CTL_PASSWORD"] = "wrong"
	code, _, _ = d.run("clients", "list")
	require.Equal(t, exitNotAllowed, code)

	d.env = map[string]string{"EMQTTD_CTL_URL": d.env["EMQTTD_CTL_URL"], "EMQTTD_CTL_TOKEN_FILE": filepath.Join(d.dir, "ctl.token")}
	var key map[string]any
	require.NoError(t, json.Unmarshal([]byte(d.ok("keys", "add", "exporter", "--json")), &key))
	d.ok("users", "del", "carol")
	d.env = map[string]string{"EMQTTD_CTL_URL": d.env["EMQTTD_CTL_URL"], "EMQTTD_CTL_KEY": key["key"].(string)}
	d.ok("clients", "list")
}

func TestExitCodes(t *testing.T) {
	d := newDesk(t)
	for _, tc := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"an unknown command", exitUsage, []string{"clints"}, "unknown command"},
		{"a missing argument", exitUsage, []string{"clients", "show"}, "accepts 1 arg"},
		{"an unknown flag", exitUsage, []string{"status", "--jsn"}, "unknown flag"},
		{"an address that is none", exitUsage, []string{"status", "--url", "broker:18083"}, "http://HOST:PORT"},
		{"a client that is not there", exitRefused, []string{"clients", "show", "nobody"}, ""},
		{"a filter that is unknown", exitRefused, []string{"clients", "list", "--sort", "colour"}, "colour"},
		{"nobody listens", exitUnreachable, []string{"status", "--url", "http://127.0.0.1:1"}, "is the broker running"},
		{"a wrong key", exitNotAllowed, []string{"clients", "list", "--key", "wrong"}, ""},
		{"a token file that is not there", exitUsage, []string{"status", "--token-file", "/nowhere"}, "--token-file"},
		{"a QoS that is none", exitUsage, []string{"subscriptions", "add", "a", "t", "3"}, "0, 1 or 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errs := d.run(tc.args...)
			require.Equal(t, tc.code, code, errs)
			require.Empty(t, out)
			require.Contains(t, errs, tc.says)
		})
	}
}

func TestTheTokenStaysOnThisMachine(t *testing.T) {
	d := newDesk(t)
	var sent []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Header.Get("Authorization"))
		http.Redirect(w, r, "http://"+d.b.Addr("dashboard").String(), http.StatusFound)
	}))
	t.Cleanup(elsewhere.Close)
	code, _, _ := d.run("status", "--url", elsewhere.URL)
	require.Equal(t, exitRefused, code, "a redirection is not followed")
	require.Len(t, sent, 1)

	c := &ctl{world: &world{getenv: func(name string) string { return d.env[name] }}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://broker.example/", nil)
	require.NoError(t, err)
	require.NoError(t, c.authorize(r, r.URL))
	require.Empty(t, r.Header.Get("Authorization"))
}

func TestWhatComesFromOutsideIsPrintable(t *testing.T) {
	require.Equal(t, `"a\x1b[31m\n"`, text("a\x1b[31m\n"))
	require.Equal(t, "température", text("température"))
}

func TestCompletion(t *testing.T) {
	d := newDesk(t)
	require.Contains(t, d.ok("completion", "bash"), "emqttd_ctl")
	require.Contains(t, d.ok("__complete", "cl"), "clients")
}
