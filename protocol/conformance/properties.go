// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"strconv"
	"strings"

	"emqttd/protocol/packet"
)

// property is one 5.0 property under the name scripts use for it. Exactly one
// of the accessors is set: it points at the property's field.
type property struct {
	id   packet.Property
	u8   func(*packet.Properties) *uint8
	u16  func(*packet.Properties) *uint16
	u32  func(*packet.Properties) *uint32
	text func(*packet.Properties) *string
	data func(*packet.Properties) *[]byte
}

// properties is [v5 2.2.2.2] with the names of the standard. User properties
// and subscription identifiers repeat and are handled by name.
var properties = map[string]property{
	"payload-format":       {id: packet.PropPayloadFormat, u8: func(p *packet.Properties) *uint8 { return &p.PayloadFormat }},
	"message-expiry":       {id: packet.PropMessageExpiry, u32: func(p *packet.Properties) *uint32 { return &p.MessageExpiry }},
	"content-type":         {id: packet.PropContentType, text: func(p *packet.Properties) *string { return &p.ContentType }},
	"response-topic":       {id: packet.PropResponseTopic, text: func(p *packet.Properties) *string { return &p.ResponseTopic }},
	"correlation-data":     {id: packet.PropCorrelationData, data: func(p *packet.Properties) *[]byte { return &p.CorrelationData }},
	"session-expiry":       {id: packet.PropSessionExpiry, u32: func(p *packet.Properties) *uint32 { return &p.SessionExpiry }},
	"assigned-client-id":   {id: packet.PropAssignedClientID, text: func(p *packet.Properties) *string { return &p.AssignedClientID }},
	"server-keep-alive":    {id: packet.PropServerKeepAlive, u16: func(p *packet.Properties) *uint16 { return &p.ServerKeepAlive }},
	"auth-method":          {id: packet.PropAuthMethod, text: func(p *packet.Properties) *string { return &p.AuthMethod }},
	"auth-data":            {id: packet.PropAuthData, data: func(p *packet.Properties) *[]byte { return &p.AuthData }},
	"request-problem":      {id: packet.PropRequestProblemInformation, u8: func(p *packet.Properties) *uint8 { return &p.RequestProblemInformation }},
	"will-delay":           {id: packet.PropWillDelay, u32: func(p *packet.Properties) *uint32 { return &p.WillDelay }},
	"request-response":     {id: packet.PropRequestResponseInfo, u8: func(p *packet.Properties) *uint8 { return &p.RequestResponseInformation }},
	"response-information": {id: packet.PropResponseInformation, text: func(p *packet.Properties) *string { return &p.ResponseInformation }},
	"server-reference":     {id: packet.PropServerReference, text: func(p *packet.Properties) *string { return &p.ServerReference }},
	"reason-string":        {id: packet.PropReasonString, text: func(p *packet.Properties) *string { return &p.ReasonString }},
	"receive-maximum":      {id: packet.PropReceiveMaximum, u16: func(p *packet.Properties) *uint16 { return &p.ReceiveMaximum }},
	"topic-alias-maximum":  {id: packet.PropTopicAliasMaximum, u16: func(p *packet.Properties) *uint16 { return &p.TopicAliasMaximum }},
	"topic-alias":          {id: packet.PropTopicAlias, u16: func(p *packet.Properties) *uint16 { return &p.TopicAlias }},
	"maximum-qos":          {id: packet.PropMaximumQoS, u8: func(p *packet.Properties) *uint8 { return &p.MaximumQoS }},
	"retain-available":     {id: packet.PropRetainAvailable, u8: func(p *packet.Properties) *uint8 { return &p.RetainAvailable }},
	"maximum-packet-size":  {id: packet.PropMaximumPacketSize, u32: func(p *packet.Properties) *uint32 { return &p.MaximumPacketSize }},
	"wildcard-available":   {id: packet.PropWildcardAvailable, u8: func(p *packet.Properties) *uint8 { return &p.WildcardAvailable }},
	"subscription-id-available": {id: packet.PropSubscriptionIDAvailable,
		u8: func(p *packet.Properties) *uint8 { return &p.SubscriptionIDAvailable }},
	"shared-available": {id: packet.PropSharedAvailable, u8: func(p *packet.Properties) *uint8 { return &p.SharedAvailable }},
}

// connackDefaults says what an absent CONNACK property means [v5 3.2.2.3]. What
// the broker's first CONNACK said replaces it, for "needs" and as $name. The
// maximum packet size has no default but what a remaining length can say.
var connackDefaults = map[string]string{
	"receive-maximum": "65535", "maximum-qos": "2", "retain-available": "1",
	"maximum-packet-size": "268435460", "topic-alias-maximum": "0",
	"wildcard-available": "1", "subscription-id-available": "1", "shared-available": "1",
	"server-keep-alive": "0", "response-information": "",
}

// isProperty reports whether name is a property in scripts.
func isProperty(name string) bool {
	_, ok := properties[name]
	return ok || name == "user" || name == "subscription-id"
}

// setProperty gives property name of *pp the value, and makes *pp if need be.
func setProperty(pp **packet.Properties, name, value string, v vars) error {
	if *pp == nil {
		*pp = &packet.Properties{}
	}
	p := *pp
	switch name {
	case "user":
		key, val, _ := strings.Cut(v.expand(value), ":")
		p.User = append(p.User, packet.UserProperty{Key: key, Value: val})
		return nil
	case "subscription-id":
		n, err := v.number(value, 28)
		p.SubscriptionIDs = append(p.SubscriptionIDs, uint32(n))
		return err
	}
	return properties[name].assign(p, value, v)
}

func (prop property) assign(p *packet.Properties, value string, v vars) error {
	p.Set(prop.id)
	var n uint64
	var b []byte
	var err error
	switch {
	case prop.u8 != nil:
		n, err = v.number(value, 8)
		*prop.u8(p) = uint8(n)
	case prop.u16 != nil:
		n, err = v.number(value, 16)
		*prop.u16(p) = uint16(n)
	case prop.u32 != nil:
		n, err = v.number(value, 32)
		*prop.u32(p) = uint32(n)
	case prop.text != nil:
		b, err = v.bytes(value)
		*prop.text(p) = string(b)
	default:
		b, err = v.bytes(value)
		*prop.data(p) = b
	}
	if err != nil {
		return fmt.Errorf("value %q: %w", value, err)
	}
	return nil
}

// propertyText is property name of p as text, and whether it is present.
func propertyText(p *packet.Properties, name string) (string, bool) {
	switch {
	case p == nil:
		return "", false
	case name == "user":
		pairs := make([]string, len(p.User))
		for i, u := range p.User {
			pairs[i] = u.Key + ":" + u.Value
		}
		return strings.Join(pairs, ","), len(pairs) > 0
	case name == "subscription-id":
		return sortedNumbers(p.SubscriptionIDs), len(p.SubscriptionIDs) > 0
	}
	prop := properties[name]
	if !p.Has(prop.id) {
		return "", false
	}
	switch {
	case prop.u8 != nil:
		return strconv.Itoa(int(*prop.u8(p))), true
	case prop.u16 != nil:
		return strconv.Itoa(int(*prop.u16(p))), true
	case prop.u32 != nil:
		return strconv.FormatUint(uint64(*prop.u32(p)), 10), true
	case prop.text != nil:
		return *prop.text(p), true
	}
	return string(*prop.data(p)), true
}
