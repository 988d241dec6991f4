// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"slices"

	"emqttd/actors/cast"
	"emqttd/protocol/message"
	"emqttd/protocol/packet"
	"emqttd/supervisor/cell"
)

// View is what a session holds at one moment, for administration.
type View struct {
	Number, Epoch uint64
	Connected     bool
	Durable       bool // outlives its connection
	Username      string
	Version       packet.Version
	Expiry        uint32 // seconds
	Gone          int64  // when the connection was lost, nanoseconds since the Unix epoch; 0: it was not
	Subscriptions int
	Inflight      int
	Window        int // in flight at most
	Queued        int
	QueuedBytes   int
	AwaitingRel   int
	Congested     bool // waits until its client reads
	Will          *packet.Will
	WillDelay     uint32
}

// Look is the view of the session whose cell is c. It is called on the group that
// runs c (group.Do).
func Look(c *cell.Cell) View {
	s := c.Owner().(*Session)
	st := &s.state
	return View{Number: s.self.Number, Epoch: st.epoch, Connected: st.conn != nil, Durable: st.expiry > 0, Username: st.username,
		Version: st.version, Expiry: st.expiry, Gone: st.gone, Subscriptions: s.subs.Len(), Inflight: s.inflight.Len(), Window: st.window,
		Queued: s.queue.Size() + st.backlog.size(), QueuedBytes: st.queued, AwaitingRel: s.incoming.awaiting(), Congested: st.congested, Will: st.will,
		WillDelay: st.willDelay}
}

// Flight is one message that was sent and is not acknowledged.
type Flight struct {
	ID       packet.ID
	Message  *message.Message
	QoS      packet.QoS
	Released bool // PUBREC came
	order    uint64
}

// LookInside is what of a session there may be much of: at most max of its
// subscriptions, and of what is in flight, oldest first. It is called as Look.
func LookInside(c *cell.Cell, max int) (subs []*cast.Subscription, flights []Flight) {
	s := c.Owner().(*Session)
	for _, sub := range s.subs.All {
		if len(subs) == max {
			break
		}
		subs = append(subs, sub)
	}
	for id, f := range s.inflight.All {
		if len(flights) == max {
			break
		}
		flights = append(flights, Flight{ID: id, Message: f.msg, QoS: f.qos, Released: f.released, order: f.order})
	}
	slices.SortFunc(subs, func(a, b *cast.Subscription) int { return cmp.Compare(a.Filter, b.Filter) })
	slices.SortFunc(flights, func(a, b Flight) int { return cmp.Compare(a.order, b.order) })
	return subs, flights
}
