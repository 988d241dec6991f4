// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"

	"emqttd/supervisor/broker/brokertest"
)

// Clients that others wrote. A tool that is not there skips its test, but not
// where CI is set.

func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// tool is the path of a program.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "%s is not installed", name)
	}
	return path
}

func TestMosquittosTools(t *testing.T) {
	sub, pub := tool(t, "mosquitto_sub"), tool(t, "mosquitto_pub")
	ca := newAuthority(t)
	dir := t.TempDir()
	cert, key := ca.files(dir, "127.0.0.1")
	caFile := filepath.Join(dir, "ca.pem")
	writeFile(t, caFile, ca.pem())
	b := brokertest.Start(t, "listeners.tls.default={bind: \"127.0.0.1:0\", tls: {cert_file: "+cert+", key_file: "+key+"}}")
	for _, way := range []struct {
		name string
		addr net.Addr
		args []string
	}{
		{"tcp", b.Addr("listeners.tcp.default"), nil},
		{"tls", b.Addr("listeners.tls.default"), []string{"--cafile", caFile}},
	} {
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
			for qos := range 3 {
				t.Run(fmt.Sprint(way.name, " ", version, " qos ", qos), func(t *testing.T) {
					host, port, err := net.SplitHostPort(way.addr.String())
					require.NoError(t, err)
					args := append([]string{"-h", host, "-p", port, "-V", version, "-q", fmt.Sprint(qos)}, way.args...)
					topic := fmt.Sprintf("interop/%s/%s/%d", way.name, version, qos)
					ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
					defer cancel()
					run := func(name string, more ...string) {
						out, err := exec.CommandContext(ctx, name, append(args[:len(args):len(args)], more...)...).CombinedOutput()
						require.NoError(t, err, "%s", out)
					}
					s := exec.CommandContext(ctx, sub, append(args[:len(args):len(args)], "-t", topic, "-C", "2", "-F", "got %p")...)
					stdout, err := s.StdoutPipe()
					require.NoError(t, err)
					require.NoError(t, s.Start())
					lines := bufio.NewScanner(stdout)
					eventually(t, "it subscribes", func() bool { return b.Figures().Subscriptions() == 1 })
					run(pub, "-t", topic, "-m", "hello")
					run(pub, "-t", topic, "-m", "kept", "-r")
					waitLine(t, lines, "got hello")
					waitLine(t, lines, "got kept")
					require.NoError(t, s.Wait())
					eventually(t, "it leaves", func() bool { return b.Figures().Subscriptions() == 0 })
					out, err := exec.CommandContext(ctx, sub, append(args[:len(args):len(args)], "-t", topic, "-C", "1", "-F", "%r %p")...).Output()
					require.NoError(t, err)
					require.Equal(t, "1 kept", strings.TrimSpace(string(out)))
					eventually(t, "it leaves, too", func() bool { return b.Figures().Subscriptions() == 0 })
				})
			}
		}
	}
	settled(t, b)
}

func waitLine(t *testing.T, lines *bufio.Scanner, part string) {
	t.Helper()
	var seen []string
	for lines.Scan() {
		if seen = append(seen, lines.Text()); strings.Contains(lines.Text(), part) {
			return
		}
	}
	require.Fail(t, "no line with "+part, "%q", seen)
}

// paho's client for 3.1.1, over all its ways.
func TestPahoV3(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.files(t.TempDir(), "127.0.0.1")
	certs := "tls: {cert_file: " + cert + ", key_file: " + key + "}}"
	b := brokertest.Start(t, "listeners.tls.default={bind: \"127.0.0.1:0\", "+certs, "listeners.wss.default={bind: \"127.0.0.1:0\", "+certs)
	addr := func(key string) string { return b.Addr("listeners." + key + ".default").String() }
	for _, url := range []string{"tcp://" + addr("tcp"), "ssl://" + addr("tls"), "ws://" + addr("ws") + "/mqtt", "wss://" + addr("wss") + "/mqtt"} {
		scheme, _, _ := strings.Cut(url, ":")
		t.Run(scheme, func(t *testing.T) {
			done := func(tok mqtt.Token) {
				t.Helper()
				require.True(t, tok.WaitTimeout(patience))
				require.NoError(t, tok.Error())
			}
			c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("paho").SetTLSConfig(ca.config()).SetAutoReconnect(false))
			done(c.Connect())
			got := make(chan string, 10)
			done(c.Subscribe("paho/#", 2, func(_ mqtt.Client, m mqtt.Message) { got <- fmt.Sprint(m.Topic(), m.Qos(), string(m.Payload())) }))
			for qos := range byte(3) {
				done(c.Publish("paho/x", qos, false, "hello"))
				select {
				case m := <-got:
					require.Equal(t, fmt.Sprint("paho/x", qos, "hello"), m)
				case <-time.After(patience):
					require.Fail(t, "no message")
				}
			}
			done(c.Unsubscribe("paho/#"))
			c.Disconnect(100)
		})
	}
	settled(t, b)
}

// paho's client for 5.0.
func TestPahoV5(t *testing.T) {
	b := brokertest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			got := make(chan *paho.Publish, 10)
			c := paho.NewClient(paho.ClientConfig{Conn: open(t, b, transport), OnPublishReceived: []func(paho.PublishReceived) (bool, error){
				func(r paho.PublishReceived) (bool, error) { got <- r.Packet; return true, nil }}})
			ack, err := c.Connect(ctx, &paho.Connect{KeepAlive: 30, CleanStart: true})
			require.NoError(t, err)
			require.NotEmpty(t, ack.Properties.AssignedClientID)
			id := 7
			_, err = c.Subscribe(ctx, &paho.Subscribe{Properties: &paho.SubscribeProperties{SubscriptionIdentifier: &id},
				Subscriptions: []paho.SubscribeOptions{{Topic: "paho/#", QoS: 2}}})
			require.NoError(t, err)
			for qos := range byte(3) {
				_, err := c.Publish(ctx, &paho.Publish{Topic: "paho/x", QoS: qos, Payload: []byte("hello"),
					Properties: &paho.PublishProperties{ContentType: "text/plain", ResponseTopic: "answer", CorrelationData: []byte{1}, User: paho.UserProperties{{Key: "k", Value: "v"}}}})
				require.NoError(t, err)
				select {
				case m := <-got:
					require.Equal(t, qos, m.QoS)
					require.Equal(t, "hello", string(m.Payload))
					require.Equal(t, "text/plain answer \x01 v", fmt.Sprint(m.Properties.ContentType, " ", m.Properties.ResponseTopic, " ", string(m.Properties.CorrelationData), " ", m.Properties.User.Get("k")))
					require.Equal(t, &id, m.Properties.SubscriptionIdentifier)
				case <-ctx.Done():
					require.Fail(t, "no message")
				}
			}
			require.NoError(t, c.Disconnect(&paho.Disconnect{}))
		})
	}
	settled(t, b)
}

// MQTT.js is what browsers use.
func TestMQTTjs(t *testing.T) {
	node, npm := tool(t, "node"), tool(t, "npm")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", dir, "mqtt@5.16.0")
	if out, err := install.CombinedOutput(); err != nil {
		missing(t, "mqtt.js cannot be installed: %v: %s", err, out)
	}
	script := filepath.Join(dir, "client.js")
	writeFile(t, script, []byte(`
const mqtt = require('mqtt')
async function run (url, protocolVersion) {
  const c = await mqtt.connectAsync(url, { protocolVersion, protocolId: protocolVersion === 3 ? 'MQIsdp' : 'MQTT', clean: true, reconnectPeriod: 0 })
  const got = []
  let all
  const done = new Promise(resolve => { all = resolve })
  c.on('message', (topic, payload, packet) => {
    got.push(packet.qos + ' ' + payload)
    if (got.length === 3) all()
  })
  await c.subscribeAsync('js/#', { qos: 2 })
  for (const qos of [0, 1, 2]) await c.publishAsync('js/x', 'hello', { qos })
  await done
  await c.endAsync()
  console.log(protocolVersion + ': ' + got.sort().join(', '))
}
(async () => {
  for (const v of [3, 4, 5]) await run(process.argv[2], v)
})().catch(e => { console.error(e); process.exit(1) })
`))
	b := brokertest.Start(t)
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, node, script, b.WS())
	cmd.Dir, cmd.Stderr = dir, &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	want := ""
	for v := 3; v <= 5; v++ {
		want += fmt.Sprintf("%d: 0 hello, 1 hello, 2 hello\n", v)
	}
	require.Equal(t, want, string(out))
	settled(t, b)
}
