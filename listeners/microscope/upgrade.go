// SPDX-License-Identifier: Apache-2.0

package microscope

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// guid is the constant that RFC 6455 joins to the key [RFC 6455 1.3].
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Upgrade is what may be chosen about an upgrade request; whatever is empty is
// as a browser would say it.
type Upgrade struct {
	Key      string   `json:"key"`      // Sec-WebSocket-Key, base64 of 16 bytes
	Protocol *string  `json:"protocol"` // Sec-WebSocket-Protocol; "" leaves it out
	Version  string   `json:"version"`  // Sec-WebSocket-Version
	Headers  []Header `json:"headers"`  // further ones
}

var notes = map[string]string{
	"Host":                     "the server that is meant; one machine may serve several",
	"Upgrade":                  "the protocol to change to",
	"Connection":               "Upgrade is for this hop alone, so it is named here too",
	"Sec-Websocket-Version":    "13 is RFC 6455; no other is spoken",
	"Sec-Websocket-Key":        "16 random bytes: proof that the answer is to this request",
	"Sec-Websocket-Protocol":   "the sub-protocol; MQTT's is called mqtt",
	"Sec-Websocket-Extensions": "extensions such as compression",
	"Sec-Websocket-Accept":     "what the server made of the key",
	"Origin":                   "the page that asks; the server decides which it lets in",
}

func note(h Header) Header {
	if strings.EqualFold(h.Name, "Connection") && !strings.Contains(strings.ToLower(h.Value), "upgrade") {
		return h
	}
	h.Note = notes[textproto.CanonicalMIMEHeaderKey(h.Name)]
	return h
}

// request makes the upgrade request. The order of the headers is that of the
// capture the project began with.
func (u *Upgrade) request(target *url.URL) (*Request, error) {
	path := target.EscapedPath()
	if path == "" {
		path = "/mqtt"
	}
	if target.RawQuery != "" {
		path += "?" + target.RawQuery
	}
	version, protocol := u.Version, "mqtt"
	if version == "" {
		version = "13"
	}
	if u.Protocol != nil {
		protocol = *u.Protocol
	}
	r := &Request{Line: "GET " + path + " HTTP/1.1"}
	r.Headers = []Header{{Name: "Connection", Value: "Upgrade"}, {Name: "Upgrade", Value: "websocket"}, {Name: "Host", Value: target.Host},
		{Name: "Sec-WebSocket-Version", Value: version}, {Name: "Sec-WebSocket-Key", Value: u.Key}}
	if protocol != "" {
		r.Headers = append(r.Headers, Header{Name: "Sec-WebSocket-Protocol", Value: protocol})
	}
	r.Headers = append(r.Headers, u.Headers...)
	var b bytes.Buffer
	b.WriteString(r.Line + "\r\n")
	for i, h := range r.Headers {
		if !plain(h.Name) || h.Name == "" || strings.ContainsAny(h.Name, ": \t") || !plain(h.Value) {
			return nil, fmt.Errorf("header %q: no line ends or control characters, no blank or colon in its name", h.Name)
		}
		r.Headers[i] = note(h)
		b.WriteString(h.Name + ": " + h.Value + "\r\n")
	}
	b.WriteString("\r\n")
	r.Raw = b.Bytes()
	return r, nil
}

// plain reports whether s may stand in a header line.
func plain(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// sum works out what the server has to answer.
func sum(key, got string) *Accept {
	h := sha1.Sum([]byte(key + guid))
	a := &Accept{Key: key, GUID: guid, Joined: key + guid, SHA1: hex.EncodeToString(h[:]),
		Base64: base64.StdEncoding.EncodeToString(h[:]), Got: got}
	a.Equal = a.Got == a.Base64
	return a
}

var errNotHTTP = errors.New("the answer is not HTTP")

// headEnd is behind the empty line that ends a response's header, or -1.
func headEnd(b []byte) int {
	if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	return -1
}

// response reads the answer to r: raw is the header block, body what came
// behind it of an answer that is no 101.
func (r *Request) response(raw, body []byte) (*Response, error) {
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
	if err != nil {
		return nil, errNotHTTP
	}
	_ = res.Body.Close()
	out := &Response{Raw: append(append([]byte(nil), raw...), body...), Line: res.Proto + " " + res.Status}
	for line := range strings.Lines(string(raw[bytes.IndexByte(raw, '\n')+1:])) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			out.Headers = append(out.Headers, note(Header{Name: name, Value: strings.TrimSpace(value)}))
		}
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		out.Accept = sum(r.header("Sec-WebSocket-Key"), res.Header.Get("Sec-WebSocket-Accept"))
	}
	out.Verdict = r.verdict(res, out.Accept, body)
	out.OK = out.Verdict == agreed
	return out, nil
}

func (r *Request) header(name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}
