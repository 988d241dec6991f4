// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"net/http"
	"strconv"
	"strings"
)

// Refusal is why an upgrade was not granted: the HTTP answer, the log line and
// the metric label in one. The connection is closed once the answer is out.
type Refusal struct {
	Status   int    // HTTP status code
	Reason   string // first line of the body, emqttd's words where it had some
	Label    string // metric label and log field, never changed once released
	Sentence string // what to change, one sentence
	header   string // further header lines, each with its CRLF

	Panic any    // what was caught, for the log; nil otherwise
	Stack []byte // where, with Panic
}

// Error is the reason and the sentence.
func (r *Refusal) Error() string { return r.Reason + ": " + r.Sentence }

// Append appends r as an HTTP/1.1 response to out and returns the extended
// slice. Method is the request's: HEAD gets no body.
func (r *Refusal) Append(out []byte, method string) []byte {
	body := r.Reason + "\n" + r.Sentence + "\n"
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(r.Status), 10)
	out = append(out, ' ')
	out = append(out, http.StatusText(r.Status)...)
	out = append(out, "\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n"...)
	out = append(out, r.header...)
	out = append(out, "Content-Length: "...)
	out = strconv.AppendInt(out, int64(len(body)), 10)
	out = append(out, "\r\n\r\n"...)
	if method == http.MethodHead {
		return out
	}
	return append(out, body...)
}

// badRequest is emqttd's answer to what is no upgrade at all.
func badRequest(label, sentence string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Reason: "Bad Request", Label: label, Sentence: sentence}
}

// badProtocol is emqttd's answer to an upgrade to something else than MQTT.
func badProtocol(label, sentence string) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Reason: "Bad WebSocket Protocol", Label: label, Sentence: sentence}
}

func refuse(status int, label, sentence string) *Refusal {
	return &Refusal{Status: status, Reason: http.StatusText(status), Label: label, Sentence: sentence}
}

// quote shows what the peer sent inside a sentence: printable, one line, at
// most 64 bytes of it.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:most], "")) + "..."
	}
	return strconv.QuoteToASCII(s)
}
