// SPDX-License-Identifier: Apache-2.0

// Package conformance is the normative text of MQTT 3.1.1 and 5.0 as data: every
// numbered statement once per version, with its meaning in one line and a script
// of packets that proves it against a running broker.
//
// emqttd had no counterpart. Nothing here is an actor: Run plays scripts over
// any net.Conn, so that `go test` and `emqtt check` use the same ones, over TCP,
// TLS and WebSocket, against this broker or any other.
//
// # Data files
//
// statements_v311.txt and statements_v5.txt hold one block per statement,
// faults.txt one block per row of the fault table (packet.Faults) and version,
// with the exact answer that this broker gives. A block is a header, then the
// lines of the script; blank lines and lines that begin with # are skipped, and
// " # " begins a comment behind a step.
//
//	[MQTT-3.12.4-1] PINGREQ is answered with PINGRESP.
//	  connect a
//	  a> pingreq
//	  a< pingresp
//
// A statement that no exchange of packets can prove says why:
//
//	[MQTT-7.0.0-1] A server that also connects to servers obeys the client rules.
//	  none: a client of the bridge is needed, and a broker need not have one
//
// # Grammar
//
//	script  = "none:" reason | { step }
//	step    = [ "repeat" number ":" ] action     $i counts from 1
//	action  = "needs" condition { condition }    else the verdict is "not applicable"
//	        | "open" conn [ "version=" v ]       a socket, nothing sent
//	        | "connect" conn { field }           open, CONNECT, CONNACK with code 0; present=0|1 is expected of it
//	        | "upgrade" conn { field }           WebSocket handshake on a socket of its own
//	        | conn ">" message                   send
//	        | conn "+" message                   send together with the next ">"
//	        | conn "<" event { "or" event }      the next thing that arrives
//	        | conn "<" event { "and" event }     all of these arrive, in any order
//	        | conn "<+" packet                   one or more of these, up to a PINGRESP
//	        | conn "<*" packet                   none or more of these, up to a PINGRESP
//	        | conn "<<" event { "or" event }     one of these arrives, after whatever else
//	        | conn "?" event "--" reason         if this comes next: not applicable, because
//	        | "bye" conn                         DISCONNECT, wait for the close
//	        | "drop" conn                        close the socket without a word
//	        | "wait" milliseconds                only where time is the subject
//	message = packet                             fields are values
//	        | "raw" { byte }                     see below
//	        | "text" { byte }                    the same in a WebSocket text frame
//	event   = packet                             fields are patterns; a field left out may be anything
//	        | "close" [ "code=" pattern ]        the socket closes; a 5.0 DISCONNECT or a refusing
//	                                             CONNACK may precede it, and then has that code
//	        | "closed"                           the socket closes and nothing precedes it
//	        | "nothing"                          nothing has arrived when PINGRESP comes
//	packet  = type { name "=" value }
//
// A condition is websocket (its address is given), anonymous (CONNECT without a
// user name is accepted), credentials (a user name and password are given), a
// version that the broker must accept too, or a pattern for what the broker's
// CONNACK said, such as receive-maximum<=100 or shared-available=1.
//
// An expectation may end in within=MS, which replaces the time limit of a step.
// Packet types and their fields are in fields.go, property names in
// properties.go (they are the standard's, joined by hyphens; those of a will
// begin with "will."). In SUBSCRIBE the options qos, nl, rap and rh belong to
// the filter before them.
//
// Values: text as it stands or "quoted with \x escapes"; hex:00ff for bytes;
// fill:1000 for a thousand bytes; scram-first and scram-final:$challenge for the
// client's messages of SCRAM-SHA-256; numbers in decimal or 0x hexadecimal.
// Patterns: a value; ?name to keep what came for later use as $name; - absent;
// !v anything else; a|b either; <=n, >=n, n..m for numbers; a,b for lists.
// Besides its fields every packet has size (bytes) and hex (a dot is any digit,
// a prefix ends in *).
//
// Variables: $id a client identifier and $t a topic that nobody else uses, $i,
// the captured ones, every CONNACK property of the broker as $receive-maximum
// and so on, with the standard's default when it is absent; ${name} where a
// letter follows; $(name+1) and $(name-1).
//
// Raw bytes: hexadecimal digits; "text"; s"text" with two bytes of length before
// it; n"text" with a variable byte integer before it; len the remaining length of
// all that follows; ( … ) a group with its length before it as a variable byte
// integer (properties); fill:1000; u16:258 or u16:$p for a number in two bytes.
package conformance
