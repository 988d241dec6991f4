// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"emqttd/protocol/packet"
)

// received is one thing that came from the broker: a packet, the answer to a
// WebSocket handshake, or the end of the connection.
type received struct {
	pkt      packet.Packet
	upgraded *upgraded
	frame    []byte // the packet's bytes
	closed   bool
	fault    error // bytes that are no packet; the connection counts as broken
}

// kind is the word that scripts use for what came.
func (r received) kind() string {
	switch {
	case r.fault != nil:
		return "garbage"
	case r.closed:
		return "closed"
	case r.upgraded != nil:
		return "upgraded"
	}
	return strings.ToLower(r.pkt.Type().String())
}

// get is field name as text, and whether the packet has it.
func (r received) get(name string) (string, bool) {
	switch name {
	case "size":
		return strconv.Itoa(len(r.frame)), true
	case "hex":
		return hex.EncodeToString(r.frame), true
	}
	if r.upgraded != nil {
		return r.upgraded.get(name)
	}
	props, field, ok := fieldsOf(r.pkt, name)
	if r.kind() == "connack" && name == "code" && len(r.frame) == 4 {
		return num(r.frame[3]), true // before 5.0 scripts speak of return codes [v3.1.1 3.2.2.3]
	}
	if isProperty(name) {
		return propertyText(props, name)
	}
	return field, ok
}

// fieldsOf returns the packet's properties and its field name.
func fieldsOf(p packet.Packet, name string) (*packet.Properties, string, bool) {
	switch p := p.(type) {
	case *packet.Connack:
		return p.Properties, pick(name, "present", bit(p.SessionPresent), "code", num(p.Code)), true
	case *packet.Publish:
		text := pick(name, "dup", bit(p.Dup), "qos", num(p.QoS), "retain", bit(p.Retain),
			"id", num(p.ID), "topic", string(p.Topic), "payload", string(p.Payload))
		return p.Properties, text, name != "id" || p.QoS > 0
	case *packet.Ack:
		return p.Properties, pick(name, "id", num(p.ID), "code", num(p.Code)), true
	case *packet.Suback:
		return p.Properties, pick(name, "id", num(p.ID), "codes", codes(p.Codes)), true
	case *packet.Unsuback:
		return p.Properties, pick(name, "id", num(p.ID), "codes", codes(p.Codes)), name != "codes" || len(p.Codes) > 0
	case *packet.Disconnect:
		return p.Properties, num(p.Code), true
	case *packet.Auth:
		return p.Properties, num(p.Code), true
	}
	return nil, "", false
}

// pick returns the value behind name in a list of names and values.
func pick(name string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == name {
			return pairs[i+1]
		}
	}
	return ""
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func num[T ~uint8 | ~uint16](n T) string { return strconv.Itoa(int(n)) }

func codes(list []packet.ReasonCode) string {
	texts := make([]string, len(list))
	for i, c := range list {
		texts[i] = num(c)
	}
	return strings.Join(texts, ",")
}

// String describes what came, as a script would write it.
func (r received) String() string {
	switch {
	case r.fault != nil:
		return fmt.Sprintf("bytes that are no packet: %v", r.fault)
	case r.closed:
		return "closed"
	}
	var b strings.Builder
	b.WriteString(r.kind())
	names := fieldNames[r.kind()]
	for _, name := range slices.Concat(names, slices.Sorted(maps.Keys(properties)), []string{"user", "subscription-id"}) {
		if value, ok := r.get(name); ok {
			fmt.Fprintf(&b, " %s=%s", name, printable(value))
		}
	}
	return b.String()
}

// printable bounds and quotes a value that came from outside.
func printable(s string) string {
	const limit = 80
	suffix := ""
	if len(s) > limit {
		s, suffix = s[:limit], fmt.Sprintf("…(%d bytes)", len(s))
	}
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r > '~' }) >= 0 {
		s = strconv.Quote(s)
	}
	return s + suffix
}
