// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"iter"
	"math/bits"
)

// The codec reads and writes properties by identifier and kind, so that it
// needs one case for each of seven kinds and not one for each of 27 properties.
// Each accessor below is the field of id, or nil when id is not of that kind.

// Byte is the field of a KindByte property.
func (p *Properties) Byte(id Property) *uint8 {
	switch id {
	case PropPayloadFormat:
		return &p.PayloadFormat
	case PropRequestProblemInformation:
		return &p.RequestProblemInformation
	case PropRequestResponseInfo:
		return &p.RequestResponseInformation
	case PropMaximumQoS:
		return &p.MaximumQoS
	case PropRetainAvailable:
		return &p.RetainAvailable
	case PropWildcardAvailable:
		return &p.WildcardAvailable
	case PropSubscriptionIDAvailable:
		return &p.SubscriptionIDAvailable
	case PropSharedAvailable:
		return &p.SharedAvailable
	}
	return nil
}

// Uint16 is the field of a KindUint16 property.
func (p *Properties) Uint16(id Property) *uint16 {
	switch id {
	case PropServerKeepAlive:
		return &p.ServerKeepAlive
	case PropReceiveMaximum:
		return &p.ReceiveMaximum
	case PropTopicAliasMaximum:
		return &p.TopicAliasMaximum
	case PropTopicAlias:
		return &p.TopicAlias
	}
	return nil
}

// Uint32 is the field of a KindUint32 property.
func (p *Properties) Uint32(id Property) *uint32 {
	switch id {
	case PropMessageExpiry:
		return &p.MessageExpiry
	case PropSessionExpiry:
		return &p.SessionExpiry
	case PropWillDelay:
		return &p.WillDelay
	case PropMaximumPacketSize:
		return &p.MaximumPacketSize
	}
	return nil
}

// Text is the field of a KindText property.
func (p *Properties) Text(id Property) *string {
	switch id {
	case PropContentType:
		return &p.ContentType
	case PropResponseTopic:
		return &p.ResponseTopic
	case PropAssignedClientID:
		return &p.AssignedClientID
	case PropAuthMethod:
		return &p.AuthMethod
	case PropResponseInformation:
		return &p.ResponseInformation
	case PropServerReference:
		return &p.ServerReference
	case PropReasonString:
		return &p.ReasonString
	}
	return nil
}

// Binary is the field of a KindBinary property.
func (p *Properties) Binary(id Property) *[]byte {
	switch id {
	case PropCorrelationData:
		return &p.CorrelationData
	case PropAuthData:
		return &p.AuthData
	}
	return nil
}

// IDs yields the identifiers of the properties that are present, ascending; a
// repeated one comes once. It may be called on nil.
func (p *Properties) IDs() iter.Seq[Property] {
	return func(yield func(Property) bool) {
		for m := p.mask(); m != 0; m &= m - 1 {
			if !yield(Property(bits.TrailingZeros64(m))) {
				return
			}
		}
	}
}

// mask is the set of the properties present, bit n for identifier n.
func (p *Properties) mask() uint64 {
	if p == nil {
		return 0
	}
	m := p.set &^ (1<<PropUserProperty | 1<<PropSubscriptionID)
	if len(p.User) > 0 {
		m |= 1 << PropUserProperty
	}
	if len(p.SubscriptionIDs) > 0 {
		m |= 1 << PropSubscriptionID
	}
	return m
}
