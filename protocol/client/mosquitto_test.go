// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
)

// mosquitto starts Debian's broker, another implementation than ours, and
// returns its address. Without it the test is skipped.
func mosquitto(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path = "/usr/sbin/mosquitto" // not in everybody's PATH
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("mosquitto is not installed: apt-get install mosquitto")
			}
			t.Skip("mosquitto is not installed: apt-get install mosquitto")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := "listener " + port + " 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
	require.NoError(t, os.WriteFile(conf, []byte(text), 0o600))
	cmd := exec.Command(path, "-v", "-c", conf)
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	running := make(chan bool, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(log); s.Scan(); {
			if strings.Contains(s.Text(), "running") {
				running <- true
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	select {
	case <-running:
	case <-ended:
		t.Fatal("mosquitto did not start")
	case <-time.After(10 * time.Second):
		t.Fatal("mosquitto does not run")
	}
	return address
}

// window is what mosquitto allows by default (max_inflight_messages 20). A 3.x
// client with more QoS 2 messages on the way is thrown out, and cannot be told.
const window = 16

func TestMosquitto(t *testing.T) {
	address := mosquitto(t)
	for _, version := range versions {
		for _, qos := range []packet.QoS{0, 1, 2} {
			t.Run(fmt.Sprintf("%v qos %d: every message once and in order", version, qos), func(t *testing.T) {
				const n = 200
				id := fmt.Sprintf("%v-%d", version, qos)
				got := make(chan *Message, n+1)
				cfg := Config{Dial: TCP(address), Connect: v(version), Window: window, TopicAliases: 5, Handler: func(m *Message) { got <- m }}
				cfg.Connect.ClientID, cfg.Connect.CleanStart = id, true
				if version == packet.V5 {
					// No Receive Maximum: mosquitto 2.0.11 sends one message more than it
					// allows, and we hang up.
					cfg.Connect.Properties = props(aliasMaximum(5))
				}
				c, err := NewClient(cfg)
				require.NoError(t, err)
				_, err = c.Connect(t.Context())
				require.NoError(t, err)
				a, err := c.Subscribe(t.Context(), nil, packet.Subscription{Filter: id + "/#", QoS: qos})
				require.NoError(t, err)
				require.Equal(t, []packet.ReasonCode{packet.ReasonCode(qos)}, a.Codes)
				done := make(results, n)
				for i := range n {
					m := &Message{Topic: fmt.Sprintf("%s/%d", id, i%7), Payload: fmt.Append(nil, i), QoS: qos}
					require.NoError(t, c.PublishAsync(t.Context(), m, done.add))
				}
				for i := range n {
					require.NoError(t, (<-done).Err)
					m := next(t, c, got)
					require.Equal(t, fmt.Sprint(i), string(m.Payload))
					require.Equal(t, fmt.Sprintf("%s/%d", id, i%7), m.Topic)
				}
				require.NoError(t, c.Ping(t.Context()))
				_, err = c.Unsubscribe(t.Context(), nil, id+"/#")
				require.NoError(t, err)
				require.NoError(t, c.Disconnect(t.Context(), nil))
				<-c.Done()
				require.Empty(t, got)
			})
		}
		t.Run(version.String()+" a session outlives its connections", func(t *testing.T) {
			id := "session-" + version.String()
			got := make(chan *Message, 10)
			up := make(chan bool, 3)
			cfg := Config{
				Dial: TCP(address), Connect: persistent(version), Reconnect: &Backoff{Min: time.Millisecond},
				Handler: func(m *Message) { got <- m }, OnConnect: func(a *packet.Connack) { up <- a.SessionPresent },
			}
			cfg.Connect.ClientID = id
			c, err := NewClient(cfg)
			require.NoError(t, err)
			_, err = c.Connect(t.Context())
			require.NoError(t, err)
			require.False(t, <-up)
			_, err = c.Subscribe(t.Context(), nil, packet.Subscription{Filter: id, QoS: 2})
			require.NoError(t, err)
			c.Drop()
			require.Equal(t, version > packet.V31, <-up, "3.1 does not tell")
			for i := range 3 {
				_, err := c.Publish(t.Context(), &Message{Topic: id, QoS: 2, Payload: fmt.Append(nil, i)})
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(i), string(next(t, c, got).Payload))
			}
			require.NoError(t, c.Disconnect(t.Context(), nil))
			<-c.Done()
		})
	}
}

// next is the next message, as long as the connection lives.
func next(t *testing.T, c *Client, got <-chan *Message) *Message {
	t.Helper()
	select {
	case m := <-got:
		return m
	case <-c.Done():
		require.NoError(t, c.Wait())
		return nil
	}
}
