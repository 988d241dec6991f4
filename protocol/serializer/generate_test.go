// SPDX-License-Identifier: Apache-2.0

package serializer_test

import (
	"strings"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

// source makes choices out of fuzzed bytes; when they run out every choice is 0.
type source struct{ b []byte }

func (s *source) byte() byte {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return c
}

func (s *source) bool() bool      { return s.byte()&1 != 0 }
func (s *source) n(below int) int { return int(s.byte()) % below }
func (s *source) u16() uint16     { return uint16(s.byte())<<8 | uint16(s.byte()) }
func (s *source) u32() uint32     { return uint32(s.u16())<<16 | uint32(s.u16()) }
func (s *source) id() packet.ID   { return packet.ID(max(1, s.u16())) }
func (s *source) bytes() []byte   { return []byte(s.text()) }
func (s *source) qos() packet.QoS { return packet.QoS(s.n(3)) }

// text is a string that may stand on the wire, sometimes a long one.
func (s *source) text() string {
	word := [...]string{"", "a", "a/b", "é", "\ufeff", "+/#", "😀", "sensors/room/42"}[s.n(8)]
	if s.n(32) == 31 {
		return strings.Repeat(word, 1000)
	}
	return word
}

// properties are some of those that a packet of type place may carry.
func (s *source) properties(place packet.Type, from parser.Role, v packet.Version) *packet.Properties {
	if v != packet.V5 || s.bool() {
		return nil
	}
	p := new(packet.Properties)
	for id := packet.Property(1); id <= packet.PropSharedAvailable; id++ {
		info := id.Info()
		switch {
		case info == nil || !info.In(place) || s.bool():
		case id == packet.PropSubscriptionID && place == packet.PUBLISH && from == parser.Server:
		case id == packet.PropSessionExpiry && place == packet.DISCONNECT && from == parser.Client:
		case id == packet.PropAuthData && !p.Has(packet.PropAuthMethod):
		default:
			s.property(id, info, place, p)
		}
	}
	if p.Empty() {
		return nil
	}
	return p
}

func (s *source) property(id packet.Property, info *packet.PropertyInfo, place packet.Type, p *packet.Properties) {
	number := func() uint32 { return max(info.Min, min(info.Max, s.u32()>>(s.byte()%32))) }
	switch info.Kind {
	case packet.KindByte:
		*p.Byte(id) = uint8(number())
	case packet.KindUint16:
		*p.Uint16(id) = uint16(number())
	case packet.KindUint32:
		*p.Uint32(id) = number()
	case packet.KindText:
		*p.Text(id) = s.text()
	case packet.KindBinary:
		*p.Binary(id) = s.bytes()
	case packet.KindVarint:
		p.SubscriptionIDs = append(p.SubscriptionIDs, number())
		for place == packet.PUBLISH && s.n(4) == 3 {
			p.SubscriptionIDs = append(p.SubscriptionIDs, number())
		}
		return
	case packet.KindPair:
		for range 1 + s.n(3) {
			p.User = append(p.User, packet.UserProperty{Key: s.text(), Value: s.text()})
		}
		return
	}
	p.Set(id)
}

// code is a reason code that a packet of type t may carry.
func (s *source) code(t packet.Type, v packet.Version) packet.ReasonCode {
	c := packet.ReasonCode(s.byte())
	if v != packet.V5 || !c.ValidIn(t) {
		return packet.Success
	}
	return c
}

func (s *source) codes(t packet.Type, v packet.Version) (cs []packet.ReasonCode) {
	for range 1 + s.n(4) {
		cs = append(cs, s.code(t, v))
	}
	return cs
}

// packet is one packet that role may receive in version v.
func (s *source) packet(role parser.Role, v packet.Version) packet.Packet {
	toServer := [...]packet.Type{packet.CONNECT, packet.PUBLISH, packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP,
		packet.SUBSCRIBE, packet.UNSUBSCRIBE, packet.PINGREQ, packet.DISCONNECT, packet.AUTH}
	toClient := [...]packet.Type{packet.CONNACK, packet.PUBLISH, packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP,
		packet.SUBACK, packet.UNSUBACK, packet.PINGRESP, packet.DISCONNECT, packet.AUTH}
	t := toServer[s.n(len(toServer))]
	if role == parser.Client {
		t = toClient[s.n(len(toClient))]
	}
	if v != packet.V5 && (t == packet.AUTH || t == packet.DISCONNECT && role == parser.Client) {
		t = packet.PUBLISH
	}
	props := s.properties(t, role, v)
	switch t {
	case packet.CONNECT:
		return s.connect(v, props)
	case packet.CONNACK:
		return s.connack(v, props)
	case packet.PUBLISH:
		return s.publish(v, props)
	case packet.SUBSCRIBE:
		return s.subscribe(v, props)
	case packet.SUBACK:
		return &packet.Suback{ID: s.id(), Codes: s.codes(t, v), Properties: props}
	case packet.UNSUBSCRIBE:
		u := &packet.Unsubscribe{ID: s.id(), Properties: props}
		for range 1 + s.n(4) {
			u.Filters = append(u.Filters, s.text())
		}
		return u
	case packet.UNSUBACK:
		u := &packet.Unsuback{ID: s.id(), Properties: props}
		if v == packet.V5 {
			u.Codes = s.codes(t, v)
		}
		return u
	case packet.PINGREQ:
		return &packet.Pingreq{}
	case packet.PINGRESP:
		return &packet.Pingresp{}
	case packet.DISCONNECT:
		return &packet.Disconnect{Code: s.code(t, v), Properties: props}
	case packet.AUTH:
		if !props.Has(packet.PropAuthMethod) {
			return &packet.Auth{}
		}
		return &packet.Auth{Code: s.code(t, v), Properties: props}
	}
	return &packet.Ack{Kind: t, ID: s.id(), Code: s.code(t, v), Properties: props}
}

func (s *source) connect(v packet.Version, props *packet.Properties) *packet.Connect {
	c := &packet.Connect{Version: v, Bridge: v != packet.V5 && s.bool(), CleanStart: s.bool(),
		KeepAlive: s.u16(), ClientID: s.text(), Properties: props}
	if s.bool() {
		c.Will = &packet.Will{QoS: s.qos(), Retain: s.bool(), Topic: s.text(), Payload: s.bytes(),
			Properties: s.properties(packet.WillPlace, parser.Server, v)}
	}
	if s.bool() {
		c.HasUsername, c.Username = true, s.text()
	}
	if s.bool() && (c.HasUsername || v == packet.V5) {
		c.HasPassword, c.Password = true, s.bytes()
	}
	return c
}

func (s *source) connack(v packet.Version, props *packet.Properties) *packet.Connack {
	c := &packet.Connack{Code: s.code(packet.CONNACK, v), Properties: props}
	if v != packet.V5 {
		c.Code = packet.FromReturnCode(uint8(s.n(6)))
	}
	c.SessionPresent = c.Code == packet.Success && v != packet.V31 && s.bool()
	return c
}

func (s *source) publish(v packet.Version, props *packet.Properties) *packet.Publish {
	p := &packet.Publish{QoS: s.qos(), Retain: s.bool(), Topic: s.bytes(), Payload: s.bytes(), Properties: props}
	if p.QoS > 0 {
		p.ID, p.Dup = s.id(), s.bool()
	}
	if v == packet.V5 && len(p.Topic) == 0 && !props.Has(packet.PropTopicAlias) {
		p.Topic = []byte("t")
	}
	return p
}

func (s *source) subscribe(v packet.Version, props *packet.Properties) *packet.Subscribe {
	m := &packet.Subscribe{ID: s.id(), Properties: props}
	for range 1 + s.n(4) {
		sub := packet.Subscription{Filter: s.text(), QoS: s.qos()}
		if v == packet.V5 {
			sub.NoLocal, sub.RetainAsPublished, sub.RetainHandling = s.bool(), s.bool(), uint8(s.n(3))
		}
		m.Subscriptions = append(m.Subscriptions, sub)
	}
	return m
}
