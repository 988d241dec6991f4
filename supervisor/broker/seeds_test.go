// SPDX-License-Identifier: Apache-2.0

package broker_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/supervisor/broker/brokertest"
)

// The captures that the project started from, against the whole broker, byte
// for byte.

// seed reads a capture: one piece per line.
func seed(t testing.TB, name string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(root + "/protocol/testdata/seeds/" + name)
	require.NoError(t, err)
	var out [][]byte
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		b, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		require.NoError(t, err)
		if len(b) > 0 {
			out = append(out, b)
		}
	}
	return out
}

func whole(pieces [][]byte) []byte { return bytes.Join(pieces, nil) }

// wire is a connection on which tests see bytes.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func onWire(t testing.TB, address string) *wire {
	t.Helper()
	nc, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	return &wire{t, nc, bufio.NewReader(nc)}
}

func (w *wire) say(b []byte) {
	w.t.Helper()
	_, err := w.Write(b)
	require.NoError(w.t, err)
}

// reads expects exactly these bytes, written as hex.
func (w *wire) reads(want string) {
	w.t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(want, " ", ""))
	require.NoError(w.t, err)
	got := make([]byte, len(b))
	n, err := io.ReadFull(w.r, got)
	require.NoError(w.t, err, "read %x", got[:n])
	require.Equal(w.t, hex.EncodeToString(b), hex.EncodeToString(got))
}

// ends expects that nothing more comes.
func (w *wire) ends() {
	w.t.Helper()
	rest, err := io.ReadAll(w.r)
	if !hungUp(err) {
		require.NoError(w.t, err)
	}
	require.Empty(w.t, rest)
}

// frame is a masked frame of a client.
func frame(first byte, mask [4]byte, payload []byte) []byte {
	b := []byte{first, 0x80 | byte(len(payload))}
	if len(payload) > 125 {
		b = []byte{first, 0x80 | 126, byte(len(payload) >> 8), byte(len(payload))}
	}
	b = append(b, mask[:]...)
	for i, x := range payload {
		b = append(b, x^mask[i&3])
	}
	return b
}

const binary, text, fin = 0x02, 0x01, 0x80

// data is a whole binary message in one frame.
func data(payload []byte) []byte { return frame(fin|binary, [4]byte{0x8f, 0x06, 0x5d, 0x55}, payload) }

// key of the capture of 003 and the answer to it.
const (
	captureKey    = "MTMtMTU0NDE1NjY2MjM2NA=="
	captureAccept = "pC5iSVAHF4dkYCnA6rA0VDfEpuI="
)

// request is an upgrade request with some headers replaced ("" takes one away).
func request(host, method, path string, headers map[string]string) []byte {
	all := map[string]string{"Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": captureKey, "Sec-WebSocket-Protocol": "mqtt"}
	for k, v := range headers {
		all[k] = v
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, path)
	for k, v := range all {
		if v != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", k, v)
		}
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// response reads an HTTP answer.
func (w *wire) response() (*http.Response, string) {
	w.t.Helper()
	res, err := http.ReadResponse(w.r, nil)
	require.NoError(w.t, err)
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res, ""
	}
	body, err := io.ReadAll(res.Body)
	require.NoError(w.t, err)
	return res, string(body)
}

// upgraded is a wire that speaks WebSocket.
func upgraded(t testing.TB, b *brokertest.Broker) *wire {
	t.Helper()
	w := onWire(t, wsAddress(b))
	w.say(request(wsAddress(b), "GET", "/mqtt", nil))
	res, _ := w.response()
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	return w
}

func wsAddress(b *brokertest.Broker) string { return b.Addr("listeners.ws.default").String() }

func TestSeedConnectOverTCP(t *testing.T) {
	b := brokertest.Start(t)
	connect := whole(seed(t, "connect_tcp.hex"))
	require.Len(t, connect, 53)
	for name, pieces := range map[string][][]byte{
		"whole": {connect}, "byte by byte": bytesOf(connect), "in its 13 pieces": seed(t, "connect_websocket.hex"),
	} {
		t.Run(name, func(t *testing.T) {
			w := onWire(t, b.TCP())
			for _, p := range pieces {
				w.say(p)
			}
			w.reads("20 02 00 00")
			w.say(whole(seed(t, "pingreq.hex")))
			w.reads("d0 00")
			w.say([]byte{0xe0, 0x00})
			w.ends()
		})
	}
	settled(t, b)
}

func bytesOf(b []byte) [][]byte {
	var out [][]byte
	for i := range b {
		out = append(out, b[i:i+1])
	}
	return out
}

func TestSeedConnectOverWebSocket(t *testing.T) {
	b := brokertest.Start(t)
	connect := whole(seed(t, "connect_tcp.hex"))
	frames := seed(t, "connect_websocket.hex")
	require.Len(t, frames, 13)
	require.Equal(t, connect, whole(frames))
	for _, tt := range []struct {
		name   string
		writes [][]byte
	}{
		{"whole", [][]byte{data(connect)}},
		{"in its 13 frames", each(frames, data)},
		{"in its 13 frames in one segment", [][]byte{whole(each(frames, data))}},
		{"byte by byte", each(bytesOf(connect), data)},
		{"one frame, byte by byte on the wire", bytesOf(data(connect))},
		{"as fragments", fragments(frames)},
		{"as fragments with a ping between", append(fragments(frames)[:5:5], append([][]byte{frame(fin|0x9, [4]byte{1, 2, 3, 4}, nil)}, fragments(frames)[5:]...)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := upgraded(t, b)
			for _, p := range tt.writes {
				w.say(p)
			}
			if strings.HasSuffix(tt.name, "ping between") {
				w.reads("8a 00")
			}
			w.reads("82 04 20 02 00 00")
			// The capture's PINGREQ, with its mask: 8f 06 5d 55 / 4f 06.
			w.say([]byte{0x82, 0x82, 0x8f, 0x06, 0x5d, 0x55, 0x4f, 0x06})
			w.reads("82 02 d0 00")
			w.say(data([]byte{0xe0, 0x00}))
			w.reads("88 02 03 e8") // close, 1000
			w.ends()
		})
	}
	settled(t, b)
}

func each(in [][]byte, f func([]byte) []byte) [][]byte {
	var out [][]byte
	for _, b := range in {
		out = append(out, f(b))
	}
	return out
}

// fragments is one message, a fragment per piece.
func fragments(pieces [][]byte) [][]byte {
	var out [][]byte
	for i, p := range pieces {
		first := byte(0) // continuation
		if i == 0 {
			first = binary
		}
		if i == len(pieces)-1 {
			first |= fin
		}
		out = append(out, frame(first, [4]byte{9, byte(i), 7, 1}, p))
	}
	return out
}

func TestTwoPacketsInOneFrameAreAnsweredInOneMessage(t *testing.T) {
	b := brokertest.Start(t)
	w := upgraded(t, b)
	w.say(data(append(whole(seed(t, "connect_tcp.hex")), whole(seed(t, "pingreq.hex"))...)))
	w.reads("82 06 20 02 00 00 d0 00")
}

func TestConnectThatComesWithTheUpgradeIsAnswered(t *testing.T) {
	b := brokertest.Start(t)
	w := onWire(t, wsAddress(b))
	w.say(append(request(wsAddress(b), "GET", "/mqtt", nil), data(whole(seed(t, "connect_tcp.hex")))...))
	res, _ := w.response()
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	w.reads("82 04 20 02 00 00")
}

func TestUpgrade(t *testing.T) {
	b := brokertest.Start(t)
	for _, tt := range []struct {
		name    string
		headers map[string]string
		status  int
		answer  string // body, or the accepted key
		header  string
	}{
		{"the capture's key", nil, 101, captureAccept, "mqtt"},
		{"the key of RFC 6455", map[string]string{"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}, 101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "mqtt"},
		{"mqttv3.1", map[string]string{"Sec-WebSocket-Protocol": "mqttv3.1"}, 101, captureAccept, "mqttv3.1"},
		{"mqtt among others", map[string]string{"Sec-WebSocket-Protocol": "mqtt, foo"}, 101, captureAccept, "mqtt"},
		{"compression is declined", map[string]string{"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}, 101, captureAccept, "mqtt"},
		{"no upgrade", map[string]string{"Upgrade": "", "Connection": ""}, 400, "Bad Request", ""},
		{"no sub-protocol", map[string]string{"Sec-WebSocket-Protocol": ""}, 400, "Bad WebSocket Protocol", ""},
		{"another sub-protocol", map[string]string{"Sec-WebSocket-Protocol": "foo"}, 400, "Bad WebSocket Protocol", ""},
		{"an old version", map[string]string{"Sec-WebSocket-Version": "8"}, 426, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := onWire(t, wsAddress(b))
			w.say(request(wsAddress(b), "GET", "/mqtt", tt.headers))
			res, body := w.response()
			require.Equal(t, tt.status, res.StatusCode, body)
			require.Empty(t, res.Header.Get("Sec-WebSocket-Extensions"))
			switch tt.status {
			case 101:
				require.Equal(t, tt.answer, res.Header.Get("Sec-WebSocket-Accept"))
				require.Equal(t, tt.header, res.Header.Get("Sec-WebSocket-Protocol"))
			case 426:
				require.Equal(t, "13", res.Header.Get("Sec-WebSocket-Version"))
				fallthrough
			default:
				first, sentence, _ := strings.Cut(body, "\n")
				require.True(t, strings.HasPrefix(first, tt.answer), body)
				require.NotEmpty(t, strings.TrimSpace(sentence), "a sentence says what to change")
				w.ends()
			}
		})
	}
}

func TestStatusIsEmqttdsText(t *testing.T) {
	b := brokertest.Start(t)
	w := onWire(t, wsAddress(b))
	w.say([]byte("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	res, body := w.response()
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "Node emqttd@127.0.0.1 is started\nemqttd is running", body)
}

func TestPublishOverHTTP(t *testing.T) {
	b := brokertest.Start(t, "auth.users={user: secret}", "auth.chain=[{type: builtin}]", "auth.allow_anonymous=false")
	connect := clean(packet.V311, "subscriber")
	connect.Username, connect.HasUsername, connect.Password, connect.HasPassword = "user", true, []byte("secret"), true
	sub := join(t, b, connect)
	sub.subscribe(packet.QoS2, "http/#")
	post := func(password string, form url.Values) (int, string) {
		body := form.Encode()
		w := onWire(t, wsAddress(b))
		r, err := http.NewRequest(http.MethodPost, "http://localhost/mqtt/publish", strings.NewReader(body))
		require.NoError(t, err)
		r.SetBasicAuth("user", password)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.NoError(t, r.Write(w))
		res, text := w.response()
		return res.StatusCode, text
	}
	form := url.Values{"qos": {"1"}, "retain": {"0"}, "topic": {"http/1"}, "message": {"hello world"}}
	status, body := post("secret", form)
	require.Equal(t, 200, status, body)
	require.Equal(t, "ok", body)
	require.Equal(t, packet.QoS1, sub.hears("http/1", "hello world").QoS)
	status, _ = post("wrong", form)
	require.Equal(t, 401, status)
	form.Set("topic", "http/#")
	status, _ = post("secret", form)
	require.Equal(t, 400, status)
	form.Set("topic", "http/2")
	form.Set("qos", "3")
	status, _ = post("secret", form)
	require.Equal(t, 400, status)
	sub.fence()
}
