// SPDX-License-Identifier: Apache-2.0

package parser_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"emqttd/protocol/packet"
	"emqttd/protocol/parser"
)

const (
	v0 = packet.Version(0) // before CONNECT
	v3 = packet.V31
	v4 = packet.V311
	v5 = packet.V5
)

// faultCase is one way to be wrong. at is the offset of the byte that proves it: the
// parser must refuse there, and must not refuse before.
type faultCase struct {
	name  string
	role  parser.Role
	v     packet.Version
	bytes string
	at    int
	fault packet.Fault
}

// atEnd: the whole body must be there before the fault can be seen.
const atEnd = -1

var headerFaults = []faultCase{
	{"type 0 is reserved", parser.Server, v4, "00 00", 0, packet.FaultReservedType},
	{"type 0 is reserved in 5.0", parser.Server, v5, "00 00", 0, packet.FaultReservedType},
	{"type 0 is reserved before CONNECT", parser.Server, v0, "00 00", 0, packet.FaultReservedType},
	{"type 15 is reserved in 3.1", parser.Server, v3, "f0 00", 0, packet.FaultReservedType},
	{"type 15 is reserved in 3.1.1", parser.Server, v4, "f0 00", 0, packet.FaultReservedType},
	{"type 15 is reserved in 3.1.1 for a client too", parser.Client, v4, "f0 00", 0, packet.FaultReservedType},
	{"PUBLISH is not the first packet", parser.Server, v0, "30 03 00 01 61", 0, packet.FaultNotConnected},
	{"PINGREQ is not the first packet", parser.Server, v0, "c0 00", 0, packet.FaultNotConnected},
	{"AUTH is not the first packet", parser.Server, v0, "f0 00", 0, packet.FaultNotConnected},
	{"an HTTP request is no CONNECT", parser.Server, v0, "47 45 54", 0, packet.FaultNotConnected},
	{"a TLS hello is no CONNECT", parser.Server, v0, "16 03 01", 0, packet.FaultFixedFlags},
	{"a client does not send CONNACK", parser.Server, v4, "20 02 00 00", 0, packet.FaultDirection},
	{"a client does not send SUBACK", parser.Server, v5, "90 04 00 01 00 00", 0, packet.FaultDirection},
	{"a client does not send UNSUBACK", parser.Server, v4, "b0 02 00 01", 0, packet.FaultDirection},
	{"a client does not send PINGRESP", parser.Server, v4, "d0 00", 0, packet.FaultDirection},
	{"a server does not send CONNECT", parser.Client, v4, "10 00", 0, packet.FaultDirection},
	{"a server does not send SUBSCRIBE", parser.Client, v5, "82 00", 0, packet.FaultDirection},
	{"a server does not send UNSUBSCRIBE", parser.Client, v5, "a2 00", 0, packet.FaultDirection},
	{"a server does not send PINGREQ", parser.Client, v4, "c0 00", 0, packet.FaultDirection},
	{"a server does not send DISCONNECT in 3.1.1", parser.Client, v4, "e0 00", 0, packet.FaultDirection},
	{"CONNECT has flags 0", parser.Server, v0, "11 0c", 0, packet.FaultFixedFlags},
	{"PUBACK has flags 0", parser.Server, v4, "42 02 00 01", 0, packet.FaultFixedFlags},
	{"PUBREL has flags 2", parser.Server, v4, "60 02 00 01", 0, packet.FaultFixedFlags},
	{"PUBREL has flags 2 in 5.0", parser.Server, v5, "60 02 00 01", 0, packet.FaultFixedFlags},
	{"PUBREL has no DUP in 3.1.1", parser.Server, v4, "6a 02 00 01", 0, packet.FaultFixedFlags},
	{"SUBSCRIBE has flags 2", parser.Server, v4, "80 06 00 01 00 01 61 00", 0, packet.FaultFixedFlags},
	{"SUBSCRIBE has no DUP in 5.0", parser.Server, v5, "8a 07 00 01 00 00 01 61 00", 0, packet.FaultFixedFlags},
	{"SUBSCRIBE of 3.1 has QoS 1", parser.Server, v3, "88 06 00 01 00 01 61 00", 0, packet.FaultFixedFlags},
	{"UNSUBSCRIBE has flags 2", parser.Server, v5, "a0 06", 0, packet.FaultFixedFlags},
	{"PINGREQ has flags 0", parser.Server, v4, "c1 00", 0, packet.FaultFixedFlags},
	{"DISCONNECT has flags 0", parser.Server, v5, "e1 00", 0, packet.FaultFixedFlags},
	{"AUTH has flags 0", parser.Server, v5, "f8 00", 0, packet.FaultFixedFlags},
	{"QoS 0 has no DUP in 3.1.1", parser.Server, v4, "38 03 00 01 61", 0, packet.FaultFixedFlags},
	{"QoS 0 has no DUP in 5.0", parser.Server, v5, "38 04 00 01 61 00", 0, packet.FaultFixedFlags},
	{"QoS 3 in 3.1", parser.Server, v3, "36 05 00 01 61 00 01", 0, packet.FaultQoS3},
	{"QoS 3 in 3.1.1", parser.Server, v4, "36 05 00 01 61 00 01", 0, packet.FaultQoS3},
	{"QoS 3 in 5.0", parser.Client, v5, "3e 05 00 01 61 00 01", 0, packet.FaultQoS3},
	{"five bytes of remaining length", parser.Server, v4, "30 80 80 80 80 01", 4, packet.FaultLengthEncoding},
	{"five bytes of remaining length in 5.0", parser.Server, v5, "30 ff ff ff ff 7f", 4, packet.FaultLengthEncoding},
	{"remaining length 0 in two bytes in 5.0", parser.Server, v5, "c0 80 00", 2, packet.FaultVarint},
	{"remaining length 4 in three bytes in 5.0", parser.Server, v5, "30 84 80 00", 3, packet.FaultVarint},
	{"PINGREQ has no body", parser.Server, v4, "c0 01 00", 1, packet.FaultTrailing},
	{"PINGRESP has no body", parser.Client, v5, "d0 01 00", 1, packet.FaultTrailing},
	{"PUBACK has an identifier", parser.Server, v5, "40 01 00", 1, packet.FaultTruncated},
	{"PUBACK of 3.1.1 has nothing else", parser.Server, v4, "40 03 00 01 00", 1, packet.FaultTrailing},
	{"PUBREC of 3.1 has nothing else", parser.Server, v3, "50 04 00 01 00 00", 1, packet.FaultTrailing},
	{"PUBREL of 3.1.1 has nothing else", parser.Server, v4, "62 03 00 01 00", 1, packet.FaultTrailing},
	{"PUBCOMP has an identifier", parser.Server, v4, "70 00", 1, packet.FaultTruncated},
	{"PUBLISH has a topic", parser.Server, v4, "30 01 00", 1, packet.FaultTruncated},
	{"PUBLISH of 5.0 has a topic and properties", parser.Server, v5, "30 02 00 01", 1, packet.FaultTruncated},
	{"SUBSCRIBE has an identifier", parser.Server, v4, "82 01 00", 1, packet.FaultTruncated},
	{"SUBSCRIBE of 5.0 has properties", parser.Server, v5, "82 02 00 01", 1, packet.FaultTruncated},
	{"UNSUBSCRIBE has an identifier", parser.Server, v4, "a2 00", 1, packet.FaultTruncated},
	{"CONNECT has a name and a level", parser.Server, v0, "10 06 00 04 4d 51 54 54", 1, packet.FaultTruncated},
	{"DISCONNECT of 3.1.1 has no body", parser.Server, v4, "e0 01 00", 1, packet.FaultTrailing},
	{"CONNACK of 3.1.1 has two bytes", parser.Client, v4, "20 03 00 00 00", 1, packet.FaultTrailing},
	{"CONNACK has two bytes", parser.Client, v5, "20 01 00", 1, packet.FaultTruncated},
	{"SUBACK has a code", parser.Client, v4, "90 02 00 01", 1, packet.FaultTruncated},
	{"UNSUBACK of 5.0 has a code", parser.Client, v5, "b0 03 00 01 00", 1, packet.FaultTruncated},
}

var bodyFaults = []faultCase{
	{"the filter reaches past the packet", parser.Server, v5, "82 06  04 d2  00  00 01 70", atEnd, packet.FaultTruncated},
	{"the same bytes in 3.1.1", parser.Server, v4, "82 06  04 d2  00 00  01 70", atEnd, packet.FaultTruncated},
	{"the topic reaches past the packet", parser.Server, v4, "30 04  00 03 61 62", atEnd, packet.FaultTruncated},
	{"the topic reaches past the packet in 5.0", parser.Server, v5, "30 04  ff ff 61 62", atEnd, packet.FaultTruncated},
	{"no room for the identifier", parser.Server, v4, "32 04  00 01 61 00", atEnd, packet.FaultTruncated},
	{"no room for the property length", parser.Server, v5, "30 03  00 01 61", atEnd, packet.FaultTruncated},
	{"half an unsubscribe filter", parser.Server, v4, "a2 05  00 01  00 02 61", atEnd, packet.FaultTruncated},
	{"a filter without its options", parser.Server, v4, "82 05  00 01  00 01 61", atEnd, packet.FaultTruncated},
	{"a property cut off", parser.Server, v5, "30 07  00 01 61  03 02 00 00", atEnd, packet.FaultTruncated},
	{"AUTH with a code and no property length", parser.Server, v5, "f0 01 18", atEnd, packet.FaultTruncated},
	{"SUBACK of 5.0 with properties only", parser.Client, v5, "90 08  00 01  05 1f 00 02 61 62", atEnd, packet.FaultTruncated},
	{"CONNACK of 5.0 without a property length", parser.Client, v5, "20 02 00 00", atEnd, packet.FaultTruncated},
	{"bytes behind the properties of PUBACK", parser.Server, v5, "40 05  00 01  00  00  61", atEnd, packet.FaultTrailing},
	{"bytes behind the properties of DISCONNECT", parser.Server, v5, "e0 03  00  00  61", atEnd, packet.FaultTrailing},
	{"bytes behind the properties of CONNACK", parser.Client, v5, "20 04  00 00 00  61", atEnd, packet.FaultTrailing},
	{"a topic with a lone continuation byte", parser.Server, v4, "30 03  00 01 80", atEnd, packet.FaultString},
	{"a topic with U+0000", parser.Server, v4, "30 05  00 03 61 00 62", atEnd, packet.FaultString},
	{"a topic with a surrogate", parser.Server, v5, "30 06  00 03 ed a0 80  00", atEnd, packet.FaultString},
	{"a topic with an overlong slash", parser.Server, v3, "30 04  00 02 c0 af", atEnd, packet.FaultString},
	{"a filter with U+0000", parser.Server, v4, "82 06  00 01  00 01 00 00", atEnd, packet.FaultString},
	{"an unsubscribe filter with a surrogate", parser.Server, v4, "a2 07  00 01  00 03 ed bf bf", atEnd, packet.FaultString},
	{"a user property with U+0000", parser.Server, v5, "30 0a  00 01 61  06 26 00 01 00 00 00", atEnd, packet.FaultString},
	{"a property length of five bytes", parser.Server, v5, "30 08  00 01 61  80 80 80 80 01", atEnd, packet.FaultVarint},
	{"a property length 0 in two bytes", parser.Server, v5, "30 05  00 01 61  80 00", atEnd, packet.FaultVarint},
	{"a property length reaching past the packet", parser.Server, v5, "30 05  00 01 61  02 01", atEnd, packet.FaultPropertyLength},
	{"an unknown property", parser.Server, v5, "30 06  00 01 61  02 04 00", atEnd, packet.FaultPropertyUnknown},
	{"a property identifier above the last", parser.Server, v5, "30 06  00 01 61  02 2b 00", atEnd, packet.FaultPropertyUnknown},
	{"a property identifier of two bytes", parser.Server, v5, "30 06  00 01 61  02 81 00", atEnd, packet.FaultPropertyUnknown},
	{"a will delay in PUBLISH", parser.Server, v5, "30 09  00 01 61  05 18 00 00 00 01", atEnd, packet.FaultPropertyPlace},
	{"a topic alias in PUBACK", parser.Server, v5, "40 07  00 01 00  03 23 00 01", atEnd, packet.FaultPropertyPlace},
	{"a reason string in UNSUBSCRIBE", parser.Server, v5, "a2 0a  00 01  04 1f 00 01 61  00 01 61", atEnd, packet.FaultPropertyPlace},
	{"a session expiry in the server's DISCONNECT", parser.Client, v5, "e0 07  00  05 11 00 00 00 01", atEnd, packet.FaultPropertyPlace},
	{"a payload format of 2", parser.Server, v5, "30 06  00 01 61  02 01 02", atEnd, packet.FaultPropertyValue},
	{"receive maximum 0", parser.Client, v5, "20 06  00 00  03 21 00 00", atEnd, packet.FaultPropertyValue},
	{"maximum packet size 0", parser.Client, v5, "20 08  00 00  05 27 00 00 00 00", atEnd, packet.FaultPropertyValue},
	{"maximum QoS 2", parser.Client, v5, "20 05  00 00  02 24 02", atEnd, packet.FaultPropertyValue},
	{"retain available 2", parser.Client, v5, "20 05  00 00  02 25 02", atEnd, packet.FaultPropertyValue},
	{"message expiry twice", parser.Server, v5, "30 0e  00 01 61  0a 02 00 00 00 01 02 00 00 00 01", atEnd, packet.FaultPropertyTwice},
	{"subscription identifier twice in SUBSCRIBE", parser.Server, v5, "82 0b  00 01  04 0b 01 0b 02  00 01 61 00", atEnd, packet.FaultPropertyTwice},
	{"subscription identifier 0 in SUBSCRIBE", parser.Server, v5, "82 09  00 01  02 0b 00  00 01 61 00", atEnd, packet.FaultSubscriptionIDZero},
	{"subscription identifier 0 in PUBLISH", parser.Client, v5, "30 06  00 01 61  02 0b 00", atEnd, packet.FaultSubscriptionIDZero},
	{"subscription identifier from a client", parser.Server, v5, "30 06  00 01 61  02 0b 01", atEnd, packet.FaultSubscriptionIDFromClient},
	{"topic alias 0", parser.Server, v5, "30 07  00 01 61  03 23 00 00", atEnd, packet.FaultTopicAlias},
	{"neither topic nor alias", parser.Server, v5, "30 03  00 00  00", atEnd, packet.FaultTopicMissing},
	{"reserved bits of the options in 5.0", parser.Server, v5, "82 07  00 01  00  00 01 61 40", atEnd, packet.FaultSubscriptionOptions},
	{"reserved bits of the QoS in 3.1.1", parser.Server, v4, "82 06  00 01  00 01 61 04", atEnd, packet.FaultSubscriptionOptions},
	{"requested QoS 3 in 3.1.1", parser.Server, v4, "82 06  00 01  00 01 61 03", atEnd, packet.FaultSubscriptionOptions},
	{"requested QoS 3 in 3.1", parser.Server, v3, "82 06  00 01  00 01 61 03", atEnd, packet.FaultSubscriptionOptions},
	{"maximum QoS 3 in 5.0", parser.Server, v5, "82 07  00 01  00  00 01 61 03", atEnd, packet.FaultSubscriptionValue},
	{"retain handling 3", parser.Server, v5, "82 07  00 01  00  00 01 61 30", atEnd, packet.FaultSubscriptionValue},
	{"a reason code that PUBACK has not", parser.Server, v5, "40 03  00 01  92", atEnd, packet.FaultReasonCode},
	{"a reason code that PUBREL has not", parser.Server, v5, "62 03  00 01  10", atEnd, packet.FaultReasonCode},
	{"a reason code that DISCONNECT has not", parser.Server, v5, "e0 01  01", atEnd, packet.FaultReasonCode},
	{"a reason code that AUTH has not", parser.Server, v5, "f0 02  80 00", atEnd, packet.FaultReasonCode},
	{"a return code above 5", parser.Client, v4, "20 02  00 06", atEnd, packet.FaultReasonCode},
	{"a SUBACK code that 3.1.1 has not", parser.Client, v4, "90 03  00 01 87", atEnd, packet.FaultReasonCode},
	{"reserved CONNACK flags", parser.Client, v4, "20 02  02 00", atEnd, packet.FaultConnectFlags},
	{"PUBLISH QoS 1 with identifier 0", parser.Server, v4, "32 05  00 01 61  00 00", atEnd, packet.FaultPacketIDZero},
	{"PUBLISH QoS 2 with identifier 0 in 5.0", parser.Server, v5, "34 06  00 01 61  00 00  00", atEnd, packet.FaultPacketIDZero},
	{"SUBSCRIBE with identifier 0 in 3.1", parser.Server, v3, "82 06  00 00  00 01 61 00", atEnd, packet.FaultPacketIDZero},
	{"PUBACK with identifier 0", parser.Client, v4, "40 02  00 00", atEnd, packet.FaultPacketIDZero},
	{"SUBSCRIBE without a filter", parser.Server, v4, "82 02  00 01", atEnd, packet.FaultNoFilters},
	{"SUBSCRIBE without a filter in 5.0", parser.Server, v5, "82 03  00 01  00", atEnd, packet.FaultNoFilters},
	{"UNSUBSCRIBE without a filter", parser.Server, v3, "a2 02  00 01", atEnd, packet.FaultNoFilters},
	{"UNSUBSCRIBE without a filter in 5.0", parser.Server, v5, "a2 03  00 01  00", atEnd, packet.FaultNoFilters},
	{"AUTH without a method", parser.Server, v5, "f0 02  18  00", atEnd, packet.FaultAuthMethodMissing},
	{"CONNACK with authentication data alone", parser.Client, v5, "20 07  00 00  04 16 00 01 61", atEnd, packet.FaultAuthMethodMissing},
}

var connectFaults = []faultCase{
	{"a name that is not ours", parser.Server, v0, "10 0c  00 04 4d 51 54 55 04 02 00 00  00 00", atEnd, packet.FaultProtocolName},
	{"the name in lower case", parser.Server, v0, "10 0c  00 04 6d 71 74 74 04 02 00 00  00 00", atEnd, packet.FaultProtocolName},
	{"the name of 3.1 with the level of 3.1.1", parser.Server, v0, "10 0e  00 06 4d 51 49 73 64 70 04 02 00 00  00 00", atEnd, packet.FaultProtocolVersion},
	{"the name of 3.1.1 with the level of 3.1", parser.Server, v0, "10 0c  00 04 4d 51 54 54 03 02 00 00  00 00", atEnd, packet.FaultProtocolVersion},
	{"level 6", parser.Server, v0, "10 0d  00 04 4d 51 54 54 06 02 00 00 00  00 00", atEnd, packet.FaultProtocolVersion},
	{"level 0", parser.Server, v0, "10 07  00 04 4d 51 54 54 00", atEnd, packet.FaultProtocolVersion},
	{"a bridge of 5.0", parser.Server, v0, "10 0d  00 04 4d 51 54 54 85 02 00 00 00  00 00", atEnd, packet.FaultProtocolVersion},
	{"the name reaches past the packet", parser.Server, v0, "10 0c  00 0b 4d 51 54 54 04 02 00 00  00 00", atEnd, packet.FaultTruncated},
	{"no room for the client identifier", parser.Server, v0, "10 0a  00 04 4d 51 54 54 04 02 00 00", atEnd, packet.FaultTruncated},
	{"no room for the password", parser.Server, v0, "10 0f  00 04 4d 51 54 54 04 c2 00 00  00 00  00 01 61", atEnd, packet.FaultTruncated},
	{"the user name missing in 3.1.1", parser.Server, v0, "10 0c  00 04 4d 51 54 54 04 82 00 00  00 00", atEnd, packet.FaultTruncated},
	{"half a user name in 3.1", parser.Server, v0, "10 0f  00 06 4d 51 49 73 64 70 03 82 00 00  00 00  00", atEnd, packet.FaultTruncated},
	{"the reserved flag in 3.1.1", parser.Server, v0, "10 0c  00 04 4d 51 54 54 04 03 00 00  00 00", atEnd, packet.FaultConnectFlags},
	{"the reserved flag in 5.0", parser.Server, v0, "10 0d  00 04 4d 51 54 54 05 03 00 00 00  00 00", atEnd, packet.FaultConnectFlags},
	{"a password without user name in 3.1.1", parser.Server, v0, "10 0f  00 04 4d 51 54 54 04 42 00 00  00 00  00 01 61", atEnd, packet.FaultConnectFlags},
	{"a password without user name in 3.1", parser.Server, v0, "10 11  00 06 4d 51 49 73 64 70 03 42 00 00  00 00  00 01 61", atEnd, packet.FaultConnectFlags},
	{"will QoS 3 in 3.1.1", parser.Server, v0, "10 12  00 04 4d 51 54 54 04 1e 00 00  00 00  00 01 61  00 01 62", atEnd, packet.FaultWillFlags},
	{"will QoS 3 in 3.1", parser.Server, v0, "10 14  00 06 4d 51 49 73 64 70 03 1e 00 00  00 00  00 01 61  00 01 62", atEnd, packet.FaultWillFlags},
	{"will QoS without a will in 3.1.1", parser.Server, v0, "10 0c  00 04 4d 51 54 54 04 0a 00 00  00 00", atEnd, packet.FaultWillFlags},
	{"will retain without a will in 5.0", parser.Server, v0, "10 0d  00 04 4d 51 54 54 05 22 00 00 00  00 00", atEnd, packet.FaultWillFlags},
	{"bytes behind CONNECT in 3.1.1", parser.Server, v0, "10 0d  00 04 4d 51 54 54 04 02 00 00  00 00  00", atEnd, packet.FaultTrailing},
	{"bytes behind CONNECT in 3.1", parser.Server, v0, "10 0f  00 06 4d 51 49 73 64 70 03 02 00 00  00 00  00", atEnd, packet.FaultTrailing},
	{"a client identifier with U+0000", parser.Server, v0, "10 0d  00 04 4d 51 54 54 04 02 00 00  00 01 00", atEnd, packet.FaultString},
	{"a will topic that is no UTF-8", parser.Server, v0, "10 12  00 04 4d 51 54 54 04 06 00 00  00 00  00 01 ff  00 01 62", atEnd, packet.FaultString},
	{"a user name that is no UTF-8", parser.Server, v0, "10 0f  00 04 4d 51 54 54 04 82 00 00  00 00  00 01 ff", atEnd, packet.FaultString},
	{"a will delay outside the will", parser.Server, v0, "10 12  00 04 4d 51 54 54 05 02 00 00  05 18 00 00 00 01  00 00", atEnd, packet.FaultPropertyPlace},
	{"a session expiry inside the will", parser.Server, v0, "10 19  00 04 4d 51 54 54 05 06 00 00  00  00 00  05 11 00 00 00 01  00 01 61  00 01 62", atEnd, packet.FaultPropertyPlace},
	{"receive maximum 0 in CONNECT", parser.Server, v0, "10 10  00 04 4d 51 54 54 05 02 00 00  03 21 00 00  00 00", atEnd, packet.FaultPropertyValue},
	{"request problem information 2", parser.Server, v0, "10 0f  00 04 4d 51 54 54 05 02 00 00  02 17 02  00 00", atEnd, packet.FaultPropertyValue},
	{"authentication data without a method", parser.Server, v0, "10 11  00 04 4d 51 54 54 05 02 00 00  04 16 00 01 61  00 00", atEnd, packet.FaultAuthMethodMissing},
	{"a long remaining length in 5.0", parser.Server, v0, "10 8d 00  00 04 4d 51 54 54 05 02 00 00 00  00 00", atEnd, packet.FaultVarint},
}

func allFaultCases() (all []faultCase) {
	all = append(all, headerFaults...)
	all = append(all, bodyFaults...)
	return append(all, connectFaults...)
}

func TestFault(t *testing.T) {
	for _, c := range allFaultCases() {
		t.Run(c.name, func(t *testing.T) {
			data := wire(t, c.bytes)
			whole := feed(t, parser.New(parser.Options{Role: c.role, Version: c.v}), data)
			require.NotNil(t, whole.err, "accepted: %v", whole.packets)
			require.Equal(t, c.fault, whole.err.Fault)
			require.ErrorIs(t, whole.err, c.fault)
			var f packet.Fault
			require.True(t, errors.As(whole.err, &f))
			require.Equal(t, packet.Type(data[0]>>4), whole.err.Type)

			cut := feed(t, parser.New(parser.Options{Role: c.role, Version: c.v}), bytewise(data)...)
			require.Equal(t, whole.err, cut.err, "the fault depends on the cut")

			if c.at == atEnd {
				c.at = len(data) - 1
			}
			early := feed(t, parser.New(parser.Options{Role: c.role, Version: c.v}), data[:c.at])
			require.Nil(t, early.err, "refused before it was proved wrong")
			proof := feed(t, parser.New(parser.Options{Role: c.role, Version: c.v}), data[:c.at+1])
			require.Equal(t, whole.err, proof.err, "not refused at the byte that proves it wrong")
		})
	}
}

func TestFault_packet_too_large_is_refused_at_the_length_byte_that_proves_it(t *testing.T) {
	for _, c := range []struct {
		name  string
		max   uint32
		bytes string
		at    int // offset of the byte that proves it; -1: accepted
	}{
		{"7 bytes under a limit of 7", 7, "30 05  00 01 61  62 63", -1},
		{"8 bytes under a limit of 7", 7, "30 06  00 01 61  62 63 64", 1},
		{"131 bytes under a limit of 131", 131, "30 80 01", -1},
		{"131 bytes under a limit of 130", 130, "30 80 01", 2},
		{"three bytes of header under a limit of 3", 3, "30 80", -1},
		{"three bytes of header under a limit of 2", 2, "30 80", 1},
		{"a length that already is too much", 1 << 10, "30 ff ff", 2},
		{"everything under the protocol's limit", 0, "30 ff ff ff 7f", -1},
		{"one byte less than the protocol's limit", 5 + packet.MaxRemainingLength - 1, "30 ff ff ff 7f", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := wire(t, c.bytes)
			p := parser.New(parser.Options{Version: v4, MaxPacketSize: c.max})
			r := feed(t, p, data)
			if c.at < 0 {
				require.Nil(t, r.err)
				return
			}
			require.NotNil(t, r.err)
			require.Equal(t, packet.FaultPacketTooLarge, r.err.Fault)
			require.Nil(t, feed(t, p, data[:c.at]).err)
			require.Equal(t, r.err, feed(t, p, data[:c.at+1]).err)
		})
	}
}

// The answer to an unknown level is in the words of the level asked for: return
// code 1 below 5 [v3.1.1 MQTT-3.1.2-2], reason code 0x84 from 5 on
// [v5 MQTT-3.1.2-2].
func TestFault_protocol_version_carries_the_level_asked_for(t *testing.T) {
	for _, c := range []struct {
		bytes string
		level uint8
	}{
		{"10 07  00 04 4d 51 54 54 02", 2},
		{"10 07  00 04 4d 51 54 54 06", 6},
		{"10 07  00 04 4d 51 54 54 ff", 0xff},
		{"10 07  00 04 4d 51 54 54 85", 0x85},
		{"10 09  00 06 4d 51 49 73 64 70 05", 5},
	} {
		r := feed(t, server(v0), wire(t, c.bytes))
		require.NotNil(t, r.err)
		require.Equal(t, packet.FaultProtocolVersion, r.err.Fault)
		require.Equal(t, c.level, r.err.Level)
		require.Contains(t, r.err.Error(), "level")
	}
}

// notTheParsers are the faults of packets that are well-formed: the protocol
// actor, the session and the topic rules find them.
var notTheParsers = map[packet.Fault]bool{
	packet.FaultNoLocalShared: true, packet.FaultSecondConnect: true, packet.FaultAuthUnexpected: true,
	packet.FaultSessionExpiryRaised: true, packet.FaultResponseTopic: true, packet.FaultAckKind: true, packet.FaultClientID: true,
	packet.FaultReceiveMaximum: true, packet.FaultTopicName: true, packet.FaultTopicFilter: true,
	packet.FaultPayloadFormat: true, packet.FaultKeepAlive: true, packet.FaultPacketIDInUse: true,
	packet.FaultPacketIDUnknown: true,
}

func TestFault_every_row_of_the_table_that_the_parser_can_produce_is_produced(t *testing.T) {
	produced := map[packet.Fault]bool{packet.FaultPacketTooLarge: true} // its own test above
	for _, c := range allFaultCases() {
		produced[c.fault] = true
	}
	for f, info := range packet.Faults {
		require.NotEqual(t, notTheParsers[f], produced[f], info.Label)
	}
}
