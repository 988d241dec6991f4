// SPDX-License-Identifier: Apache-2.0

// Package microscope shows MQTT over WebSocket byte by byte: it is what the
// dashboard's page #/websocket looks through.
//
// A browser hides the upgrade's headers, the frames and their masks from a page.
// So the page asks this package, which opens the connection as a client from
// outside: its own TCP and TLS connection, its own upgrade request, its own
// frames, nothing in between that could tidy up. What goes over the wire is
// recorded as events (request, response, frame, packet), each packet taken apart
// by protocol/dissect. Of a connection to this broker itself the events also say
// what its ws_loop waits for after each read, and which actors its packets pass
// (see Inside). emqttd's page was an MQTT client only; for the bytes one needed
// Wireshark, for which the recording can be exported (Pcapng).
//
// Connections belong to a tab of a user: the tab's random name is known to the
// page that made it, and survives its reload. A tab that nobody looks at for a
// while is closed. Everything is bounded by Limits, and the clients here run on
// goroutines of their own, beside the event loops and never on them. A panic in
// one ends that connection alone.
package microscope
