// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"math"
	"time"

	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
)

// sources are the counters of which Mosquitto publishes a load, with its names.
var sources = [...]struct {
	name  string
	count func(*metrics.Metrics) int64
}{
	{"messages/received", packetsReceived},
	{"messages/sent", packetsSent},
	{"publish/received", messagesReceived},
	{"publish/sent", messagesSent},
	{"publish/dropped", overflowed},
	{"bytes/received", func(m *metrics.Metrics) int64 { return m.BytesReceived.Load() }},
	{"bytes/sent", func(m *metrics.Metrics) int64 { return m.BytesSent.Load() }},
	{"sockets", func(m *metrics.Metrics) int64 { return m.Accepted.Load() }},
	{"connections", received(packet.CONNECT)},
}

var windows = [...]struct {
	name    string
	minutes float64
}{{"1min", 1}, {"5min", 5}, {"15min", 15}}

// loads are moving averages of how much a counter grows in a minute, over
// windows of one, five and fifteen minutes. They are exponential, as the load
// averages of Unix: of what was before, a window keeps the share e^(-t/window)
// after a time t, and the rest is the rate during t. So they hold whatever the
// interval between two updates is, and need no history.
type loads struct {
	at      int64 // of the last update, nanoseconds since the Unix epoch; 0: none yet
	last    [len(sources)]int64
	average [len(sources)][len(windows)]float64 // per minute
}

// update takes in what happened since the last update. The first one, of a
// broker that starts, only notes where the counters stand; one at which the
// clock stands still or has been set back leaves everything to the next.
func (l *loads) update(now int64, m *metrics.Metrics) {
	first := l.at == 0
	minutes := float64(now-l.at) / float64(time.Minute)
	if !first && minutes <= 0 {
		if now < l.at {
			l.at = now
		}
		return
	}
	l.at = now
	for i := range sources {
		n := sources[i].count(m)
		rate := float64(n-l.last[i]) / minutes
		l.last[i] = n
		if first {
			continue
		}
		for j := range windows {
			old := math.Exp(-minutes / windows[j].minutes)
			l.average[i][j] = old*l.average[i][j] + (1-old)*rate
		}
	}
}
