// SPDX-License-Identifier: Apache-2.0

package sys

import (
	"strconv"
	"time"

	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
)

// counters are emqttd's names below $SYS/brokers/NODE/metrics/.
var counters = []struct {
	name  string
	value func(*metrics.Metrics) int64
}{
	{"bytes/received", func(m *metrics.Metrics) int64 { return m.BytesReceived.Load() }},
	{"bytes/sent", func(m *metrics.Metrics) int64 { return m.BytesSent.Load() }},
	{"packets/received", packetsReceived},
	{"packets/sent", packetsSent},
	{"packets/connect", received(packet.CONNECT)},
	{"packets/connack", sent(packet.CONNACK)},
	{"packets/publish/received", received(packet.PUBLISH)},
	{"packets/publish/sent", sent(packet.PUBLISH)},
	{"packets/puback/received", received(packet.PUBACK)},
	{"packets/puback/sent", sent(packet.PUBACK)},
	{"packets/pubrec/received", received(packet.PUBREC)},
	{"packets/pubrec/sent", sent(packet.PUBREC)},
	{"packets/pubrel/received", received(packet.PUBREL)},
	{"packets/pubrel/sent", sent(packet.PUBREL)},
	{"packets/pubcomp/received", received(packet.PUBCOMP)},
	{"packets/pubcomp/sent", sent(packet.PUBCOMP)},
	{"packets/subscribe", received(packet.SUBSCRIBE)},
	{"packets/suback", sent(packet.SUBACK)},
	{"packets/unsubscribe", received(packet.UNSUBSCRIBE)},
	{"packets/unsuback", sent(packet.UNSUBACK)},
	{"packets/pingreq", received(packet.PINGREQ)},
	{"packets/pingresp", sent(packet.PINGRESP)},
	{"packets/disconnect", received(packet.DISCONNECT)}, // 5.0 also sends it; emqttd's name is of those that came
	{"messages/received", messagesReceived},
	{"messages/sent", messagesSent},
	{"messages/qos0/received", func(m *metrics.Metrics) int64 { return m.MessagesReceived[0].Load() }},
	{"messages/qos0/sent", func(m *metrics.Metrics) int64 { return m.MessagesSent[0].Load() }},
	{"messages/qos1/received", func(m *metrics.Metrics) int64 { return m.MessagesReceived[1].Load() }},
	{"messages/qos1/sent", func(m *metrics.Metrics) int64 { return m.MessagesSent[1].Load() }},
	{"messages/qos2/received", func(m *metrics.Metrics) int64 { return m.MessagesReceived[2].Load() }},
	{"messages/qos2/sent", func(m *metrics.Metrics) int64 { return m.MessagesSent[2].Load() }},
	{"messages/dropped", dropped},
}

// stats are emqttd's names below $SYS/brokers/NODE/stats/. A filter is one topic
// and, with one node, one route; a subscription is one subscriber.
var stats = []struct {
	name  string
	value func(*values) int64
}{
	{"clients", func(v *values) int64 { return v.clients }},
	{"sessions", func(v *values) int64 { return v.sessions }},
	{"routes", func(v *values) int64 { return v.filters }},
	{"topics", func(v *values) int64 { return v.filters }},
	{"subscribers", func(v *values) int64 { return v.subscriptions }},
	{"subscriptions", func(v *values) int64 { return v.subscriptions }},
	{"retained", func(v *values) int64 { return v.retained }},
}

func received(t packet.Type) func(*metrics.Metrics) int64 {
	return func(m *metrics.Metrics) int64 { return m.PacketsReceived[t].Load() }
}

func sent(t packet.Type) func(*metrics.Metrics) int64 {
	return func(m *metrics.Metrics) int64 { return m.PacketsSent[t].Load() }
}

func packetsReceived(m *metrics.Metrics) int64  { return sum(m.PacketsReceived[:]) }
func packetsSent(m *metrics.Metrics) int64      { return sum(m.PacketsSent[:]) }
func messagesReceived(m *metrics.Metrics) int64 { return sum(m.MessagesReceived[:]) }
func messagesSent(m *metrics.Metrics) int64     { return sum(m.MessagesSent[:]) }
func dropped(m *metrics.Metrics) int64          { return sum(m.Dropped[:]) }

func sum(counters []metrics.Counter) (n int64) {
	for i := range counters {
		n += counters[i].Load()
	}
	return n
}

// emqttd publishes emqttd's names. Only those of the broker itself are retained,
// as they were there.
func (s *service) emqttd(o *outlet, on bool, now values, st *state) {
	at := "$SYS/brokers/" + s.env.Node
	o.keep(on, "$SYS/brokers", s.env.Node)
	o.keep(on, at+"/version", s.about.Version)
	o.keep(on, at+"/sysdescr", s.about.Description)
	s.publishChaos(o, on)
	if !on {
		return
	}
	o.live(at+"/uptime", uptime(s.about.up(o.ctx.Now())))
	o.live(at+"/datetime", time.Unix(0, o.ctx.Now()).Format(time.DateTime))
	for _, e := range stats {
		o.live(at+"/stats/"+e.name+"/count", decimal(e.value(&now)))
		o.live(at+"/stats/"+e.name+"/max", decimal(e.value(&st.most)))
	}
	for _, e := range counters {
		o.live(at+"/metrics/"+e.name, decimal(e.value(s.env.Metrics)))
	}
	o.live(at+"/metrics/messages/retained", decimal(now.retained))
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// up is how long the broker has been running, in whole seconds.
func (a *About) up(now int64) int64 { return max(0, now-a.Started) / int64(time.Second) }

// uptime is emqttd's "1 hours, 25 minutes, 24 seconds", without the larger units
// that are not reached yet.
func uptime(seconds int64) string {
	text := decimal(seconds%60) + " seconds"
	if seconds >= 60 {
		text = decimal(seconds/60%60) + " minutes, " + text
	}
	if seconds >= 3600 {
		text = decimal(seconds/3600%24) + " hours, " + text
	}
	if seconds >= 86400 {
		text = decimal(seconds/86400) + " days, " + text
	}
	return text
}
