// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

// subprotocols are the names MQTT goes by, the second for version 3.1
// [v3.1.1 MQTT-6.0.0-3 -4, v5 MQTT-6.0.0-3 -4]. Case matters.
var subprotocols = []string{"mqtt", "mqttv3.1"}

// headerEnd returns the length of the header block at the start of b, its
// empty line included, or 0 while that has not arrived. The lines may end in a
// bare LF, as http.ReadRequest has it; both must see the same end, or what is
// header to one would be a frame to the other. Everything before from has been
// searched by an earlier call.
func headerEnd(b []byte, from int) int {
	for i := max(from-3, 0); i < len(b); {
		nl := bytes.IndexByte(b[i:], '\n')
		if nl < 0 {
			return 0
		}
		i += nl + 1
		switch rest := b[i:]; {
		case bytes.HasPrefix(rest, []byte("\n")):
			return i + 1
		case bytes.HasPrefix(rest, []byte("\r\n")):
			return i + 2
		}
	}
	return 0
}

// notHTTP refuses at once what can never become a request line, so that a
// client at the wrong port is told in the first packet and not by a timeout.
func notHTTP(b []byte) *Refusal {
	switch c := b[0]; {
	case c == 0x16: // TLS handshake record
		return badRequest("tls_on_plain_port", "This port speaks plain ws, not TLS: use ws:// here, or the port of a wss listener.")
	case c == 0x10: // MQTT CONNECT
		return badRequest("mqtt_on_websocket_port", "This port speaks MQTT over WebSocket: send an HTTP upgrade first, or use the port of a tcp listener.")
	case (c < 'A' || c > 'Z') && c != '\r' && c != '\n':
		return badRequest("not_http", "This port speaks HTTP and WebSocket: the first bytes are no HTTP request.")
	}
	return nil
}

// parseRequest reads the header block b, exactly that: what lies behind it
// belongs to the frames. The request's strings are copies.
func parseRequest(b []byte) (*http.Request, *Refusal) {
	br := bufio.NewReaderSize(bytes.NewReader(b), max(len(b), 16))
	req, err := http.ReadRequest(br)
	switch {
	case err != nil || br.Buffered() > 0: // the latter: it saw another end of the header
		return nil, badRequest("malformed_request", "The request line or a header line cannot be parsed.")
	case req.ProtoMajor != 1:
		return nil, refuse(http.StatusHTTPVersionNotSupported, "http_version", "Use HTTP/1.1: this port does not speak HTTP/2.")
	case req.Host == "" && req.ProtoMinor > 0:
		return nil, badRequest("no_host", "HTTP/1.1 needs a Host header.")
	}
	return req, nil
}

// wantsUpgrade says whether the request asks for a WebSocket, even if badly.
func wantsUpgrade(req *http.Request) bool {
	return hasToken(req.Header["Upgrade"], "websocket") || len(req.Header["Sec-Websocket-Key"]) > 0
}

// checkRequest is the ladder an upgrade has to climb [RFC 6455 4.2.1]. On
// success it returns the sub-protocol to answer with.
func (u *Upgrader) checkRequest(req *http.Request) (string, *Refusal) {
	for _, check := range []func(*Upgrader, *http.Request) *Refusal{
		(*Upgrader).checkHost, (*Upgrader).checkPath, (*Upgrader).checkMethod, (*Upgrader).checkBody,
		(*Upgrader).checkUpgrade, (*Upgrader).checkVersion, (*Upgrader).checkKey, (*Upgrader).checkOrigin,
	} {
		if r := check(u, req); r != nil {
			return "", r
		}
	}
	return chooseProtocol(req.Header["Sec-Websocket-Protocol"])
}

func (u *Upgrader) checkHost(req *http.Request) *Refusal {
	if !u.cfg.CheckHost || u.hostAllowed(req.Host) {
		return nil
	}
	return refuse(http.StatusForbidden, "host", "This listener answers to loopback names only, not to "+quote(req.Host)+
		": connect to localhost, or add the name to the listener's hosts in the configuration.")
}

func (u *Upgrader) checkPath(req *http.Request) *Refusal {
	if slices.Contains(u.cfg.Paths, req.URL.Path) {
		return nil
	}
	return refuse(http.StatusNotFound, "path", "MQTT is at "+strings.Join(u.cfg.Paths, ", ")+", not at "+quote(req.URL.Path)+
		": change the path of the URL, or add it to the listener's paths in the configuration.")
}

func (u *Upgrader) checkMethod(req *http.Request) *Refusal {
	if req.Method == http.MethodGet {
		return nil
	}
	r := refuse(http.StatusMethodNotAllowed, "method", "Open the WebSocket with GET, not with "+quote(req.Method)+".")
	r.header = "Allow: GET\r\n"
	return r
}

// checkBody keeps a body from being read as frames.
func (u *Upgrader) checkBody(req *http.Request) *Refusal {
	if req.ContentLength == 0 && len(req.TransferEncoding) == 0 {
		return nil
	}
	return badRequest("body", "An upgrade request has no body: leave out Content-Length and Transfer-Encoding.")
}

func (u *Upgrader) checkUpgrade(req *http.Request) *Refusal {
	upgrade := hasToken(req.Header["Upgrade"], "websocket")
	connection := hasToken(req.Header["Connection"], "upgrade")
	switch {
	case req.ProtoMinor == 0:
		return badRequest("http_1_0", "WebSocket needs HTTP/1.1: a proxy in between must be told to use it (nginx: proxy_http_version 1.1).")
	case !upgrade && !connection:
		return badRequest("not_upgrade", "This path speaks MQTT over WebSocket: connect with a WebSocket client, whose request has Upgrade: websocket and Connection: Upgrade.")
	case !upgrade:
		return badRequest("no_upgrade_header", "The header Upgrade: websocket is missing: a proxy in between must pass it on.")
	case !connection:
		return badRequest("no_connection_header", "The header Connection: Upgrade is missing: a proxy in between must pass it on.")
	}
	return nil
}

func (u *Upgrader) checkVersion(req *http.Request) *Refusal {
	v := req.Header["Sec-Websocket-Version"]
	if hasToken(v, "13") {
		return nil
	}
	sentence := "Send Sec-WebSocket-Version: 13; this request has none."
	if len(v) > 0 {
		sentence = "Send Sec-WebSocket-Version: 13 instead of " + quote(strings.Join(v, ", ")) + "."
	}
	r := refuse(http.StatusUpgradeRequired, "version", sentence)
	r.header = "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n" // [RFC 6455 4.4, RFC 9110 15.5.22]
	return r
}

func (u *Upgrader) checkKey(req *http.Request) *Refusal {
	keys := req.Header["Sec-Websocket-Key"]
	if len(keys) == 1 {
		if b, err := base64.StdEncoding.DecodeString(keys[0]); err == nil && len(b) == 16 {
			return nil
		}
	}
	return badRequest("key", "Send one Sec-WebSocket-Key: 16 random bytes in base64.")
}

func (u *Upgrader) checkOrigin(req *http.Request) *Refusal {
	origins := req.Header["Origin"]
	if u.originAllowed(origins, req.Host) {
		return nil
	}
	return refuse(http.StatusForbidden, "origin", "Pages from "+quote(strings.Join(origins, ", "))+" may not connect to "+quote(req.Host)+
		": to allow them write their origin into the listener's allowed_origins in the configuration.")
}

// chooseProtocol picks the first offered name that is MQTT. A client may
// spread its offer over several header lines.
func chooseProtocol(lines []string) (string, *Refusal) {
	if len(lines) == 0 {
		return "", badProtocol("no_subprotocol", `Offer the sub-protocol mqtt: new WebSocket(url, "mqtt"), or the header Sec-WebSocket-Protocol: mqtt.`)
	}
	offer := strings.Join(lines, ",")
	for name := range strings.SplitSeq(offer, ",") {
		if name = strings.TrimSpace(name); slices.Contains(subprotocols, name) {
			return name, nil
		}
	}
	if hasToken(lines, "mqtt") || hasToken(lines, "mqttv3.1") {
		return "", badProtocol("subprotocol_case", "Write the sub-protocol mqtt in lower case, not "+quote(offer)+".")
	}
	return "", badProtocol("subprotocol", "Offer the sub-protocol mqtt or mqttv3.1, not "+quote(offer)+".")
}

// hasToken looks for token, in any case, in comma separated header lines.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
