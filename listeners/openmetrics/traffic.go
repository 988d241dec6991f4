// SPDX-License-Identifier: Apache-2.0

package openmetrics

import (
	"fmt"
	"strconv"
	"strings"

	"emqttd/actors/metrics"
	"emqttd/protocol/packet"
)

const (
	in  = "in"  // client -> broker
	out = "out" // broker -> client
)

// traffic is what came and went, and what was lost.
func (c *collector) traffic(w *writer) {
	m := c.Metrics
	w.counter("emqttd_received_bytes_total", "Bytes read from clients, with their wrappings.", m.BytesReceived.Load())
	w.counter("emqttd_sent_bytes_total", "Bytes written to clients, with their wrappings.", m.BytesSent.Load())
	for t := packet.CONNECT; t <= packet.AUTH; t++ {
		const help = "MQTT packets by type."
		name := strings.ToLower(t.String())
		w.counter("emqttd_packets_total", help, m.PacketsReceived[t].Load(), "direction", in, "type", name)
		w.counter("emqttd_packets_total", help, m.PacketsSent[t].Load(), "direction", out, "type", name)
	}
	for qos := range m.MessagesReceived {
		const help = "Application messages by quality of service."
		q := strconv.Itoa(qos)
		w.counter("emqttd_messages_total", help, m.MessagesReceived[qos].Load(), "direction", in, "qos", q)
		w.counter("emqttd_messages_total", help, m.MessagesSent[qos].Load(), "direction", out, "qos", q)
	}
	for reason, n := range m.Drops {
		w.counter("emqttd_messages_dropped_total", "Messages and deliveries that went nowhere, each for exactly one reason.", n, "reason", reason)
	}
	w.durations("emqttd_delivery_seconds", "From the arrival of a message to the out-buffer of a subscriber, its time in queues included; "+
		"the first delivery of a write, in one turn of the event loop out of sixteen.", &m.Delivery)
	w.durations("emqttd_loop_turn_seconds", "Turns of the event loops: from the first ready socket to the last write.", &m.Turn)
}

// connections are who is here, how they came and why they left.
func (c *collector) connections(w *writer) {
	m, f := c.Metrics, c.Figures
	w.gauge("emqttd_connections", "Open sockets.", float64(m.Connections.Load()))
	w.gauge("emqttd_clients_connected", "Connections with an accepted CONNECT.", float64(m.Connected.Load()))
	w.gauge("emqttd_sessions", "Sessions, of connected clients and of those that are away.", float64(f.Sessions()))
	w.gauge("emqttd_subscriptions", "Subscriptions.", float64(f.Subscriptions()))
	w.gauge("emqttd_topic_filters", "Distinct topic filters that are subscribed to.", float64(f.Filters()))
	w.gauge("emqttd_retained_messages", "Retained messages.", float64(f.Retained()))
	w.gauge("emqttd_sessions_choked", "Sessions with a full queue whose client does not read: QoS 0 messages for them are dropped at once.", float64(m.Choked.Load()))
	w.gauge("emqttd_queued_bytes", "Bytes that wait in sessions; a message counts once for each.", float64(m.QueuedBytes.Load()))
	w.gauge("emqttd_stored_bytes", "Bytes of what waits in sessions and of what is retained, with the charge for keeping it.", float64(f.StoredBytes()))
	w.counter("emqttd_connections_accepted_total", "Sockets that were accepted.", m.Accepted.Load())
	for reason, n := range m.Closes {
		w.counter("emqttd_connections_closed_total", "Connections that ended, by reason.", n, "reason", reason)
	}
	for fault, n := range m.FaultCounts {
		w.counter("emqttd_protocol_faults_total", "Rules of the protocol that peers broke.", n, "fault", fault)
	}
	c.refusals(w, m)
	for l := range c.Listeners {
		w.gauge("emqttd_listener_connections", "Open connections of a listener.", float64(l.Connections), "listener", l.Name)
		w.gauge("emqttd_listener_max_connections", "Connections that a listener takes at most; 0: no limit.", float64(l.Max), "listener", l.Name)
	}
	if c.Certificates == nil {
		return
	}
	for listener, end := range c.Certificates {
		w.gauge("emqttd_certificate_expiry_time_seconds", "When the certificate of a listener, or one of its chain, expires, in seconds since the Unix epoch.",
			float64(end.Unix()), "listener", listener)
	}
}

// refusals are the codes of CONNACK: several may have one name, of 3.1.1 and of
// 5.0, so the label is the number.
func (c *collector) refusals(w *writer, m *metrics.Metrics) {
	for code := range m.Refused {
		if n := m.Refused[code].Load(); n > 0 {
			w.counter("emqttd_connects_refused_total", "CONNECTs that were refused, by the reason code of the CONNACK.", n,
				"code", fmt.Sprintf("0x%02X", code), "reason", packet.ReasonCode(code).String())
		}
	}
}
