// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"emqttd/protocol/client"
	"emqttd/protocol/packet"
)

// format is a parsed -F: pieces in a row.
type format []piece

type piece struct {
	kind      byte   // '=' text, '@' time, '%' message
	verb      byte   // behind % or @
	text      string // of '='
	zero      bool   // pad with zeros
	left      bool   // pad on the right
	width     int    // at least so many characters
	precision int    // at most so many; -1: all
}

const (
	formatVerbs   = "%ACDEFIJPRSUXjlmpqrtx"
	maxFieldWidth = 10000 // characters
)

var escapes = map[byte]string{'\\': "\\", '0': "\x00", 'a': "\a", 'e': "\x1b", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

// parseFormat reads an output format [mosquitto_sub(1), OUTPUT FORMAT].
func parseFormat(s string) (format, error) {
	f := format{}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '%':
			p, n, err := parseField(s[i+1:])
			if err != nil {
				return nil, err
			}
			f = append(f, p)
			i += n
		case '@':
			if i++; i == len(s) {
				return nil, usage("Incomplete format specifier.")
			}
			f = append(f, piece{kind: '@', verb: s[i]})
		case '\\':
			if i++; i == len(s) {
				return nil, usage("Incomplete escape specifier.")
			}
			text, ok := escapes[s[i]]
			if !ok {
				return nil, usage("Invalid escape specifier '%c'.", s[i])
			}
			f = f.literal(text)
		default:
			f = f.literal(s[i : i+1])
		}
	}
	return f, nil
}

func (f format) literal(text string) format {
	if n := len(f); n > 0 && f[n-1].kind == '=' {
		f[n-1].text += text
		return f
	}
	return append(f, piece{kind: '=', text: text})
}

// parseField reads what follows a percent sign: [0 or -] [width] [.precision] verb.
func parseField(s string) (p piece, n int, err error) {
	p = piece{kind: '%', precision: -1}
	switch {
	case strings.HasPrefix(s, "-"):
		p.left, n = true, 1
	case strings.HasPrefix(s, "0"):
		p.zero, n = true, 1
	}
	p.width, n = number(s, n)
	if n < len(s) && s[n] == '.' {
		p.precision, n = number(s, n+1)
	}
	switch {
	case n >= len(s):
		return p, n, usage("Incomplete format specifier.")
	case p.width > maxFieldWidth:
		return p, n, usage("Field width of more than %d.", maxFieldWidth)
	case !strings.Contains(formatVerbs, s[n:n+1]):
		return p, n, usage("Invalid format specifier '%c'.", s[n])
	}
	p.verb = s[n]
	return p, n + 1, nil
}

// number reads digits from s[i:]; too large a number stays at a bound.
func number(s string, i int) (value, next int) {
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		value = min(value*10+int(s[i]-'0'), maxFieldWidth+1)
	}
	return value, i
}

// formatted is a message being written.
type formatted struct {
	m       *client.Message
	at      time.Time // of its arrival
	pretty  bool
	notJSON bool // %J met a payload that is none
}

func (f *formatted) append(b []byte, pieces format) []byte {
	for i := range pieces {
		p := &pieces[i]
		switch p.kind {
		case '=':
			b = append(b, p.text...)
		case '@':
			b = appendTime(b, f.at, p.verb)
		default:
			b = f.appendField(b, p)
		}
	}
	return b
}

func (f *formatted) appendField(b []byte, p *piece) []byte {
	m := f.m
	switch p.verb {
	case '%':
		return append(b, '%')
	case 'C':
		return p.pad(b, f.text(packet.PropContentType), false)
	case 'D':
		if m.Properties.Has(packet.PropCorrelationData) {
			b = append(b, m.Properties.CorrelationData...)
		}
		return b
	case 'I':
		return p.pad(b, string(isoTime(nil, f.at)), false)
	case 'j', 'J':
		out, ok := messageJSON(b, f.m, f.at, p.verb == 'J', f.pretty)
		f.notJSON = f.notJSON || !ok
		return out
	case 'P':
		return append(b, userProperties(m.Properties)...)
	case 'R':
		return p.pad(b, f.text(packet.PropResponseTopic), false)
	case 'U':
		return appendUnix(b, f.at)
	case 'p':
		return p.padBytes(b, m.Payload)
	case 'q':
		return append(b, '0'+byte(m.QoS))
	case 'r':
		return append(b, '0'+byte(bit(m.Retain)))
	case 't':
		return p.pad(b, m.Topic, false)
	case 'x':
		return p.pad(b, hex.EncodeToString(m.Payload), true)
	case 'X':
		return p.pad(b, strings.ToUpper(hex.EncodeToString(m.Payload)), true)
	}
	return p.pad(b, f.number(p.verb), true)
}

// number is what a verb with a number stands for, "" when it is absent.
func (f *formatted) number(verb byte) string {
	m := f.m
	switch verb {
	case 'l':
		return strconv.Itoa(len(m.Payload))
	case 'm':
		return strconv.Itoa(int(m.ID))
	case 'A':
		if m.Properties.Has(packet.PropTopicAlias) {
			return strconv.Itoa(int(m.Properties.TopicAlias))
		}
	case 'E':
		if m.Properties.Has(packet.PropMessageExpiry) {
			return strconv.FormatUint(uint64(m.Properties.MessageExpiry), 10)
		}
	case 'F':
		if m.Properties.Has(packet.PropPayloadFormat) {
			return strconv.Itoa(int(m.Properties.PayloadFormat))
		}
	case 'S':
		return subscriptionIDs(m.Properties)
	}
	return ""
}

func subscriptionIDs(p *packet.Properties) string {
	if !p.Has(packet.PropSubscriptionID) {
		return ""
	}
	ids := make([]string, len(p.SubscriptionIDs))
	for i, id := range p.SubscriptionIDs {
		ids[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(ids, " ")
}

func userProperties(p *packet.Properties) string {
	if !p.Has(packet.PropUserProperty) {
		return ""
	}
	pairs := make([]string, len(p.User))
	for i, u := range p.User {
		pairs[i] = u.Key + ":" + u.Value
	}
	return strings.Join(pairs, " ")
}

func (f *formatted) text(id packet.Property) string {
	if !f.m.Properties.Has(id) {
		return ""
	}
	return *f.m.Properties.Text(id)
}

// pad appends text with the piece's width and precision. Zeros are for numbers;
// a number is not cut.
func (p *piece) pad(b []byte, text string, numeric bool) []byte {
	if p.precision >= 0 && p.precision < len(text) && !numeric {
		text = text[:p.precision]
	}
	fill := byte(' ')
	if p.zero && numeric {
		fill = '0'
	}
	gap := p.width - len(text)
	if !p.left {
		b = appendFill(b, fill, gap)
	}
	b = append(b, text...)
	if p.left {
		b = appendFill(b, ' ', gap)
	}
	return b
}

func (p *piece) padBytes(b, text []byte) []byte {
	gap := p.width - len(text)
	if !p.left {
		b = appendFill(b, ' ', gap)
	}
	b = append(b, text...)
	if p.left {
		b = appendFill(b, ' ', gap)
	}
	return b
}

func appendFill(b []byte, c byte, n int) []byte {
	for range n {
		b = append(b, c)
	}
	return b
}
