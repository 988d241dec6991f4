// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/tls"
	"fmt"
	"io"
	"time"

	"emqttd/protocol/packet"
)

// Config is one run. A zero number is the scenario's default (scenarios.go).
type Config struct {
	Scenario string
	URL      string
	TLS      *tls.Config // for mqtts and wss; nil: the system's certificates
	Mine     bool        // the target may be another machine
	Version  packet.Version
	QoS      int // -1: the scenario's default

	Publishers, Subscribers int
	Size                    int // payload bytes
	Window                  int // messages of a publisher that are on their way, at most
	Filters                 int
	Connections             int
	Deaf                    int   // connections that subscribe to everything and never read
	Messages                int64 // per run; 0: as many as fit into Duration
	Rate                    float64

	Warmup, Duration time.Duration // before and while it is measured
	Limit            time.Duration // of everything together: a run ends by itself
	Patience         time.Duration // how long nothing may come before what is missing is lost

	PID      int       // of the broker, if it runs here
	Progress io.Writer // a line per second; nil: none
}

// scenario is a row of the table in scenarios.go.
type scenario struct {
	name, what string
	defaults   Config
	play       func(*run) error
}

// The bounds of what can be asked for. They keep a typing mistake from becoming
// a request for a terabyte.
const (
	maxConnections = 1_000_000
	maxFilters     = 10_000_000
	maxSize        = 16 << 20
	maxMessages    = 1 << 40
	maxDuration    = 24 * time.Hour
	maxTraffic     = 20_000 // connections that publish or subscribe
)

// settle fills in defaults and checks what was asked for.
func (c *Config) settle() (*scenario, error) {
	s := find(c.Scenario)
	if s == nil {
		return nil, fmt.Errorf("bench: there is no scenario %q; there are %s", c.Scenario, Names())
	}
	d := &s.defaults
	for _, n := range []struct {
		name         string
		value        *int
		preset, most int
	}{
		{"--publishers", &c.Publishers, d.Publishers, maxTraffic},
		{"--subscribers", &c.Subscribers, d.Subscribers, maxTraffic},
		{"--size", &c.Size, 64, maxSize},
		{"--window", &c.Window, d.Window, 65_535},
		{"--filters", &c.Filters, d.Filters, maxFilters},
		{"--connections", &c.Connections, d.Connections, maxConnections},
	} {
		if *n.value == 0 {
			*n.value = n.preset
		}
		if *n.value < 0 || *n.value > n.most {
			return nil, fmt.Errorf("bench: %s %d: want 1 to %d", n.name, *n.value, n.most)
		}
	}
	if c.Deaf < 0 || c.Deaf > maxTraffic {
		return nil, fmt.Errorf("bench: --deaf %d: want 0 to %d", c.Deaf, maxTraffic)
	}
	if c.Size < stampSize {
		return nil, fmt.Errorf("bench: --size %d: the stamp that is verified takes %d bytes", c.Size, stampSize)
	}
	if c.QoS < 0 {
		c.QoS = d.QoS
	}
	if c.Version == 0 {
		c.Version = packet.V311
	}
	if c.QoS > 2 || c.Messages < 0 || c.Messages > maxMessages || c.Rate < 0 || c.Rate > 1e8 {
		return nil, fmt.Errorf("bench: --qos %d, --messages %d or --rate %g is out of range", c.QoS, c.Messages, c.Rate)
	}
	if c.Messages == 0 {
		c.Messages = d.Messages
	}
	if c.Rate == 0 {
		c.Rate = d.Rate
	}
	return s, c.settleTimes()
}

func (c *Config) settleTimes() error {
	if c.Duration == 0 {
		c.Duration = 5 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = 3 * time.Second
	}
	if c.Limit == 0 {
		c.Limit = c.Warmup + c.Duration + 2*time.Minute
	}
	if c.Warmup < 0 || c.Duration < 0 || c.Limit < 0 || c.Warmup > maxDuration || c.Duration > maxDuration || c.Limit > 3*maxDuration {
		return fmt.Errorf("bench: --warmup %v, --duration %v or --limit %v: want at most %v", c.Warmup, c.Duration, c.Limit, maxDuration)
	}
	return nil
}
