// SPDX-License-Identifier: Apache-2.0

package packet

// Kind is the data type of a property on the wire [v5 2.2.2.2].
type Kind uint8

const (
	KindByte   Kind = iota + 1
	KindUint16      // two byte integer
	KindUint32      // four byte integer
	KindVarint      // variable byte integer
	KindText        // UTF-8 encoded string
	KindBinary      // binary data
	KindPair        // UTF-8 string pair
)

// WillPlace stands for the will where the place of a property is asked for:
// will properties are a set of their own [v5 3.1.3.2], and type 0 is no packet.
const WillPlace = RESERVED

// PropertyInfo is a row of the property table.
type PropertyInfo struct {
	Name     string // as in the standard, lower case
	Kind     Kind
	Min, Max uint32 // legal values of a number, both included
	in       uint16 // bit n: packet type n may carry it
}

// In reports whether a packet of type t, or the will for WillPlace, may carry
// the property.
func (i *PropertyInfo) In(t Type) bool { return i.in&(1<<t) != 0 }

const (
	anyUint16 = 1<<16 - 1
	anyUint32 = 1<<32 - 1
)

// Sets of places that several properties share.
const (
	inWill    uint16 = 1 << WillPlace
	inConnect uint16 = 1 << CONNECT
	inConnack uint16 = 1 << CONNACK
	inPublish uint16 = 1 << PUBLISH
	inAuth    uint16 = 1 << AUTH
	inDisconn uint16 = 1 << DISCONNECT
	inSub     uint16 = 1 << SUBSCRIBE
	inAcks    uint16 = 1<<PUBACK | 1<<PUBREC | 1<<PUBREL | 1<<PUBCOMP | 1<<SUBACK | 1<<UNSUBACK
	inAnswers uint16 = inConnack | inAcks | inDisconn | inAuth
	inAll     uint16 = inAnswers | inConnect | inWill | inPublish | inSub | 1<<UNSUBSCRIBE
)

// properties is table 2-4 of the standard, with the ranges that the sections
// of the packets give [v5 2.2.2.2].
var properties = [PropSharedAvailable + 1]PropertyInfo{
	PropPayloadFormat:             {"payload format indicator", KindByte, 0, 1, inPublish | inWill},
	PropMessageExpiry:             {"message expiry interval", KindUint32, 0, anyUint32, inPublish | inWill},
	PropContentType:               {"content type", KindText, 0, 0, inPublish | inWill},
	PropResponseTopic:             {"response topic", KindText, 0, 0, inPublish | inWill},
	PropCorrelationData:           {"correlation data", KindBinary, 0, 0, inPublish | inWill},
	PropSubscriptionID:            {"subscription identifier", KindVarint, 1, MaxRemainingLength, inPublish | inSub},
	PropSessionExpiry:             {"session expiry interval", KindUint32, 0, anyUint32, inConnect | inConnack | inDisconn},
	PropAssignedClientID:          {"assigned client identifier", KindText, 0, 0, inConnack},
	PropServerKeepAlive:           {"server keep alive", KindUint16, 0, anyUint16, inConnack},
	PropAuthMethod:                {"authentication method", KindText, 0, 0, inConnect | inConnack | inAuth},
	PropAuthData:                  {"authentication data", KindBinary, 0, 0, inConnect | inConnack | inAuth},
	PropRequestProblemInformation: {"request problem information", KindByte, 0, 1, inConnect},
	PropWillDelay:                 {"will delay interval", KindUint32, 0, anyUint32, inWill},
	PropRequestResponseInfo:       {"request response information", KindByte, 0, 1, inConnect},
	PropResponseInformation:       {"response information", KindText, 0, 0, inConnack},
	PropServerReference:           {"server reference", KindText, 0, 0, inConnack | inDisconn},
	PropReasonString:              {"reason string", KindText, 0, 0, inAnswers},
	PropReceiveMaximum:            {"receive maximum", KindUint16, 1, anyUint16, inConnect | inConnack},
	PropTopicAliasMaximum:         {"topic alias maximum", KindUint16, 0, anyUint16, inConnect | inConnack},
	PropTopicAlias:                {"topic alias", KindUint16, 1, anyUint16, inPublish},
	PropMaximumQoS:                {"maximum qos", KindByte, 0, 1, inConnack},
	PropRetainAvailable:           {"retain available", KindByte, 0, 1, inConnack},
	PropUserProperty:              {"user property", KindPair, 0, 0, inAll},
	PropMaximumPacketSize:         {"maximum packet size", KindUint32, 1, anyUint32, inConnect | inConnack},
	PropWildcardAvailable:         {"wildcard subscription available", KindByte, 0, 1, inConnack},
	PropSubscriptionIDAvailable:   {"subscription identifiers available", KindByte, 0, 1, inConnack},
	PropSharedAvailable:           {"shared subscription available", KindByte, 0, 1, inConnack},
}

// Info is the row of id, or nil when the standard defines no such property.
func (id Property) Info() *PropertyInfo {
	if int(id) >= len(properties) || properties[id].Kind == 0 {
		return nil
	}
	return &properties[id]
}

// String is the property's name.
func (id Property) String() string {
	if i := id.Info(); i != nil {
		return i.Name
	}
	return "unknown property"
}
