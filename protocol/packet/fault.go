// SPDX-License-Identifier: Apache-2.0

package packet

// Fault is one way in which a peer breaks the rules. It is the row number of
// the one table that drives answer, log line, metric label and conformance
// script, and an error whose text is the label: no allocation on the way.
type Fault uint8

// FaultInfo is a row of the fault table.
type FaultInfo struct {
	Label  string     // metric label and log field, snake case, never changed once released
	Code   ReasonCode // CONNACK before, DISCONNECT after a successful CONNACK, or the acknowledgement's code; 3.x: CONNACK return code or close
	Clause string     // where the standard says so
	Hint   string     // what the operator or client author should know, one clause
}

const (
	FaultNone Fault = iota
	// cannot be parsed: 0x81
	FaultReservedType
	FaultDirection
	FaultFixedFlags
	FaultLengthEncoding
	FaultTruncated
	FaultTrailing
	FaultQoS3
	FaultString
	FaultVarint
	FaultProtocolName
	FaultConnectFlags
	FaultWillFlags
	FaultPropertyUnknown
	FaultPropertyPlace
	FaultPropertyLength
	FaultPropertyValue
	FaultSubscriptionOptions
	FaultReasonCode
	FaultPacketIDZero
	// parsed but not allowed: 0x82
	FaultPropertyTwice
	FaultSubscriptionIDZero
	FaultSubscriptionIDFromClient
	FaultSubscriptionValue
	FaultNoFilters
	FaultTopicMissing
	FaultNoLocalShared
	FaultSecondConnect
	FaultNotConnected
	FaultAuthMethodMissing
	FaultAuthUnexpected
	FaultSessionExpiryRaised
	FaultResponseTopic
	FaultAckKind
	// with a code of their own
	FaultProtocolVersion
	FaultClientID
	FaultPacketTooLarge
	FaultReceiveMaximum
	FaultTopicAlias
	FaultTopicName
	FaultTopicFilter
	FaultPayloadFormat
	FaultKeepAlive
	FaultPacketIDInUse
	FaultPacketIDUnknown
	faultCount
)

var faults = [faultCount]FaultInfo{
	FaultNone:                     {"none", Success, "", ""},
	FaultReservedType:             {"reserved_type", MalformedPacket, "[v3.1.1 2.2.1, v5 2.1.2]", "packet type 0, or 15 before version 5.0"},
	FaultDirection:                {"wrong_direction", ProtocolError, "[v5 4.13, v3.1.1 2.2.1]", "a packet that only the other side may send"},
	FaultFixedFlags:               {"fixed_flags", MalformedPacket, "[v3.1.1 MQTT-2.2.2-2, v5 MQTT-2.1.3-1]", "reserved flag bits of the fixed header"},
	FaultLengthEncoding:           {"length_encoding", MalformedPacket, "[v3.1.1 2.2.3, v5 2.1.4]", "remaining length longer than four bytes"},
	FaultTruncated:                {"truncated", MalformedPacket, "[v5 4.13]", "a field reaches past the end of the packet"},
	FaultTrailing:                 {"trailing_bytes", MalformedPacket, "[v5 4.13]", "bytes behind the last field"},
	FaultQoS3:                     {"qos_3", MalformedPacket, "[v3.1.1 MQTT-3.3.1-4, v5 MQTT-3.3.1-4]", "both QoS bits set"},
	FaultString:                   {"utf8_string", MalformedPacket, "[v3.1.1 MQTT-1.5.3-1 -2, v5 MQTT-1.5.4-1 -2]", "ill-formed UTF-8, a surrogate or U+0000"},
	FaultVarint:                   {"variable_byte_integer", MalformedPacket, "[v5 MQTT-1.5.5-1]", "variable byte integer too long or not minimal"},
	FaultProtocolName:             {"protocol_name", UnsupportedProtocolVersion, "[v3.1.1 MQTT-3.1.2-1, v5 MQTT-3.1.2-1]", "neither MQTT nor MQIsdp"},
	FaultConnectFlags:             {"connect_flags", MalformedPacket, "[v3.1.1 MQTT-3.1.2-3 -22, v5 MQTT-3.1.2-3 MQTT-3.2.2-1]", "reserved flag of CONNECT or CONNACK, or password without user name before 5.0"},
	FaultWillFlags:                {"will_flags", MalformedPacket, "[v3.1.1 MQTT-3.1.2-13 to -15, v5 MQTT-3.1.2-11 to -13]", "will QoS or retain without a will, or will QoS 3"},
	FaultPropertyUnknown:          {"property_unknown", MalformedPacket, "[v5 2.2.2.2]", "property identifier the standard does not define"},
	FaultPropertyPlace:            {"property_place", MalformedPacket, "[v5 2.2.2.2]", "property not valid for this packet type"},
	FaultPropertyLength:           {"property_length", MalformedPacket, "[v5 2.2.2.1]", "property length reaches past the packet"},
	FaultPropertyValue:            {"property_value", ProtocolError, "[v5 2.2.2.2]", "property value out of its range"},
	FaultSubscriptionOptions:      {"subscription_options", MalformedPacket, "[v3.1.1 MQTT-3.8.3-4, v5 MQTT-3.8.3-5]", "reserved bits of the subscription options, or QoS 3 before 5.0"},
	FaultReasonCode:               {"reason_code", MalformedPacket, "[v5 2.4]", "reason code not valid for this packet type"},
	FaultPacketIDZero:             {"packet_id_zero", MalformedPacket, "[v3.1.1 MQTT-2.3.1-1, v5 MQTT-2.2.1-3]", "packet identifier 0"},
	FaultPropertyTwice:            {"property_twice", ProtocolError, "[v5 2.2.2.2]", "property given more than once"},
	FaultSubscriptionIDZero:       {"subscription_id_zero", ProtocolError, "[v5 3.8.2.1.2]", "subscription identifier 0"},
	FaultSubscriptionIDFromClient: {"subscription_id_from_client", ProtocolError, "[v5 MQTT-3.3.4-6]", "PUBLISH from a client with a subscription identifier"},
	FaultSubscriptionValue:        {"subscription_value", ProtocolError, "[v5 3.8.3.1]", "maximum QoS 3 or retain handling 3"},
	FaultNoFilters:                {"no_filters", ProtocolError, "[v3.1.1 MQTT-3.8.3-3 MQTT-3.10.3-2, v5 MQTT-3.8.3-2 MQTT-3.10.3-2]", "SUBSCRIBE or UNSUBSCRIBE without a filter"},
	FaultTopicMissing:             {"topic_missing", ProtocolError, "[v5 3.3.2.1]", "empty topic name without a topic alias"},
	FaultNoLocalShared:            {"no_local_shared", ProtocolError, "[v5 MQTT-3.8.3-4]", "No Local on a shared subscription"},
	FaultSecondConnect:            {"second_connect", ProtocolError, "[v3.1.1 MQTT-3.1.0-2, v5 MQTT-3.1.0-2]", "CONNECT on a connected session"},
	FaultNotConnected:             {"not_connected", ProtocolError, "[v3.1.1 MQTT-3.1.0-1, v5 MQTT-3.1.0-1]", "first packet is not CONNECT"},
	FaultAuthMethodMissing:        {"auth_method_missing", ProtocolError, "[v5 3.15.2.2.2]", "authentication data or AUTH without a method"},
	FaultAuthUnexpected:           {"auth_unexpected", ProtocolError, "[v5 MQTT-4.12.0-6 MQTT-4.12.1-1]", "AUTH where no exchange is going on, or with another method"},
	FaultSessionExpiryRaised:      {"session_expiry_raised", ProtocolError, "[v5 3.14.2.2.2]", "DISCONNECT sets an expiry on a session that had none"},
	FaultResponseTopic:            {"response_topic", ProtocolError, "[v5 MQTT-3.3.2-14 MQTT-4.7.3-1]", "response topic empty or with a wildcard"},
	FaultAckKind:                  {"ack_kind", ProtocolError, "[v3.1.1 MQTT-4.3.2-2 MQTT-4.3.3-2, v5 MQTT-4.3.2-4 MQTT-4.3.3-8]", "PUBACK for a QoS 2 message, PUBREC or PUBCOMP for a QoS 1 message, or PUBCOMP before PUBREC"},
	FaultProtocolVersion:          {"protocol_version", UnsupportedProtocolVersion, "[v3.1.1 MQTT-3.1.2-2, v5 MQTT-3.1.2-2]", "protocol level other than 3, 4 or 5"},
	FaultClientID:                 {"client_id", ClientIDNotValid, "[v3.1.1 MQTT-3.1.3-8 -9, v5 MQTT-3.1.3-8]", "client identifier empty or too long"},
	FaultPacketTooLarge:           {"packet_too_large", PacketTooLarge, "[v5 MQTT-3.1.2-24 MQTT-3.2.2-15]", "remaining length above the limit"},
	FaultReceiveMaximum:           {"receive_maximum", ReceiveMaximumExceeded, "[v5 MQTT-3.3.4-9]", "more unacknowledged QoS 1 and 2 messages than allowed"},
	FaultTopicAlias:               {"topic_alias", TopicAliasInvalid, "[v5 MQTT-3.3.2-8 -9]", "topic alias 0, too high or unknown"},
	FaultTopicName:                {"topic_name", TopicNameInvalid, "[v3.1.1 MQTT-3.3.2-2 MQTT-4.7.3-1, v5 MQTT-3.3.2-2 MQTT-4.7.3-1]", "topic name empty, too long, too deep or with a wildcard"},
	FaultTopicFilter:              {"topic_filter", TopicFilterInvalid, "[v3.1.1 MQTT-4.7.1-2 -3, v5 MQTT-4.7.1-1 -2 MQTT-4.8.2-1 -2]", "topic filter malformed, too long or too deep"},
	FaultPayloadFormat:            {"payload_format", PayloadFormatInvalid, "[v5 3.3.2.3.2]", "payload is not the UTF-8 it says it is"},
	FaultKeepAlive:                {"keep_alive_timeout", KeepAliveTimeout, "[v3.1.1 MQTT-3.1.2-24, v5 MQTT-3.1.2-22]", "nothing heard for one and a half keep alive"},
	FaultPacketIDInUse:            {"packet_id_in_use", PacketIDInUse, "[v5 2.2.1]", "packet identifier already in use"},
	FaultPacketIDUnknown:          {"packet_id_unknown", PacketIDNotFound, "[v5 3.6.2.1 3.7.2.1]", "packet identifier not in use"},
}

// Info is the fault's row of the table.
func (f Fault) Info() FaultInfo { return faults[f] }

// Code is the reason code that answers f.
func (f Fault) Code() ReasonCode { return faults[f].Code }

// Label is the fault's metric label.
func (f Fault) Label() string { return faults[f].Label }

// Error is the label and what it means.
func (f Fault) Error() string { return faults[f].Label + ": " + faults[f].Hint }

// Faults calls yield for every row of the table but FaultNone, in order.
func Faults(yield func(Fault, FaultInfo) bool) {
	for f := FaultNone + 1; f < faultCount; f++ {
		if !yield(f, faults[f]) {
			return
		}
	}
}
