// SPDX-License-Identifier: Apache-2.0

// Package listeners is where bytes come in: event loops and the layers around
// MQTT (internal/conn, tls, ws), and an actor per port that decides who enters
// (tcp, httpd).
package listeners
