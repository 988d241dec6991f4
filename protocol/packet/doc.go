// SPDX-License-Identifier: Apache-2.0

// Package packet is the vocabulary of MQTT on the wire: control packets,
// properties, reason codes and faults, as plain values for 3.1, 3.1.1 and 5.0.
//
// It is emqttd's include/emqttd_protocol.hrl (the #mqtt_packet{} records) and
// emqttd_packet. One set of structs serves the three versions: a field that a
// version does not have is left at its zero value, and the serializer leaves it
// out. Everything here is data; protocol/parser and protocol/serializer give it
// its bytes.
package packet
