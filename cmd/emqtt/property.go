// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strconv"
	"strings"

	"emqttd/protocol/packet"
)

// propertySets are the properties of -D by packet; packet.WillPlace is the will.
type propertySets map[packet.Type]*packet.Properties

// propertyPlaces are the first argument of -D.
var propertyPlaces = map[string]packet.Type{
	"connect": packet.CONNECT, "publish": packet.PUBLISH, "subscribe": packet.SUBSCRIBE,
	"unsubscribe": packet.UNSUBSCRIBE, "disconnect": packet.DISCONNECT, "will": packet.WillPlace,
}

// unsupportedPlaces are packets that mosquitto's tools know and give no
// properties either.
var unsupportedPlaces = map[string]bool{
	"auth": true, "puback": true, "pubrec": true, "pubrel": true, "pubcomp": true,
}

// propertyNames are the second: the standard's names with dashes.
var propertyNames = func() map[string]packet.Property {
	names := make(map[string]packet.Property)
	for id := packet.PropPayloadFormat; id <= packet.PropSharedAvailable; id++ {
		if info := id.Info(); info != nil && info.Name != "" {
			names[strings.ReplaceAll(info.Name, " ", "-")] = id
		}
	}
	return names
}()

// addProperty handles -D PLACE NAME VALUE; a user property takes one more
// argument from rest.
func (s *settings) addProperty(v, rest []string) (taken int, err error) {
	s.version = packet.V5
	place := strings.ToLower(v[0])
	if unsupportedPlaces[place] {
		return 0, usage("%s property not supported for %s in --property argument.", v[1], place)
	}
	t, ok := propertyPlaces[place]
	if !ok {
		return 0, usage("Invalid command given in --property argument.")
	}
	id, ok := propertyNames[v[1]]
	if !ok {
		return 0, usage("Invalid property name given in --property argument.")
	}
	if !id.Info().In(t) {
		return 0, usage("%s property not allowed for %s in --property argument.", v[1], place)
	}
	if s.props == nil {
		s.props = make(propertySets)
	}
	p := s.props[t]
	if p == nil {
		p = new(packet.Properties)
		s.props[t] = p
	}
	if id == packet.PropUserProperty {
		if len(rest) == 0 {
			return 0, usage("--property argument given but not enough arguments specified.")
		}
		p.User = append(p.User, packet.UserProperty{Key: v[2], Value: rest[0]})
		return 1, nil
	}
	return 0, setProperty(p, id, v[1], v[2])
}

func setProperty(p *packet.Properties, id packet.Property, name, value string) error {
	if p.Has(id) {
		return usage("Property %s given twice.", name)
	}
	info := id.Info()
	switch info.Kind {
	case packet.KindText:
		if !packet.ValidText([]byte(value)) {
			return usage("Property value of %s is not UTF-8.", name)
		}
		*p.Set(id).Text(id) = value
		return nil
	case packet.KindBinary:
		*p.Set(id).Binary(id) = []byte(value)
		return nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		return usage("Property value (%s) is not a number for property %s.", value, name)
	case n < int64(info.Min) || n > int64(info.Max):
		return usage("Property value (%s) out of range for property %s.", value, name)
	}
	switch info.Kind {
	case packet.KindByte:
		*p.Set(id).Byte(id) = uint8(n)
	case packet.KindUint16:
		*p.Set(id).Uint16(id) = uint16(n)
	case packet.KindUint32:
		*p.Set(id).Uint32(id) = uint32(n)
	case packet.KindVarint: // the subscription identifier, the only one
		p.SubscriptionIDs = []uint32{uint32(n)}
	}
	return nil
}
