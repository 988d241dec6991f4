// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// jsonWriter writes JSON as mosquitto_sub's library does: without spaces, or
// "pretty" with tabs, where arrays stay on their line.
type jsonWriter struct {
	b      []byte
	pretty bool
	open   []scope // from the outermost
}

type scope struct {
	array bool
	count int // members written
}

func (w *jsonWriter) begin(c byte) {
	w.b = append(w.b, c)
	w.open = append(w.open, scope{array: c == '['})
	if w.pretty && c == '{' {
		w.b = append(w.b, '\n')
	}
}

func (w *jsonWriter) end() {
	s := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	if s.array {
		w.b = append(w.b, ']')
		return
	}
	if w.pretty {
		if s.count > 0 {
			w.b = append(w.b, '\n')
		}
		w.b = appendFill(w.b, '\t', len(w.open))
	}
	w.b = append(w.b, '}')
}

// member comes before every member of an object, by name, and of an array.
func (w *jsonWriter) member(name string) {
	if len(w.open) == 0 {
		return
	}
	s := &w.open[len(w.open)-1]
	s.count++
	if s.count > 1 {
		w.b = append(w.b, ',')
		switch {
		case w.pretty && s.array:
			w.b = append(w.b, ' ')
		case w.pretty:
			w.b = append(w.b, '\n')
		}
	}
	if s.array {
		return
	}
	if w.pretty {
		w.b = appendFill(w.b, '\t', len(w.open))
	}
	w.string(name)
	w.b = append(w.b, ':')
	if w.pretty {
		w.b = append(w.b, '\t')
	}
}

func (w *jsonWriter) text(name, value string) { w.member(name); w.string(value) }

func (w *jsonWriter) number(name string, value int64) {
	w.member(name)
	w.b = strconv.AppendInt(w.b, value, 10)
}

const hexDigits = "0123456789abcdef"

// string escapes what JSON must have escaped and nothing more; bytes that are
// no UTF-8 pass.
func (w *jsonWriter) string(s string) {
	w.b = append(w.b, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			w.b = append(w.b, '\\', c)
		case '\b':
			w.b = append(w.b, '\\', 'b')
		case '\f':
			w.b = append(w.b, '\\', 'f')
		case '\n':
			w.b = append(w.b, '\\', 'n')
		case '\r':
			w.b = append(w.b, '\\', 'r')
		case '\t':
			w.b = append(w.b, '\\', 't')
		default:
			if c < ' ' {
				w.b = append(w.b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
				continue
			}
			w.b = append(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}

// float is C's %1.15g, or %1.17g when the shorter one loses something.
func (w *jsonWriter) float(f float64) {
	if f == math.Trunc(f) && math.Abs(f) < math.MaxInt32 && (f != 0 || !math.Signbit(f)) {
		w.b = strconv.AppendInt(w.b, int64(f), 10)
		return
	}
	s := strconv.FormatFloat(f, 'g', 15, 64)
	if back, err := strconv.ParseFloat(s, 64); err != nil || back != f {
		s = strconv.FormatFloat(f, 'g', 17, 64)
	}
	w.b = append(w.b, s...)
}

// messageJSON appends the message as %j (payload a string) or %J (payload is
// JSON itself). ok is false, and nothing appended, when it is not.
func messageJSON(b []byte, m *client.Message, at time.Time, payloadIsJSON, pretty bool) (out []byte, ok bool) {
	w := &jsonWriter{b: b, pretty: pretty}
	w.begin('{')
	w.text("tst", jsonTime(at))
	w.text("topic", m.Topic)
	w.number("qos", int64(m.QoS))
	w.number("retain", int64(bit(m.Retain)))
	w.number("payloadlen", int64(len(m.Payload)))
	if m.QoS > 0 {
		w.number("mid", int64(m.ID))
	}
	if !m.Properties.Empty() {
		w.properties(m.Properties)
	}
	w.member("payload")
	switch {
	case len(m.Payload) == 0:
		w.b = append(w.b, "null"...)
	case !payloadIsJSON:
		w.string(string(m.Payload))
	case !w.value(m.Payload):
		return b, false
	}
	w.end()
	return w.b, true
}

// properties come in the order of their identifiers, which is that of our
// serializer; mosquitto_sub prints them in the order of arrival.
func (w *jsonWriter) properties(p *packet.Properties) {
	w.member("properties")
	w.begin('{')
	if p.Has(packet.PropTopicAlias) {
		w.number("topic-alias", int64(p.TopicAlias))
	}
	for _, id := range p.SubscriptionIDs {
		w.number("subscription-identifier", int64(id))
	}
	if p.Has(packet.PropPayloadFormat) {
		w.number("payload-format-indicator", int64(p.PayloadFormat))
	}
	if p.Has(packet.PropMessageExpiry) {
		w.number("message-expiry-interval", int64(p.MessageExpiry))
	}
	if p.Has(packet.PropContentType) {
		w.text("content-type", p.ContentType)
	}
	if p.Has(packet.PropResponseTopic) {
		w.text("response-topic", p.ResponseTopic)
	}
	if p.Has(packet.PropCorrelationData) {
		w.text("correlation-data", string(p.CorrelationData))
	}
	if len(p.User) > 0 {
		w.member("user-properties")
		w.begin('{')
		for _, u := range p.User {
			w.text(u.Key, u.Value)
		}
		w.end()
	}
	w.end()
}

// value writes raw JSON in the writer's manner, token by token: its depth costs
// no stack. false: it is no JSON.
func (w *jsonWriter) value(raw []byte) bool {
	if !json.Valid(raw) { // it bounds the depth as well
		return false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	depth := len(w.open)
	name, isName := "", false
	for {
		t, err := d.Token()
		if err != nil {
			return false
		}
		if delim, ok := t.(json.Delim); ok && (delim == '}' || delim == ']') {
			w.end()
			isName = w.inObject(depth)
		} else if isName {
			name, isName = t.(string), false
			continue
		} else {
			if len(w.open) > depth {
				w.member(name)
			}
			w.token(t)
			isName = w.inObject(depth)
		}
		if len(w.open) == depth {
			return true
		}
	}
}

// inObject reports whether the next token of a value begun at depth is a name.
func (w *jsonWriter) inObject(depth int) bool {
	return len(w.open) > depth && !w.open[len(w.open)-1].array
}

func (w *jsonWriter) token(t json.Token) {
	switch v := t.(type) {
	case json.Delim:
		w.begin(byte(v))
	case string:
		w.string(v)
	case float64:
		w.float(v)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case nil:
		w.b = append(w.b, "null"...)
	}
}
