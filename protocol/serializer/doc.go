// SPDX-License-Identifier: Apache-2.0

// Package serializer turns control packets into bytes. It is
// emqttd_serializer; like protocol/parser it has one set of functions with a
// version, not one for each version.
//
// What a version does not have is left out: properties and reason codes below
// 5.0, subscription options below 5.0. What it has but the packet says wrongly
// (a string too long, packet identifier 0, a property in the wrong packet) is
// an error: it is a mistake of ours, not of a peer, and must not reach the wire.
// Whether a string is UTF-8 is not looked at here; who makes one checks it with
// packet.ValidText.
//
// Start with serializer.go; then one file for each family of packets.
package serializer
