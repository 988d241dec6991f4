// SPDX-License-Identifier: Apache-2.0

package packet

// codeSet holds one bit for each of the 256 reason codes.
type codeSet [4]uint64

func codes(cs ...ReasonCode) (s codeSet) {
	for _, c := range cs {
		s[c>>6] |= 1 << (c & 63)
	}
	return s
}

var publishCodes = codes(Success, NoMatchingSubscribers, UnspecifiedError, ImplementationSpecificError,
	NotAuthorized, TopicNameInvalid, PacketIDInUse, QuotaExceeded, PayloadFormatInvalid)

// reasonsOf says which code may stand in which packet: the tables of the
// packets' sections, joined with table 2-6 where that lists more
// (0x8C in DISCONNECT) [v5 2.4].
var reasonsOf = [16]codeSet{
	CONNACK: codes(Success, UnspecifiedError, MalformedPacket, ProtocolError, ImplementationSpecificError,
		UnsupportedProtocolVersion, ClientIDNotValid, BadUserNameOrPassword, NotAuthorized, ServerUnavailable,
		ServerBusy, Banned, BadAuthenticationMethod, TopicNameInvalid, PacketTooLarge, QuotaExceeded,
		PayloadFormatInvalid, RetainNotSupported, QoSNotSupported, UseAnotherServer, ServerMoved,
		ConnectionRateExceeded), // [v5 3.2.2.2]
	PUBACK:  publishCodes,                     // [v5 3.4.2.1]
	PUBREC:  publishCodes,                     // [v5 3.5.2.1]
	PUBREL:  codes(Success, PacketIDNotFound), // [v5 3.6.2.1]
	PUBCOMP: codes(Success, PacketIDNotFound), // [v5 3.7.2.1]
	SUBACK: codes(Success, GrantedQoS1, GrantedQoS2, UnspecifiedError, ImplementationSpecificError,
		NotAuthorized, TopicFilterInvalid, PacketIDInUse, QuotaExceeded, SharedNotSupported,
		SubscriptionIDNotSupported, WildcardNotSupported), // [v5 3.9.3]
	UNSUBACK: codes(Success, NoSubscriptionExisted, UnspecifiedError, ImplementationSpecificError,
		NotAuthorized, TopicFilterInvalid, PacketIDInUse), // [v5 3.11.3]
	DISCONNECT: codes(Success, DisconnectWithWill, UnspecifiedError, MalformedPacket, ProtocolError,
		ImplementationSpecificError, NotAuthorized, ServerBusy, ServerShuttingDown, BadAuthenticationMethod,
		KeepAliveTimeout, SessionTakenOver, TopicFilterInvalid, TopicNameInvalid, ReceiveMaximumExceeded,
		TopicAliasInvalid, PacketTooLarge, MessageRateTooHigh, QuotaExceeded, AdministrativeAction,
		PayloadFormatInvalid, RetainNotSupported, QoSNotSupported, UseAnotherServer, ServerMoved,
		SharedNotSupported, ConnectionRateExceeded, MaximumConnectTime, SubscriptionIDNotSupported,
		WildcardNotSupported), // [v5 3.14.2.1]
	AUTH: codes(Success, ContinueAuthentication, ReAuthenticate), // [v5 3.15.2.1]
}

// ValidIn reports whether a 5.0 packet of type t may carry c.
func (c ReasonCode) ValidIn(t Type) bool { return reasonsOf[t&15][c>>6]&(1<<(c&63)) != 0 }

// For is c when a 5.0 packet of type t may carry it, and else the code that
// comes nearest: UnspecifiedError, or PacketIDNotFound in PUBREL and PUBCOMP,
// which have no other failure.
func (c ReasonCode) For(t Type) ReasonCode {
	switch {
	case c.ValidIn(t):
		return c
	case t == PUBREL || t == PUBCOMP:
		return PacketIDNotFound
	}
	return UnspecifiedError
}
