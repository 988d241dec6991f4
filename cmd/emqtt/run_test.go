// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

func TestPub(t *testing.T) {
	t.Run("each QoS, with its packets on the screen", func(t *testing.T) {
		for qos, lines := range map[string]string{
			"0": "",
			"1": "Client c received PUBACK (Mid: 1, RC:0)\n",
			"2": "Client c received PUBREC (Mid: 1)\nClient c sending PUBREL (m1)\nClient c received PUBCOMP (Mid: 1, RC:0)\n",
		} {
			b := &broker{}
			b.start(t, nil)
			got := emqtt(t, "", "pub", "-p", b.port, "-i", "c", "-t", "a", "-m", "x", "-q", qos, "-d")
			require.Equal(t, outcome{0, "Client c sending CONNECT\nClient c received CONNACK (0)\n" +
				"Client c sending PUBLISH (d0, q" + qos + ", r0, m1, 'a', ... (1 bytes))\n" + lines + "Client c sending DISCONNECT\n", ""}, got)
		}
	})

	t.Run("where the message comes from", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "message")
		require.NoError(t, os.WriteFile(file, []byte("in a\nfile"), 0o600))
		for _, c := range []struct {
			name, stdin string
			args        []string
			want        []string
		}{
			{"argument", "", []string{"-m", "x"}, []string{"x"}},
			{"nothing", "", []string{"-n"}, []string{""}},
			{"file", "", []string{"-f", file}, []string{"in a\nfile"}},
			{"all of standard input", "a\nb\n", []string{"-s"}, []string{"a\nb\n"}},
			{"lines of standard input", "a\n\nb", []string{"-l", "-q", "2"}, []string{"a", "", "b"}},
			{"no lines", "", []string{"-l"}, nil},
			{"a line longer than a buffer", strings.Repeat("x", 10_000) + "\ny\n", []string{"-l"}, []string{strings.Repeat("x", 10_000), "y"}},
			{"again and again", "", []string{"-m", "x", "--repeat", "3", "--repeat-delay", "0.001", "-q", "1"}, []string{"x", "x", "x"}},
		} {
			t.Run(c.name, func(t *testing.T) {
				b := &broker{}
				b.start(t, nil)
				require.Equal(t, outcome{}, emqtt(t, c.stdin, append([]string{"pub", "-p", b.port, "-t", "t", "-r"}, c.args...)...))
				b.l.Close()
				b.wg.Wait()
				var got []string
				for _, p := range b.got {
					if m, ok := p.(*packet.Publish); ok {
						require.True(t, m.Retain)
						got = append(got, string(m.Payload))
					}
				}
				require.Equal(t, c.want, got)
				require.Equal(t, "DISCONNECT", b.types()[len(b.got)-1])
			})
		}
	})

	t.Run("a topic alias is introduced once", func(t *testing.T) {
		b := &broker{}
		b.connack.Properties = new(packet.Properties).Set(packet.PropTopicAliasMaximum)
		b.connack.Properties.TopicAliasMaximum = 5
		b.start(t, nil)
		got := emqtt(t, "", "pub", "-p", b.port, "-t", "long", "-m", "x", "-D", "publish", "topic-alias", "5", "--repeat", "2", "-d", "-i", "c")
		require.Contains(t, got.out, "m1, 'long'")
		require.Contains(t, got.out, "m2, '(null)'")
	})

	t.Run("a message the server does not take is a warning", func(t *testing.T) {
		b := &broker{onPub: func(c *client.Conn, m *packet.Publish) {
			_ = c.Send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID, Code: packet.NotAuthorized})
		}}
		b.start(t, nil)
		got := emqtt(t, "", "pub", "-p", b.port, "-V", "5", "-t", "t", "-m", "x", "-q", "1")
		require.Equal(t, outcome{0, "", "Warning: Publish 1 failed: Not authorized.\n"}, got)
	})
}

func TestExitCodes(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, nobody, _ := net.SplitHostPort(closed.Addr().String())
	require.NoError(t, closed.Close())
	refusing := func(code packet.ReasonCode) *broker { return &broker{connack: packet.Connack{Code: code}} }
	dropping := &broker{onPub: func(c *client.Conn, _ *packet.Publish) { _ = c.Close() }}
	leaving := &broker{onPub: func(c *client.Conn, _ *packet.Publish) {
		_ = c.Send(&packet.Disconnect{Code: packet.ServerShuttingDown})
	}}
	for _, c := range []struct {
		name string
		b    *broker
		args []string
		want outcome
	}{
		{"nobody listens", nil, []string{"pub", "-p", nobody}, outcome{1, "", "Error: Connection refused\n"}},
		{"nobody listens, quietly", nil, []string{"pub", "-p", nobody, "--quiet"}, outcome{1, "", ""}},
		{"no such socket", nil, []string{"pub", "--unix", "/nonexistent"}, outcome{1, "", "Error: No such file or directory\n"}},
		{"refused, 3.1.1", refusing(packet.NotAuthorized), []string{"pub"}, outcome{5, "", "Connection error: Connection Refused: not authorised.\nError: The connection was refused.\n"}},
		{"refused, 3.1", refusing(packet.ClientIDNotValid), []string{"sub", "-V", "31"}, outcome{2, "", "Connection error: Connection Refused: identifier rejected.\n"}},
		{"refused, 5.0", refusing(packet.BadUserNameOrPassword), []string{"sub", "-V", "5"}, outcome{134, "", "Connection error: Bad username or password\n"}},
		{"refused, 5.0 unknown there", refusing(packet.UnsupportedProtocolVersion), []string{"sub", "-V", "5"}, outcome{132, "", "Connection error: Unsupported protocol version. Try connecting to an MQTT v5 broker, or use MQTT v3.x mode.\n"}},
		{"the connection is lost", dropping, []string{"pub", "-q", "1"}, outcome{7, "", "Error: The connection was lost.\n"}},
		{"the server says why", leaving, []string{"pub", "-q", "1", "-V", "5"}, outcome{139, "", "Error: disconnected by the server: Server shutting down.\n"}},
		{"too large for the server", &broker{connack: packet.Connack{Properties: func() *packet.Properties {
			p := new(packet.Properties).Set(packet.PropMaximumPacketSize)
			p.MaximumPacketSize = 5
			return p
		}()}}, []string{"pub", "-V", "5"}, outcome{1, "", "Error: client: packet too large.\n"}},
		{"every subscription denied", &broker{suback: packet.NotAuthorized}, []string{"sub", "-V", "5"}, outcome{135, "", "All subscription requests were denied.\n"}},
		{"a timeout", &broker{}, []string{"sub", "-W", "1"}, outcome{27, "", "Timed out\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append(c.args, "-t", "t")
			if c.b != nil {
				c.b.start(t, nil)
				args = append(args, "-p", c.b.port)
			}
			if args[0] == "pub" {
				args = append(args, "-m", "x")
			}
			require.Equal(t, c.want, emqtt(t, "", args...))
		})
	}
}

func TestSub(t *testing.T) {
	message := func(topic, payload string, retain bool) *packet.Publish {
		return &packet.Publish{Topic: []byte(topic), Payload: []byte(payload), Retain: retain}
	}
	three := []*packet.Publish{message("a", "1", true), message("b/c", "", false), message("d", "3", false)}
	for _, c := range []struct {
		name    string
		deliver []*packet.Publish
		args    []string
		want    outcome
	}{
		{"payloads", three, []string{"-C", "3"}, outcome{0, "1\n3\n", ""}},
		{"topics and payloads", three, []string{"-C", "3", "-v"}, outcome{0, "a 1\nb/c (null)\nd 3\n", ""}},
		{"no line ends", three, []string{"-C", "3", "-N", "-v"}, outcome{0, "a 1b/c (null)d 3", ""}},
		{"a format", three, []string{"-C", "3", "-F", "%t=%p %r"}, outcome{0, "a=1 1\nb/c= 0\nd=3 0\n", ""}},
		{"only so many", three, []string{"-C", "1"}, outcome{0, "1\n", ""}},
		{"without retained ones", three, []string{"-C", "2", "-v", "-R"}, outcome{0, "b/c (null)\nd 3\n", ""}},
		{"retained ones only, until another comes", three, []string{"--retained-only"}, outcome{0, "1\n", ""}},
		{"without what is filtered out", three, []string{"-C", "2", "-T", "b/#", "-v"}, outcome{0, "a 1\nd 3\n", ""}},
		{"payloads that should be JSON", three, []string{"-C", "2", "-T", "b/c", "-F", "x%J"}, outcome{0,
			`x{"tst":"2026-11-21T09:05:07.123456Z+0100","topic":"a","qos":0,"retain":1,"payloadlen":1,"payload":1}` + "\n" +
				`x{"tst":"2026-11-21T09:05:07.123456Z+0100","topic":"d","qos":0,"retain":0,"payloadlen":1,"payload":3}` + "\n", ""}},
		{"and are not", []*packet.Publish{message("a", "x", false)}, []string{"-C", "1", "-F", "%J"}, outcome{0, "\n", "Error: Message payload is not valid JSON on topic a.\n"}},
		{"exit once subscribed", nil, []string{"-E", "-t", "u", "-U", "v", "-d", "-i", "c"}, outcome{0,
			"Client c sending CONNECT\nClient c received CONNACK (0)\n" +
				"Client c sending SUBSCRIBE (Mid: 1, Topic: t, QoS: 0, Options: 0x00)\nClient c sending SUBSCRIBE (Mid: 1, Topic: u, QoS: 0, Options: 0x00)\n" +
				"Client c sending UNSUBSCRIBE (Mid: 2, Topic: v)\nClient c received SUBACK\nSubscribed (mid: 1): 0, 0\nClient c received UNSUBACK\nClient c sending DISCONNECT\n", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &broker{deliver: c.deliver}
			b.start(t, nil)
			require.Equal(t, c.want, emqtt(t, "", append([]string{"sub", "-p", b.port, "-t", "t"}, c.args...)...))
		})
	}

	t.Run("remove retained ones, and leave when they are removed", func(t *testing.T) {
		b := &broker{deliver: three}
		b.start(t, nil)
		got := emqtt(t, "", "sub", "-p", b.port, "-t", "#", "--remove-retained", "--retained-only", "-R=", "-v")
		require.Equal(t, 1, got.code, "an option without a value takes none")
		got = emqtt(t, "", "sub", "-p", b.port, "-t", "#", "--remove-retained", "--retained-only", "-v")
		require.Equal(t, outcome{0, "a 1\n", ""}, got)
		b.l.Close()
		b.wg.Wait()
		m := first[*packet.Publish](t, b)
		require.Equal(t, "a", string(m.Topic))
		require.True(t, m.Retain)
		require.Empty(t, m.Payload)
		require.Equal(t, []string{"CONNECT", "SUBSCRIBE", "PUBLISH", "DISCONNECT"}, b.types())
	})

	t.Run("subscription options and properties", func(t *testing.T) {
		b := &broker{deliver: three}
		b.start(t, nil)
		got := emqtt(t, "", "sub", "-p", b.port, "-V", "5", "-t", "t", "-q", "2", "-C", "1", "--retain-as-published",
			"-D", "subscribe", "subscription-identifier", "9", "-D", "disconnect", "user-property", "k", "v")
		require.Equal(t, outcome{0, "1\n", ""}, got)
		b.l.Close()
		b.wg.Wait()
		s := first[*packet.Subscribe](t, b)
		require.Equal(t, []packet.Subscription{{Filter: "t", QoS: 2, RetainAsPublished: true}}, s.Subscriptions)
		require.Equal(t, []uint32{9}, s.Properties.SubscriptionIDs)
		require.Equal(t, "k", first[*packet.Disconnect](t, b).Properties.User[0].Key)
	})

	t.Run("comes back when the connection is lost, and subscribes again", func(t *testing.T) {
		lost := false
		b := &broker{deliver: three[:1]}
		b.start(t, dropFirst(t, &lost))
		require.Equal(t, outcome{0, "1\n1\n", ""}, emqtt(t, "", "sub", "-p", b.port, "-t", "t", "-C", "2"))
		require.True(t, lost)
	})
}

// dropFirst is a listener whose first connection ends after one message.
func dropFirst(t *testing.T, lost *bool) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return &dropping{Listener: l, lost: lost}
}

type dropping struct {
	net.Listener
	lost *bool
}

func (d *dropping) Accept() (net.Conn, error) {
	nc, err := d.Listener.Accept()
	if err == nil && !*d.lost {
		*d.lost = true
		return &shortLived{Conn: nc}, nil
	}
	return nc, err
}

// shortLived closes behind its third write: CONNACK, SUBACK, a message.
type shortLived struct {
	net.Conn
	writes int
}

func (s *shortLived) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	if s.writes++; s.writes == 3 {
		_ = s.Conn.Close()
	}
	return n, err
}

func TestHelp(t *testing.T) {
	for _, tool := range []string{"pub", "sub"} {
		got := emqtt(t, "", tool, "-t", "t", "--help")
		require.Zero(t, got.code)
		for _, o := range options(tool) {
			require.Contains(t, got.out, o.names())
		}
		require.Zero(t, emqtt(t, "", tool, "--version").code)
	}
	require.Equal(t, 1, emqtt(t, "", "bogus").code)
}
