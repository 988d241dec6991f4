// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"emqttd/protocol/packet"
)

// fieldNames are the fields of each packet type besides its properties, in the
// order in which a packet is described. A name that begins with "will." may
// also be a property of the will.
var fieldNames = map[string][]string{
	"connect": {"version", "clean", "keepalive", "id", "will.topic", "will.payload", "will.qos", "will.retain",
		"username", "password", "bridge"},
	"connack":     {"present", "code"},
	"publish":     {"dup", "qos", "retain", "id", "topic", "payload"},
	"puback":      {"id", "code"},
	"pubrec":      {"id", "code"},
	"pubrel":      {"id", "code"},
	"pubcomp":     {"id", "code"},
	"subscribe":   {"id", "filter", "qos", "nl", "rap", "rh"},
	"suback":      {"id", "codes"},
	"unsubscribe": {"id", "filter"},
	"unsuback":    {"id", "codes"},
	"pingreq":     {},
	"pingresp":    {},
	"disconnect":  {"code"},
	"auth":        {"code"},
	"upgraded":    {"status", "protocol"}, // the answer to a WebSocket handshake
}

// checkFields refuses packet types and names that do not exist.
func checkFields(verb string, fields []field) error {
	names, ok := fieldNames[verb]
	if !ok {
		return fmt.Errorf("unknown packet %q", verb)
	}
	for _, f := range fields {
		will, isWill := strings.CutPrefix(f.name, "will.")
		switch {
		case slices.Contains(names, f.name), isProperty(f.name), f.name == "size", f.name == "hex":
		case isWill && verb == "connect" && isProperty(will):
		default:
			return fmt.Errorf("%s has no field %q", verb, f.name)
		}
	}
	return nil
}

// build makes the packet of a sending step.
func build(verb string, fields []field, v vars, def packet.Connect) (packet.Packet, error) {
	b := builder{vars: v}
	switch verb {
	case "connect":
		return b.connect(fields, def)
	case "publish":
		p := &packet.Publish{}
		return p, b.each(fields, &p.Properties, func(name, value string) { b.publish(p, name, value) })
	case "puback", "pubrec", "pubrel", "pubcomp":
		p := &packet.Ack{Kind: ackTypes[verb]}
		return p, b.each(fields, &p.Properties, func(name, value string) {
			if name == "id" {
				p.ID = packet.ID(b.number(value, 16))
			} else {
				p.Code = packet.ReasonCode(b.number(value, 8))
			}
		})
	case "subscribe":
		p := &packet.Subscribe{}
		return p, b.each(fields, &p.Properties, func(name, value string) { b.subscribe(p, name, value) })
	case "unsubscribe":
		p := &packet.Unsubscribe{}
		return p, b.each(fields, &p.Properties, func(name, value string) {
			if name == "id" {
				p.ID = packet.ID(b.number(value, 16))
			} else {
				p.Filters = append(p.Filters, string(b.bytes(value)))
			}
		})
	case "pingreq":
		return &packet.Pingreq{}, nil
	case "disconnect":
		p := &packet.Disconnect{}
		return p, b.each(fields, &p.Properties, func(_, value string) { p.Code = packet.ReasonCode(b.number(value, 8)) })
	case "auth":
		p := &packet.Auth{}
		return p, b.each(fields, &p.Properties, func(_, value string) { p.Code = packet.ReasonCode(b.number(value, 8)) })
	}
	return nil, fmt.Errorf("a client does not send %s; use raw", verb)
}

var ackTypes = map[string]packet.Type{
	"puback": packet.PUBACK, "pubrec": packet.PUBREC, "pubrel": packet.PUBREL, "pubcomp": packet.PUBCOMP,
}

// builder reads values and keeps the first fault.
type builder struct {
	vars vars
	err  error
}

func (b *builder) keep(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *builder) number(s string, bits int) uint64 {
	n, err := b.vars.number(s, bits)
	b.keep(err)
	return n
}

func (b *builder) bytes(s string) []byte {
	data, err := b.vars.bytes(s)
	b.keep(err)
	return data
}

// each hands properties to *props and every other field to set.
func (b *builder) each(fields []field, props **packet.Properties, set func(name, value string)) error {
	for _, f := range fields {
		if isProperty(f.name) {
			b.keep(setProperty(props, f.name, f.value, b.vars))
		} else {
			set(f.name, f.value)
		}
	}
	return b.err
}

// connect starts from def: version, client id and credentials of the run.
func (b *builder) connect(fields []field, def packet.Connect) (packet.Packet, error) {
	p := &def
	will := func() *packet.Will {
		if p.Will == nil {
			p.Will = &packet.Will{}
		}
		return p.Will
	}
	err := b.each(fields, &p.Properties, func(name, value string) {
		switch name {
		case "version":
			p.Version = versions[value]
		case "clean":
			p.CleanStart = value == "1"
		case "keepalive":
			p.KeepAlive = uint16(b.number(value, 16))
		case "id":
			p.ClientID = string(b.bytes(value))
		case "username":
			p.Username, p.HasUsername = string(b.bytes(value)), true
		case "password":
			p.Password, p.HasPassword = b.bytes(value), true
		case "bridge":
			p.Bridge = value == "1"
		case "will.topic":
			will().Topic = string(b.bytes(value))
		case "will.payload":
			will().Payload = b.bytes(value)
		case "will.qos":
			will().QoS = packet.QoS(b.number(value, 2))
		case "will.retain":
			will().Retain = value == "1"
		default:
			b.keep(setProperty(&will().Properties, strings.TrimPrefix(name, "will."), value, b.vars))
		}
	})
	return p, err
}

func (b *builder) publish(p *packet.Publish, name, value string) {
	switch name {
	case "dup":
		p.Dup = value == "1"
	case "retain":
		p.Retain = value == "1"
	case "qos":
		p.QoS = packet.QoS(b.number(value, 2))
	case "id":
		p.ID = packet.ID(b.number(value, 16))
	case "topic":
		p.Topic = b.bytes(value)
	case "payload":
		p.Payload = b.bytes(value)
	}
}

// subscribe gives options to the filter before them.
func (b *builder) subscribe(p *packet.Subscribe, name, value string) {
	switch name {
	case "id":
		p.ID = packet.ID(b.number(value, 16))
		return
	case "filter":
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: string(b.bytes(value))})
		return
	}
	if len(p.Subscriptions) == 0 {
		b.keep(fmt.Errorf("option %s before the first filter", name))
		return
	}
	s := &p.Subscriptions[len(p.Subscriptions)-1]
	switch name {
	case "qos":
		s.QoS = packet.QoS(b.number(value, 2))
	case "nl":
		s.NoLocal = value == "1"
	case "rap":
		s.RetainAsPublished = value == "1"
	case "rh":
		s.RetainHandling = uint8(b.number(value, 2))
	}
}

// sortedNumbers joins numbers in ascending order: where the standard leaves the
// order open, scripts compare sorted lists.
func sortedNumbers(list []uint32) string {
	list = slices.Sorted(slices.Values(list))
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.FormatUint(uint64(n), 10)
	}
	return strings.Join(texts, ",")
}
