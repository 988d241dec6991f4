// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// answer reads the HTTP response in out.
func answer(t *testing.T, out []byte, method string) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), &http.Request{Method: method})
	require.NoError(t, err)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r, string(body)
}

func TestUpgradeAnswersTheKey(t *testing.T) {
	for key, want := range map[string]string{
		"dGhlIHNhbXBsZSBub25jZQ==": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
		"MTMtMTU0NDE1NjY2MjM2NA==": "pC5iSVAHF4dkYCnA6rA0VDfEpuI=",
	} {
		req := replace("dGhlIHNhbXBsZSBub25jZQ==", key)
		res, out := NewUpgrader(Config{}).Upgrade(NewShared(), &Driver{}, []byte(req), nil)
		require.Equal(t, Upgraded, res.Outcome)
		r, _ := answer(t, out, "GET")
		require.Equal(t, 101, r.StatusCode)
		require.Equal(t, want, r.Header.Get("Sec-WebSocket-Accept"))
		require.Equal(t, []string{"mqtt"}, r.Header.Values("Sec-WebSocket-Protocol"))
		require.Equal(t, "/mqtt", res.Request.URL.Path)
	}
}

func TestUpgradeIsGranted(t *testing.T) {
	const line = "Sec-WebSocket-Protocol: mqtt\r\n"
	cases := []struct {
		name     string
		cfg      Config
		request  string
		protocol string
		deflate  bool
	}{
		{name: "as in the seeds", request: request, protocol: "mqtt"},
		{name: "lines end in bare LF", request: strings.ReplaceAll(request, "\r\n", "\n"), protocol: "mqtt"},
		{name: "MQTT 3.1", request: replace(": mqtt\r\n", ": mqttv3.1\r\n"), protocol: "mqttv3.1"},
		{name: "the client's order counts", request: replace(": mqtt\r\n", ": mqttv3.1, mqtt\r\n"), protocol: "mqttv3.1"},
		{name: "the first one known", request: replace(line, "Sec-WebSocket-Protocol: foo , mqtt,mqttv3.1\r\n"), protocol: "mqtt"},
		{name: "several sub-protocol lines", request: replace(line, "Sec-WebSocket-Protocol: foo\r\n"+line), protocol: "mqtt"},
		{name: "header names and tokens in any case", request: "GET /mqtt HTTP/1.1\r\nhost: a\r\nUPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: mqtt\r\n\r\n", protocol: "mqtt"},
		{name: "query behind the path", request: replace("/mqtt", "/mqtt?a=b"), protocol: "mqtt"},
		{name: "another path", cfg: Config{Paths: []string{"/ws", "/"}}, request: replace("/mqtt", "/"), protocol: "mqtt"},
		{name: "compression offered, not enabled", request: with(deflateRequest), protocol: "mqtt"},
		{name: "compression enabled, not offered", cfg: Config{Compression: true}, request: request, protocol: "mqtt"},
		{name: "compression offered as browsers do", cfg: Config{Compression: true}, request: with("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"), protocol: "mqtt", deflate: true},
		{name: "compression with a smaller server window is declined", cfg: Config{Compression: true}, request: with("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n"), protocol: "mqtt"},
		{name: "its second offer is taken", cfg: Config{Compression: true}, request: with("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, permessage-deflate\r\n"), protocol: "mqtt", deflate: true},
		{name: "page of the same host, another port", request: with("Origin: http://LOCALHOST:18083\r\n"), protocol: "mqtt"},
		{name: "loopback by address", cfg: Config{CheckHost: true}, request: replace("localhost:8083", "127.1.2.3:8083"), protocol: "mqtt"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := &Driver{}
			res, out := NewUpgrader(c.cfg).Upgrade(NewShared(), d, []byte(c.request), []byte(nil))
			require.Equal(t, Upgraded, res.Outcome, "%s", out)
			r, _ := answer(t, out, "GET")
			require.Equal(t, []string{c.protocol}, r.Header.Values("Sec-WebSocket-Protocol"))
			require.Equal(t, c.deflate, d.deflate)
			require.Equal(t, c.deflate, r.Header.Get("Sec-WebSocket-Extensions") != "")
		})
	}
}

func TestUpgradeIsRefused(t *testing.T) {
	cases := []struct {
		name     string
		cfg      Config
		request  string
		status   int
		reason   string // first line of the body
		label    string
		sentence string // part of the second line
		header   string
	}{
		{name: "plain GET", request: "GET /mqtt HTTP/1.1\r\nHost: a\r\n\r\n", status: 400, reason: "Bad Request", label: "not_upgrade", sentence: "connect with a WebSocket client"},
		{name: "no Upgrade", request: replace("Upgrade: websocket\r\n", ""), status: 400, reason: "Bad Request", label: "no_upgrade_header", sentence: "Upgrade: websocket is missing"},
		{name: "Upgrade to something else", request: replace("Upgrade: websocket", "Upgrade: h2c"), status: 400, reason: "Bad Request", label: "no_upgrade_header", sentence: "Upgrade: websocket is missing"},
		{name: "no Connection", request: replace("Connection: Upgrade", "Connection: close"), status: 400, reason: "Bad Request", label: "no_connection_header", sentence: "Connection: Upgrade is missing"},
		{name: "HTTP/1.0", request: replace("HTTP/1.1", "HTTP/1.0"), status: 400, reason: "Bad Request", label: "http_1_0", sentence: "proxy_http_version 1.1"},
		{name: "HTTP/2 preface", request: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 505, reason: "HTTP Version Not Supported", label: "http_version", sentence: "Use HTTP/1.1"},
		{name: "no Host", request: replace("Host: localhost:8083\r\n", ""), status: 400, reason: "Bad Request", label: "no_host", sentence: "needs a Host"},
		{name: "no sub-protocol", request: replace("Sec-WebSocket-Protocol: mqtt\r\n", ""), status: 400, reason: "Bad WebSocket Protocol", label: "no_subprotocol", sentence: `new WebSocket(url, "mqtt")`},
		{name: "another sub-protocol", request: replace(": mqtt\r\n", ": amqp\r\n"), status: 400, reason: "Bad WebSocket Protocol", label: "subprotocol", sentence: `not "amqp"`},
		{name: "sub-protocol in capitals", request: replace(": mqtt\r\n", ": MQTT\r\n"), status: 400, reason: "Bad WebSocket Protocol", label: "subprotocol_case", sentence: "in lower case"},
		{name: "version 8", request: replace("Version: 13", "Version: 8"), status: 426, reason: "Upgrade Required", label: "version", sentence: `instead of "8"`, header: "Sec-Websocket-Version: 13"},
		{name: "no version", request: replace("Sec-WebSocket-Version: 13\r\n", ""), status: 426, reason: "Upgrade Required", label: "version", sentence: "has none", header: "Sec-Websocket-Version: 13"},
		{name: "no key", request: replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), status: 400, reason: "Bad Request", label: "key", sentence: "16 random bytes"},
		{name: "key too short", request: replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), status: 400, reason: "Bad Request", label: "key", sentence: "16 random bytes"},
		{name: "two keys", request: with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), status: 400, reason: "Bad Request", label: "key", sentence: "one Sec-WebSocket-Key"},
		{name: "wrong path", request: replace("/mqtt", "/chat"), status: 404, reason: "Not Found", label: "path", sentence: `MQTT is at /mqtt, not at "/chat"`},
		{name: "POST", request: replace("GET", "POST"), status: 405, reason: "Method Not Allowed", label: "method", sentence: `not with "POST"`, header: "Allow: GET"},
		{name: "body", request: with("Content-Length: 5\r\n"), status: 400, reason: "Bad Request", label: "body", sentence: "no body"},
		{name: "chunked body", request: with("Transfer-Encoding: chunked\r\n"), status: 400, reason: "Bad Request", label: "body", sentence: "no body"},
		{name: "foreign page", request: with("Origin: https://evil.example\r\n"), status: 403, reason: "Forbidden", label: "origin", sentence: `Pages from "https://evil.example" may not connect to "localhost:8083"`},
		{name: "page from a file", request: with("Origin: null\r\n"), status: 403, reason: "Forbidden", label: "origin", sentence: "allowed_origins"},
		{name: "two origins", request: with("Origin: http://localhost\r\nOrigin: http://localhost\r\n"), status: 403, reason: "Forbidden", label: "origin", sentence: "allowed_origins"},
		{name: "name that resolves to loopback", cfg: Config{CheckHost: true}, request: replace("localhost:8083", "rebound.example:8083"), status: 403, reason: "Forbidden", label: "host", sentence: `not to "rebound.example:8083"`},
		{name: "the same for another request", cfg: Config{CheckHost: true}, request: "GET /status HTTP/1.1\r\nHost: rebound.example\r\n\r\n", status: 403, reason: "Forbidden", label: "host", sentence: "loopback names only"},
		{name: "malformed header line", request: with("no colon\r\n"), status: 400, reason: "Bad Request", label: "malformed_request", sentence: "cannot be parsed"},
		{name: "malformed request line", request: "GET\r\n\r\n", status: 400, reason: "Bad Request", label: "malformed_request", sentence: "cannot be parsed"},
		{name: "header too long", cfg: Config{MaxHeader: 100}, request: request, status: 431, reason: "Request Header Fields Too Large", label: "header_too_large", sentence: "cookies"},
		{name: "MQTT without WebSocket", request: string(unhex(t, connect)), status: 400, reason: "Bad Request", label: "mqtt_on_websocket_port", sentence: "tcp listener"},
		{name: "TLS", request: "\x16\x03\x01", status: 400, reason: "Bad Request", label: "tls_on_plain_port", sentence: "ws://"},
		{name: "noise", request: "\xff", status: 400, reason: "Bad Request", label: "not_http", sentence: "no HTTP request"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			res, out := NewUpgrader(c.cfg).Upgrade(NewShared(), &Driver{}, []byte(c.request), nil)
			require.Equal(t, Refused, res.Outcome, "%s", out)
			require.Equal(t, c.label, res.Refusal.Label)
			r, body := answer(t, out, "GET")
			require.Equal(t, c.status, r.StatusCode)
			require.Equal(t, http.StatusText(c.status), strings.TrimPrefix(r.Status, r.Status[:4]))
			require.True(t, r.Close)
			lines := strings.Split(body, "\n")
			require.Len(t, lines, 3)
			require.Equal(t, c.reason, lines[0])
			require.Contains(t, lines[1], c.sentence)
			if name, value, ok := strings.Cut(c.header, ": "); ok {
				require.Equal(t, value, r.Header.Get(name))
			}
		})
	}
}

func TestRefusalShowsNoMoreOfTheRequestThanIsSafe(t *testing.T) {
	_, out := NewUpgrader(Config{}).Upgrade(NewShared(), &Driver{}, []byte(with("Origin: \xffa\"<script>"+strings.Repeat("x", 1000)+"\r\n")), nil)
	r, body := answer(t, out, "GET")
	require.Equal(t, 403, r.StatusCode)
	require.Equal(t, "nosniff", r.Header.Get("X-Content-Type-Options"))
	require.Equal(t, "text/plain; charset=utf-8", r.Header.Get("Content-Type"))
	require.Less(t, len(body), 400)
	require.NotContains(t, body, "\xff")

	_, out = NewUpgrader(Config{}).Upgrade(NewShared(), &Driver{}, []byte(replace("GET", "HEAD")), nil)
	require.True(t, bytes.HasSuffix(out, []byte("\r\n\r\n")), "no body for HEAD")
}

func TestOtherRequestsAreReturned(t *testing.T) {
	post := "POST /mqtt/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\ntopic=a&qos="
	res, out := NewUpgrader(Config{}).Upgrade(NewShared(), &Driver{}, []byte(post), nil)
	require.Equal(t, PlainHTTP, res.Outcome)
	require.Empty(t, out)
	require.Equal(t, "/mqtt/publish", res.Request.URL.Path)
	require.Equal(t, "topic=a&qos=", post[res.Consumed:])
	require.Equal(t, int64(12), res.Request.ContentLength)

	res, _ = NewUpgrader(Config{}).Upgrade(NewShared(), &Driver{}, []byte("GET /status HTTP/1.1\r\nHost: a\r\n\r\n"), nil)
	require.Equal(t, PlainHTTP, res.Outcome)
}

func TestUpgradeByteByByte(t *testing.T) {
	for _, c := range []struct {
		request string
		outcome Outcome
		end     int // bytes that decide
	}{
		{request, Upgraded, len(request)},
		{replace("/mqtt", "/x"), Refused, len(request) - 3},
		{"\x10\x33", Refused, 1},
		{"GET /" + strings.Repeat("x", 9000), Refused, DefaultMaxHeader},
	} {
		sh, d, u := NewShared(), &Driver{}, NewUpgrader(Config{})
		for n := range len(c.request) + 1 {
			res, out := u.Upgrade(sh, d, []byte(c.request[:n]), nil)
			if n < c.end {
				require.Equal(t, Result{}, res, "after %d bytes", n)
				require.Empty(t, out)
				continue
			}
			require.Equal(t, c.outcome, res.Outcome, "after %d bytes", n)
			break
		}
	}
}

func TestAllowedOrigins(t *testing.T) {
	cases := []struct {
		allowed, origin string
		want            bool
	}{
		{"", "http://localhost:1", true},
		{"", "https://localhost", true},
		{"", "http://localhost.evil.example", false},
		{"", "null", false},
		{"", "", false},
		{"null", "null", true},
		{"*", "https://any.example", true},
		{"*", "null", true},
		{"https://app.example.com", "https://app.example.com", true},
		{"https://app.example.com/", "https://APP.example.com", true},
		{"https://app.example.com", "http://app.example.com", false},
		{"https://app.example.com", "https://app.example.com:8443", false},
		{"https://app.example.com:8443", "https://app.example.com:8443", true},
		{"app.example.com", "http://app.example.com:8080", true},
		{"https://*.example.com", "https://a.b.example.com", true},
		{"https://*.example.com", "https://example.com", false},
		{"https://*.example.com", "https://evilexample.com", false},
		{"https://app.example.com", "https://app.example.com.evil", false},
		{"https://app.example.com", "https://evil\\@app.example.com:x", false},
	}
	for _, c := range cases {
		u := NewUpgrader(Config{AllowedOrigins: strings.Fields(c.allowed)})
		require.Equal(t, c.want, u.originAllowed([]string{c.origin}, "localhost:8083"), "%q against %q", c.origin, c.allowed)
	}
	require.True(t, NewUpgrader(Config{}).originAllowed(nil, "x"), "programs send none")
}

func TestAllowedHosts(t *testing.T) {
	u := NewUpgrader(Config{CheckHost: true, Hosts: []string{"broker.lan"}})
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST:8083": true, "127.0.0.1:1": true, "127.9.9.9": true, "[::1]:8083": true, "[::1]": true,
		"[::ffff:127.0.0.1]:1": true, "broker.lan": true, "Broker.LAN:8083": true,
		"": false, "128.0.0.1": false, "localhost.evil.example": false, "0.0.0.0": false, "[::]": false,
	} {
		require.Equal(t, want, u.hostAllowed(host), "%q", host)
	}
}
