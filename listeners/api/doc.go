// SPDX-License-Identifier: Apache-2.0

// Package api is the broker's HTTP origin for people and programs: the page, the
// REST interface under /api/v1 with its OpenAPI document, MQTT over WebSocket at
// /mqtt, /metrics, /livez, /readyz and /status. It is emqttd_http's 18083, the
// dashboard plugin's mochiweb listener.
//
// Start at Options and Route: whoever has something to show brings its routes,
// and the document's part about them, from its own package; the broker puts them
// together. What the broker itself shows is the interface Broker, whose types are
// the schemas of openapi.yaml; a test holds the two together.
//
// Who asks is found out before any route runs: a session of the page (cookie), a
// user with Basic, an API key or the token of this machine's operator with Bearer.
// A route names the role it takes, and whether it changes something; a change
// through the cookie also proves that our own page sent it, and is written to the
// audit log, done or refused.
//
// No actor lives here. Requests run on net/http's goroutines, which may wait; what
// they want to know of running actors they ask of the actors' groups, in pieces
// (group.Do), and never touch an event loop otherwise. net/http catches the panic
// of a request; it costs that request.
package api
