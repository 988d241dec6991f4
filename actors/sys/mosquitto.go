// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"strconv"

	"emqttd/actors/metrics"
)

// lost are the drops that Mosquitto's name is about: messages for which a queue
// or a connection had no room.
var lost = []metrics.Drop{
	metrics.DropQueueFull, metrics.DropQueueBytes, metrics.DropQoS0Offline, metrics.DropQoS0Slow, metrics.DropStoreFull,
}

func overflowed(m *metrics.Metrics) (n int64) {
	for _, d := range lost {
		n += m.Dropped[d].Load()
	}
	return n
}

// mosquitto publishes what exporters written for Mosquitto read, below
// $SYS/broker/. Names for what this broker does not count are left out: a zero
// would be taken for a fact.
func (s *service) mosquitto(o *outlet, on bool, now values, st *state) {
	m := s.env.Metrics
	keep := func(name, payload string) { o.keep(on, "$SYS/broker/"+name, payload) }
	keep("version", "emqttd version "+s.about.Version)
	keep("uptime", decimal(s.about.up(o.ctx.Now()))+" seconds")
	for _, e := range []struct {
		name  string
		value int64
	}{
		{"clients/connected", now.clients},
		{"clients/active", now.clients}, // the name of connected until Mosquitto 1.4, still read
		{"clients/disconnected", max(0, now.sessions-now.clients)},
		{"clients/inactive", max(0, now.sessions-now.clients)}, // the same of disconnected
		{"clients/total", max(now.sessions, now.clients)},
		{"clients/maximum", st.most.clients},
		{"messages/received", packetsReceived(m)}, // of every type: Mosquitto calls packets messages
		{"messages/sent", packetsSent(m)},
		{"publish/messages/received", messagesReceived(m)},
		{"publish/messages/sent", messagesSent(m)},
		{"publish/messages/dropped", overflowed(m)},
		{"bytes/received", m.BytesReceived.Load()},
		{"bytes/sent", m.BytesSent.Load()},
		{"store/messages/bytes", now.stored},
		{"subscriptions/count", now.subscriptions},
		{"retained messages/count", now.retained},
		{"heap/current", now.heap},
		{"heap/maximum", st.most.heap},
	} {
		keep(e.name, decimal(e.value))
	}
	for i := range sources {
		for j := range windows {
			keep("load/"+sources[i].name+"/"+windows[j].name, strconv.FormatFloat(st.loads.average[i][j], 'f', 2, 64))
		}
	}
}
