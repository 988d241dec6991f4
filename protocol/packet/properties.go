// SPDX-License-Identifier: Apache-2.0

package packet

// Property is a property identifier [v5 2.2.2.2].
type Property uint8

const (
	PropPayloadFormat             Property = 0x01
	PropMessageExpiry             Property = 0x02
	PropContentType               Property = 0x03
	PropResponseTopic             Property = 0x08
	PropCorrelationData           Property = 0x09
	PropSubscriptionID            Property = 0x0B
	PropSessionExpiry             Property = 0x11
	PropAssignedClientID          Property = 0x12
	PropServerKeepAlive           Property = 0x13
	PropAuthMethod                Property = 0x15
	PropAuthData                  Property = 0x16
	PropRequestProblemInformation Property = 0x17
	PropWillDelay                 Property = 0x18
	PropRequestResponseInfo       Property = 0x19
	PropResponseInformation       Property = 0x1A
	PropServerReference           Property = 0x1C
	PropReasonString              Property = 0x1F
	PropReceiveMaximum            Property = 0x21
	PropTopicAliasMaximum         Property = 0x22
	PropTopicAlias                Property = 0x23
	PropMaximumQoS                Property = 0x24
	PropRetainAvailable           Property = 0x25
	PropUserProperty              Property = 0x26
	PropMaximumPacketSize         Property = 0x27
	PropWildcardAvailable         Property = 0x28
	PropSubscriptionIDAvailable   Property = 0x29
	PropSharedAvailable           Property = 0x2A
)

// UserProperty is one name-value pair; names may repeat and order is kept
// [v5 MQTT-3.3.2-17, MQTT-3.3.2-18].
type UserProperty struct{ Key, Value string }

// Properties are the properties of one 5.0 packet or will. A property is
// present when Has says so: zero is a legal value of most of them. User
// properties and subscription identifiers are present when their slice is not
// empty.
type Properties struct {
	set uint64 // bit n: property n is present

	PayloadFormat              uint8
	MessageExpiry              uint32 // seconds
	ContentType                string
	ResponseTopic              string
	CorrelationData            []byte
	SubscriptionIDs            []uint32 // one in SUBSCRIBE, any number in PUBLISH to a client
	SessionExpiry              uint32   // seconds; 0xFFFFFFFF: never
	AssignedClientID           string
	ServerKeepAlive            uint16 // seconds
	AuthMethod                 string
	AuthData                   []byte
	RequestProblemInformation  uint8
	WillDelay                  uint32 // seconds
	RequestResponseInformation uint8
	ResponseInformation        string
	ServerReference            string
	ReasonString               string
	ReceiveMaximum             uint16
	TopicAliasMaximum          uint16
	TopicAlias                 uint16
	MaximumQoS                 uint8
	RetainAvailable            uint8
	User                       []UserProperty
	MaximumPacketSize          uint32 // bytes
	WildcardAvailable          uint8
	SubscriptionIDAvailable    uint8
	SharedAvailable            uint8
}

// Has reports whether property id is present. It may be called on nil.
func (p *Properties) Has(id Property) bool {
	if p == nil {
		return false
	}
	switch id {
	case PropUserProperty:
		return len(p.User) > 0
	case PropSubscriptionID:
		return len(p.SubscriptionIDs) > 0
	}
	return p.set&(1<<id) != 0
}

// Set marks property id present; the caller assigns its field.
func (p *Properties) Set(id Property) *Properties {
	p.set |= 1 << id
	return p
}

// Clear marks property id absent.
func (p *Properties) Clear(id Property) { p.set &^= 1 << id }

// Empty reports whether no property is present. It may be called on nil.
func (p *Properties) Empty() bool {
	return p == nil || p.set == 0 && len(p.User) == 0 && len(p.SubscriptionIDs) == 0
}
