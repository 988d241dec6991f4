// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/netip"

	"emqttd/actors/metrics"
	"emqttd/actors/trace"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// trace notes what the session has decided; it costs a look when nothing is
// traced.
func (st *stage) trace(e trace.Event) {
	t := st.env.Trace
	if !t.On() {
		return
	}
	e.Client = st.self.ClientID
	if c := st.s.conn; c != nil {
		e.Addr = c.Peer
	}
	t.Note(st.x, e)
}

// traced reports whether the way of a message to the session is traced.
func (st *stage) traced(m *message.Message) bool {
	return st.env.Trace.Wants(st.x.Now(), st.self.ClientID, m.From, m.Topic, st.peer())
}

func (st *stage) peer() (addr netip.AddrPort) {
	if c := st.s.conn; c != nil {
		addr = c.Peer
	}
	return addr
}

// traceItem notes what became of a message that the session has. It stands on the
// way of every delivery, so its look at the tracer is inlined.
func (st *stage) traceItem(step trace.Step, why string, it *item, id packet.ID) {
	if st.env.Trace.On() {
		st.noteItem(step, why, it, id)
	}
}

func (st *stage) noteItem(step trace.Step, why string, it *item, id packet.ID) {
	if !st.traced(it.msg) {
		return
	}
	if step == trace.Delivered {
		st.deliver().Traced = true
	}
	e := eventOf(it.msg)
	e.Step, e.Reason, e.QoS, e.ID = step, why, int(it.qos), id
	st.trace(e)
}

// waits is what a message waits for that the session keeps.
func (st *stage) waits() string {
	switch {
	case st.s.conn == nil:
		return "the client is away"
	case !st.s.ready:
		return "the CONNACK comes first"
	case st.s.congested:
		return "the client does not read"
	case st.inLine() > 0:
		return "others are before it"
	}
	return "as much is in flight as the client takes"
}

func eventOf(m *message.Message) trace.Event {
	return trace.Event{Packet: packet.PUBLISH.String(), From: m.From, Topic: m.Topic, QoS: int(m.QoS), Bytes: len(m.Payload)}
}

// RoutedEvent is the event of a message that went to its subscribers. The topic
// is not copied.
func RoutedEvent(topic []byte, from string, qos packet.QoS, size, subscriptions int, why string) trace.Event {
	return trace.Event{Step: trace.Routed, Packet: packet.PUBLISH.String(), From: from, Topic: trace.View(topic), QoS: int(qos),
		Bytes: size, Count: subscriptions, Reason: why}
}

func (p *Publisher) trace(ctx *cell.Context, m *message.Message, step trace.Step, why string, n int) {
	e := eventOf(m)
	e.Step, e.Reason, e.Count, e.Client = step, why, n, m.From
	p.Env.Trace.Note(ctx, e)
}

// traceRouted notes to how many a message went, or why to nobody.
func (p *Publisher) traceRouted(ctx *cell.Context, m *message.Message, out Outcome, retain bool) {
	switch {
	case retain && len(m.Payload) == 0:
		p.trace(ctx, m, trace.Retained, "the retained message is taken away", 0)
	case retain:
		p.trace(ctx, m, trace.Retained, "in place of what was retained before", 0)
	case out.Matched == 0:
		p.trace(ctx, m, trace.Dropped, metrics.DropNoSubscriber.String(), 0)
		return
	}
	why := ""
	if out.Waits {
		why = "the acknowledgement waits for the store"
	}
	p.trace(ctx, m, trace.Routed, why, out.Matched)
}

func again(dup bool) string {
	if dup {
		return "again: it was in flight when the connection ended"
	}
	return "its packet id is stored"
}

// traceFilter notes what became of a subscription.
func (st *stage) traceFilter(step trace.Step, filter string, code packet.ReasonCode) {
	if st.env.Trace.On() {
		why := ""
		if code.Failed() {
			step, why = trace.Refused, code.String()
		}
		st.trace(trace.Event{Step: step, Topic: filter, QoS: int(code) & 3, Reason: why})
	}
}
