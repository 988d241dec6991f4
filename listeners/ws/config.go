// SPDX-License-Identifier: Apache-2.0

package ws

import (
	"sync"

	"github.com/gorilla/websocket"
)

// Defaults of Config, taken where a field is zero.
const (
	DefaultMaxHeader   = 8 << 10 // bytes of request line and header lines
	DefaultMaxMessage  = 1 << 20 // bytes of one compressed message on the wire
	DefaultMaxInflated = 1 << 20 // bytes of the same message inflated
)

// Config says what a WebSocket listener accepts. It is shared by all
// connections of the listener and must not change once NewUpgrader has it.
type Config struct {
	// Paths at which MQTT is spoken, compared exactly; nil means "/mqtt".
	Paths []string

	// AllowedOrigins lists the web pages that may connect besides those of the
	// broker's own host: "https://app.example.com", "app.example.com" (any
	// scheme and port), "https://*.example.com", "null" or "*".
	AllowedOrigins []string

	// CheckHost refuses requests whose Host is neither a loopback name nor one
	// of Hosts. For listeners that are safe only because they are on loopback:
	// it stops a web page that has its name resolved to 127.0.0.1.
	CheckHost bool
	Hosts     []string // host names without port

	// Compression accepts permessage-deflate when offered [RFC 7692], without
	// context takeover. A compressed message is collected whole before it is
	// inflated, so both of these bound memory; beyond either the connection is
	// closed with 1009. Messages that are not compressed are streamed and need
	// no bound here: the MQTT parser has its own.
	Compression bool
	MaxMessage  int
	MaxInflated int

	// AllowText takes text frames as binary, as emqttd did. Otherwise they
	// close the connection with 1003 [v3.1.1 MQTT-6.0.0-1, v5 MQTT-6.0.0-1].
	AllowText bool

	// Strict refuses frame lengths that are not in their shortest form
	// [RFC 6455 5.2], which gorilla lets pass.
	Strict bool

	// MaxHeader bounds the request up to its empty line, in bytes; beyond, the
	// answer is 431.
	MaxHeader int
}

// Upgrader opens WebSocket connections for one listener. It is immutable and
// safe for any number of loops.
type Upgrader struct {
	cfg     Config
	origins []originRule
	gorilla websocket.Upgrader
}

// NewUpgrader compiles cfg.
func NewUpgrader(cfg Config) *Upgrader {
	if cfg.Paths == nil {
		cfg.Paths = []string{"/mqtt"}
	}
	cfg.MaxHeader = orDefault(cfg.MaxHeader, DefaultMaxHeader)
	cfg.MaxMessage = orDefault(cfg.MaxMessage, DefaultMaxMessage)
	cfg.MaxInflated = min(orDefault(cfg.MaxInflated, DefaultMaxInflated), 1<<30)
	return &Upgrader{
		cfg:     cfg,
		origins: parseOrigins(cfg.AllowedOrigins),
		gorilla: websocket.Upgrader{
			// With a pool gorilla keeps no write buffer per connection, and
			// does not adopt the shared bufio.Writer's either.
			WriteBufferPool:   &sync.Pool{},
			Subprotocols:      subprotocols,
			CheckOrigin:       originChecked,
			EnableCompression: cfg.Compression,
		},
	}
}

func orDefault(v, def int) int {
	if v <= 0 {
		return def
	}
	return v
}
